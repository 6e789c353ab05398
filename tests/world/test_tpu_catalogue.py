"""What the simulated cloud offers, and that it offers all that accel-ci would ask for."""

from __future__ import annotations

import math

import pytest

from accel_ci.domain import accelerators
from accel_ci_sim.world import tpu_catalogue
from accel_ci_sim.world.tpu_catalogue import CHIPS_PER_HOST, ZONES


def test_every_type_of_the_programs_catalogue_exists() -> None:
    """Type, zone, runtime version and number of hosts agree between two tables that know nothing of each other."""
    for row in accelerators.rows():
        if row.backend == "tpu":
            kind = tpu_catalogue.kinds(row.zone).get(row.accelerator)
            assert kind is not None, row
            assert (kind.hosts, kind.runs(row.runtime)) == (row.hosts, True), row


@pytest.mark.parametrize("zone", ZONES)
def test_topologies_fit_the_hosts(zone: str) -> None:
    """A topology's chips are spread over whole hosts of four, or sit on one host."""
    for kind in tpu_catalogue.kinds(zone).values():
        chips = math.prod(map(int, kind.topology.split("x")))
        assert kind.hosts == 1 or kind.hosts * CHIPS_PER_HOST == chips
        assert kind.units in (chips, 2 * chips)
        assert tpu_catalogue.by_topology(zone, kind.generation, kind.topology) == kind


def test_a_runtime_is_made_for_some_types_only() -> None:
    """A v6e does not run what was made for v5p; everything runs the generic image."""
    kind = tpu_catalogue.kinds("us-central1-b")["v6e-1"]
    assert kind.runs("v2-alpha-tpuv6e") and kind.runs("tpu-ubuntu2204-base") and not kind.runs("v2-alpha-tpuv5")


def test_quotas_bear_googles_names() -> None:
    """As seen in errors of the real API."""
    central, v4 = tpu_catalogue.kinds("us-central1-a"), tpu_catalogue.kinds("us-central2-b")
    assert central["v5litepod-4"].quota(spot=True) == "TPUV5sPreemptibleLitepodPerProjectPerRegionForTPUAPI"
    assert central["v5p-8"].quota(spot=False) == "TPUV5PPerProjectPerRegionForTPUAPI"
    assert v4["v4-8"].quota(spot=True) == "TPUV4sPreemptiblePodPerProjectPerRegionForTPUAPI"
