"""The maintainers' script that looks up which zones have which machines, against the simulated Compute Engine."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from accel_ci.domain import machine_rows
from accel_ci.domain.machine_rows import Price
from tests.servers.simulator import SimulatorProcess
from tools import refresh_catalogue

L4 = (Price("us-central1", "abc", 1.0, 0.5, 0.1, 0.05), Price("us-east4", "ac", 1.0, 0.5, 0.1, 0.05))


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    """A simulated Compute Engine, whose own catalogue is not ours."""
    with closing(SimulatorProcess(tmp_path_factory.mktemp("sim"))) as running:
        yield running


def test_what_is_offered_is_asked_for(simulator: SimulatorProcess) -> None:
    """Every family has zones there, from all pages; attached GPUs count only where both they and their hosts are."""
    offers = refresh_catalogue.offered(simulator.exports)
    assert set(machine_rows.PLACES) <= set(offers)
    assert "us-central1-a" in offers["l4"] and "us-central1-a" in offers["t4"] and len(offers["e2"]) > 20
    assert offers["l4"] != offers["t4"] < offers["e2"] | offers["t4"]


def test_zones_come_and_go_and_prices_stay() -> None:
    """A region that is known keeps its prices, a new one has none, and each change is a line."""
    offers = {"l4": {"us-central1-a", "us-central1-f", "asia-east1-a"}}
    after = refresh_catalogue.refreshed({"l4": L4}, offers)
    assert after == {"l4": (L4[0]._replace(zones="af"), Price("asia-east1", "a", None, None, None, None))}
    assert list(refresh_catalogue.told({"l4": L4}, after)) == [
        "l4: + asia-east1-a",
        "l4: + us-central1-f",
        "l4: - us-central1-b",
        "l4: - us-central1-c",
        "l4: - us-east4-a",
        "l4: - us-east4-c",
    ]


def test_a_family_that_nobody_offers_is_kept() -> None:
    """A project that is not let in to a machine type sees no zone of it: that is no news about the zones."""
    assert refresh_catalogue.refreshed({"b200": L4}, {"b200": set()}) == {"b200": L4}


def test_what_is_written_is_the_module(tmp_path: Path) -> None:
    """The rewritten module says the same but for its places and the date of its zones."""
    text = refresh_catalogue.FILE.read_text()
    new = refresh_catalogue.written(text, machine_rows.PLACES, today=dt.date(2027, 1, 2))
    module: dict[str, object] = {"__name__": "rows"}
    exec(compile(new, "rows", "exec"), module)  # noqa: S102 - our own text
    assert module["PLACES"] == machine_rows.PLACES and module["ZONES_DATE"] == "2027-01-02"
    assert module["SHAPES"] == machine_rows.SHAPES and module["DATE"] == machine_rows.DATE
