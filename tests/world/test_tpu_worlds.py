"""Cloud TPU in worlds: the real adapter over the model, with queued resources that cost, lag and leak like machines."""

from __future__ import annotations

from typing import Any

import pytest

from accel_ci.adapters.tpu_api import TpuApi
from accel_ci.domain import errors, lease
from accel_ci.domain.machine import State
from accel_ci.ports.world import World
from accel_ci_sim.direct import sites, stages
from accel_ci_sim.direct.setting import Setting
from accel_ci_sim.direct.simulation import Simulation
from accel_ci_sim.direct.tpu_api import SimulatedTpuApi
from tests.world import lives


def test_every_call_of_the_api_is_a_site() -> None:
    """What our adapter may ask can meet a fate, and the simulated API answers it itself."""
    asked = {name for name in vars(TpuApi) if not name.startswith("_")} - {"client", "connect", "project"}
    assert {site.method for site in sites.OF_PORT["tpu"]} == asked
    used = {site.method for site in sites.OF_PORT["tpu"] if site.name not in sites.UNUSED}
    assert used <= set(vars(SimulatedTpuApi))


def test_a_queued_resource_costs_before_its_node_is_there() -> None:
    """It is in the ledger with its lease from the first moment, and so is its node once it lands."""

    def body(world: World) -> Any:
        creation = lives.begun(world, lives.spec("steps/queued"))
        while creation.machine is None:
            world.clock.sleep(1.0)
            creation = world.machines.poll(creation)
        return creation.machine

    machine, scene = lives.lived(body, stage="steps/queued")
    request, node = scene.ledger.machines
    assert (len(request.workers), len(node.workers)) == (0, 1)
    assert request.labels == node.labels == dict(machine.labels)
    assert node.landed_at > request.landed_at and machine.state is State.READY


def test_a_request_that_was_deleted_is_gone_with_its_node() -> None:
    """One release ends both, and only then is it released."""

    def body(world: World) -> list[bool]:
        creation = lives.begun(world, lives.spec("steps/queued"))
        world.clock.sleep(30.0)
        world.machines.release(creation.handle)
        soon = world.machines.released(creation.handle)
        world.clock.sleep(60.0)
        return [soon, world.machines.released(creation.handle)]

    answers, scene = lives.lived(body, stage="steps/queued")
    assert answers == [False, True] and scene.ledger.alive() == [] and len(scene.ledger.machines) == 2


def test_a_request_whose_time_ran_out_goes_on_holding_quota() -> None:
    """It fails, is told as no capacity, is still there, and a listing finds it."""

    def body(world: World) -> Any:
        creation = lives.begun(world, lives.spec("steps/queued"))
        world.clock.sleep(100.0)
        with pytest.raises(errors.NoCapacityError):
            world.machines.poll(creation)
        return [each.state for each in world.machines.list_owned(lease.of_run(lives.KEY))]

    states, scene = lives.lived(body, stage="steps/queued", empty=stages.every()["steps/queued"].weather.zones)
    assert states == [State.FAILED] and len(scene.ledger.alive()) == 1


def test_a_listing_lacks_what_is_young() -> None:
    """Looking up by name finds it."""

    def body(world: World) -> Any:
        creation = lives.begun(world, lives.spec("steps/tpu"))
        zone = creation.handle.split("/")[-2]
        return len(list(world.machines.list_owned(lease.of_run(lives.KEY)))), len(
            list(world.machines.find(lives.KEY, (zone,)))
        )

    assert lives.lived(body, stage="steps/tpu", listing_lag_s=15.0)[0] == (0, 1)


def test_what_is_kept_is_the_node_and_its_request() -> None:
    """The label is on both, and the API tells it."""

    def body(world: World) -> Any:
        creation = lives.begun(world, lives.spec("steps/queued"))
        world.clock.sleep(30.0)
        world.machines.annotate(creation.handle, "accel-ci-keep-until", "1900000000")
        return None

    error, scene = lives.lived(body, stage="steps/queued")
    assert isinstance(error, errors.CloudError)  # the model has no operation to wait for
    assert all(each.labels["accel-ci-keep-until"] == "1900000000" and each.kept_at for each in scene.ledger.machines)


def test_a_zone_without_any_makes_the_walk_go_on() -> None:
    """Nodes are refused by their operation; the next zone gives one, and what was refused is gone."""
    tally = Simulation(1, 0, rate=0.0, how=Setting(stage=stages.every()["no capacity at first/tpu"])).tally()
    assert tally.verdicts == {"passed": 1} and tally.machines == 2 and not tally.left
