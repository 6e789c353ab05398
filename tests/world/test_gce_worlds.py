"""Compute Engine in worlds: the real adapter over the model of its API, alone and beside Cloud TPU as one backend."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from accel_ci.adapters.gce_api import GceApi
from accel_ci.domain import errors, lease
from accel_ci.domain.machine import Creation, Machine, State
from accel_ci.ports.world import World
from accel_ci_sim.direct import exhaustive, sites, stages
from accel_ci_sim.direct.setting import Setting
from accel_ci_sim.direct.simulation import Simulation
from accel_ci_sim.world import gce_sky
from accel_ci_sim.world.faults import Aim, Fate
from accel_ci_sim.world.weather import LATENESS_S
from tests.world import lives

GCE, AUTO = "steps/gce", "steps/auto"
NO_CALLS = {"connect", "instances", "operations", "project"}


def _ready(world: World, creation: Creation) -> Machine:
    while creation.machine is None:
        world.clock.sleep(1.0)
        creation = world.machines.poll(creation)
    return creation.machine


def _begun(world: World, stage: str = GCE, **asked: Any) -> Creation:
    return lives.begun(world, lives.spec(stage), **asked)


def test_every_call_of_the_api_is_a_site() -> None:
    """What our adapter may ask can meet a fate."""
    asked = {name for name in vars(GceApi) if not name.startswith("_")} - NO_CALLS
    assert {site.method for site in sites.OF_PORT["gce"]} == asked


def test_an_instance_becomes_ready_with_its_lease() -> None:
    """It costs from the request on, bears the lease's labels, and tells its host key and its accelerators."""

    def body(world: World) -> Machine:
        return _ready(world, _begun(world))

    machine, scene = lives.lived(body, stage=GCE)
    (there,) = scene.ledger.machines
    assert machine.handle.startswith(gce_sky.BASE) and machine.state is State.READY
    assert dict(machine.labels) == there.labels and machine.workers[0].host_keys
    assert machine.hardware["devices"] == "4"


def test_the_limit_ends_an_instance_within_thirty_seconds() -> None:
    """It counts from RUNNING; the operation tells why, and nobody of ours had to do anything."""

    def body(world: World) -> str:
        machine = _ready(world, _begun(world, ttl_s=60.0))
        world.clock.sleep(120.0)
        return world.machines.interruption(machine.handle)

    why, scene = lives.lived(body, stage=GCE)
    (there,) = scene.ledger.machines
    assert why == there.interruption == "lifetime limit reached"
    assert there.ready_at is not None and there.gone_at is not None
    lived_s = there.gone_at - there.ready_at
    assert 60.0 <= lived_s <= 60.0 + LATENESS_S + scene.cloud.weather.release_s[1]


def test_where_the_limit_fails_an_instance_lives() -> None:
    """A world without the native limit is one in which it was asked for and does nothing."""

    def body(world: World) -> State:
        machine = _ready(world, _begun(world, ttl_s=60.0))
        world.clock.sleep(3600.0)
        return next(iter(world.machines.find(lives.KEY, (machine.zone,)))).state

    state, scene = lives.lived(body, stage=GCE, native_limit=False)
    assert state is State.READY and scene.ledger.alive()


def test_a_stockout_is_told_by_the_operation() -> None:
    """The call is accepted; the partial instance goes when the operation fails."""

    def body(world: World) -> int:
        creation = _begun(world)
        with pytest.raises(errors.NoCapacityError, match="RESOURCE_POOL_EXHAUSTED"):
            _ready(world, creation)
        return len(list(world.machines.find(lives.KEY, stages.every()[GCE].weather.zones)))

    left, scene = lives.lived(body, stage=GCE, stockout=1.0)
    assert left == 0 and len(scene.ledger.machines) == 1 and not scene.ledger.alive()


def test_a_creation_that_failed_may_run_all_the_same() -> None:
    """Its operation says no, and the instance is there."""

    def body(world: World) -> State:
        creation = _begun(world)
        with pytest.raises(errors.NoCapacityError):
            _ready(world, creation)
        return next(iter(world.machines.find(lives.KEY, stages.every()[GCE].weather.zones))).state

    assert lives.lived(body, stage=GCE, stockout=1.0, lands_anyway=1.0)[0] is State.READY


def test_a_quota_refuses_by_the_call_or_by_the_operation() -> None:
    """Either way it is told as quota."""

    def body(world: World) -> None:
        _ready(world, _begun(world))

    assert isinstance(lives.lived(body, stage=GCE, quota=0)[0], errors.QuotaError)


def test_a_cloud_that_is_too_fast_for_itself_is_asked_again() -> None:
    """A mutation that is refused as one too many in the minute is repeated twice, on the world's clock."""

    def body(world: World) -> float:
        began_at = world.clock.now()
        with pytest.raises(errors.TransientError, match="rateLimitExceeded"):
            world.machines.release(f"{gce_sky.BASE}us-central1-b/accel-ci-x")
        return world.clock.now() - began_at

    assert lives.lived(body, stage=GCE, rate_limited=1.0)[0] > 1.0


def test_a_partial_listing_is_none() -> None:
    """Where a zone did not answer the listing is an error, not shorter."""

    def body(world: World) -> None:
        list(world.machines.list_owned(lease.of_run(lives.KEY)))

    assert isinstance(lives.lived(body, stage=GCE, partial_lists=1.0)[0], errors.TransientError)


def test_accelerators_that_are_not_well_are_not_leased() -> None:
    """The probe's word is heard before any command runs."""

    def body(world: World) -> None:
        _ready(world, _begun(world))

    assert isinstance(lives.lived(body, stage=GCE, sick=1.0)[0], errors.UnhealthyError)


def test_a_kept_instance_bears_the_label() -> None:
    """What a person asks for is on the instance itself, where every later process sees it."""

    def body(world: World) -> str:
        machine, until = _ready(world, _begun(world, ttl_s=3600.0)), str(int(world.clock.now() + 600.0))
        world.machines.annotate(machine.handle, "accel-ci-keep-until", until)
        assert next(iter(world.machines.find(lives.KEY, (machine.zone,)))).labels["accel-ci-keep-until"] == until
        return until

    until, scene = lives.lived(body, stage=GCE)
    (there,) = scene.ledger.machines
    assert there.labels["accel-ci-keep-until"] == until and there.kept_at is not None


def test_auto_leases_from_either_cloud() -> None:
    """Where Compute Engine has none left, the walk goes on to the same zone's nodes."""

    def body(world: World) -> list[str]:
        found = world.machines.candidates(lives.spec(AUTO))
        return [f"{each.backend} {each.zone}" for each in found[:2]]

    assert lives.lived(body, stage=AUTO)[0] == ["gce us-central1-b", "tpu us-central1-b"]


def test_auto_lists_both_clouds_or_none() -> None:
    """One that does not answer hides nothing: the listing fails."""
    stage = stages.every()[AUTO]
    aim = Aim(sites.BY_NAME["tpu.nodes"].number, 1, Fate.FAIL)
    tally = exhaustive.simulated(1, stage, (aim,)).tally()
    assert sum(tally.fated.values()) == 1 and not tally.found and not tally.left


@pytest.mark.parametrize("service", ["gce", "auto"])
def test_a_zone_without_any_makes_the_walk_go_on(service: str) -> None:
    """The next place gives one, and what was refused is gone."""
    stage = stages.every()[f"no capacity at first/{service}"]
    tally = Simulation(1, 0, rate=0.0, how=Setting(stage=stage)).tally()
    assert tally.verdicts == {"passed": 1} and tally.machines > 1 and not tally.left


def test_with_the_limit_alone_nothing_is_left() -> None:
    """A runner that is lost leaves its machine to Compute Engine, which ends it in time."""
    stage = stages.every()["runner lost/gce"]
    how = Setting(stage=replace(stage, name="alone"), layers=frozenset())
    tally = Simulation(1, 0, rate=0.0, how=how).tally()
    assert tally.taken == tally.machines == 1 and not tally.left and not tally.found


def test_messages_of_the_library_become_the_apis_json() -> None:
    """Names change but for the keys of labels, which are the user's."""
    message = {"machine_type": "m", "labels": {"a_b": "1"}, "access_configs": [{"type_": "ONE_TO_ONE_NAT"}]}
    assert gce_sky.wire(message) == {
        "machineType": "m",
        "labels": {"a_b": "1"},
        "accessConfigs": [{"type": "ONE_TO_ONE_NAT"}],
    }
