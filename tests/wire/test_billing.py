"""The public price list over HTTP: what a client that reads all of it gets."""

from __future__ import annotations

from typing import Any

import pytest

from accel_ci_sim.world import billing
from tests.servers.simulator import SimulatorProcess

SKUS = f"/v1/services/{billing.COMPUTE}/skus"


def test_all_pages_are_the_whole_list(simulator: SimulatorProcess) -> None:
    """Each entry once; the last page's token is there and empty, as Google's is."""
    seen: list[str] = []
    token = ""
    while True:
        status, page = simulator.call("GET", f"{SKUS}?pageSize=70&currencyCode=USD&pageToken={token}")
        assert status == 200 and len(page["skus"]) <= 70
        seen += [each["name"] for each in page["skus"]]
        token = page["nextPageToken"]
        if not token:
            break
    assert sorted(seen) == sorted(each["name"] for each in billing.skus()) and len(set(seen)) == len(seen)


def test_a_price_is_units_and_nanos(simulator: SimulatorProcess) -> None:
    """Dollars are a whole number in a text, and billionths; core and memory have units of their own."""
    found: dict[str, Any] = {
        each["description"]: each for each in simulator.call("GET", f"{SKUS}?pageSize=1000")[1]["skus"]
    }
    tpu = found["TpuV6e running in Netherlands"]
    expression = tpu["pricingInfo"][0]["pricingExpression"]
    assert expression["tieredRates"][0]["unitPrice"] == {"currencyCode": "USD", "units": "2", "nanos": 750_000_000}
    assert (expression["usageUnit"], tpu["serviceRegions"]) == ("h", ["europe-west4"])
    memory = found["G2 Instance Ram running in Americas"]["pricingInfo"][0]["pricingExpression"]
    assert memory["usageUnit"] == "GiBy.h"


@pytest.mark.parametrize(
    ("path", "code"),
    [("/v1/services/0000-0000-0000/skus", 404), (f"{SKUS}?currencyCode=EUR", 501), (f"{SKUS}?pageSize=x", 400)],
)
def test_what_is_refused(simulator: SimulatorProcess, path: str, code: int) -> None:
    """Another service, another currency, a page size that is none."""
    assert simulator.call("GET", path)[0] == code
