"""Cloud TPU in worlds: the real adapter over the model, with queued resources that cost, lag and leak like machines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from accel_ci.adapters.tpu_api import TpuApi
from accel_ci.domain import errors, lease
from accel_ci.domain.lease import Lease
from accel_ci.domain.machine import Creation, State
from accel_ci.domain.runkey import RunKey
from accel_ci.ports.world import World
from accel_ci_sim.direct import plans, sites, stages
from accel_ci_sim.direct.files import unwatched
from accel_ci_sim.direct.setting import Setting
from accel_ci_sim.direct.simulation import Simulation
from accel_ci_sim.direct.tpu_api import SimulatedTpuApi
from accel_ci_sim.world.tpu_sky import TpuSky

KEY = RunKey(repository_id=plans.REPOSITORY_ID, repository=plans.REPOSITORY, run_id=stages.RUN_ID, job="tpu")


def _lived(body: Callable[[World], Any], *, stage: str = "steps/queued", **weather: Any) -> tuple[Any, TpuSky]:
    """What `body` returns in a process of such a world, and its cloud."""
    given = stages.every()[stage]
    given = replace(given, weather=replace(given.weather, **weather))
    simulation = Simulation(1, 0, rate=0.0, how=Setting(stage=given))
    scene, answers = simulation.scene, list[Any]()
    scene.quiet_since = scene.schedule.now

    def actor(own: Any) -> None:
        run = next(iter(scene.runs))
        process = simulation.launcher.process(own, role="test", run=run)
        outcome = process.live(simulation.launcher.ports(process, unwatched()), body)
        answers.append(outcome.error or outcome.value)

    scene.schedule.spawn(actor)
    scene.schedule.run()
    assert isinstance(scene.cloud, TpuSky)
    return answers[0], scene.cloud


def _begun(world: World, spec: Any) -> Creation:
    candidate = world.machines.candidates(spec)[0]
    given = Lease(key=KEY, expires_at=int(world.clock.now()) + 600)
    return world.machines.begin_create(spec, given, candidate, public_key="")


def _spec(stage: str = "steps/queued") -> Any:
    return stages.every()[stage].plans[0].order.spec


def test_every_call_of_the_api_is_a_site() -> None:
    """What our adapter may ask can meet a fate, and the simulated API answers it itself."""
    asked = {name for name in vars(TpuApi) if not name.startswith("_")} - {"client", "connect", "project"}
    assert {site.method for site in sites.OF_PORT["tpu"]} == asked
    assert asked <= set(vars(SimulatedTpuApi))


def test_a_queued_resource_costs_before_its_node_is_there() -> None:
    """It is in the ledger with its lease from the first moment, and so is its node once it lands."""

    def body(world: World) -> Any:
        creation = _begun(world, _spec())
        while creation.machine is None:
            world.clock.sleep(1.0)
            creation = world.machines.poll(creation)
        return creation.machine

    machine, sky = _lived(body)
    request, node = sky.machines
    assert (len(request.workers), len(node.workers)) == (0, 1)
    assert request.labels == node.labels == dict(machine.labels)
    assert node.landed_at > request.landed_at and machine.state is State.READY


def test_a_request_that_was_deleted_is_gone_with_its_node() -> None:
    """One release ends both, and only then is it released."""

    def body(world: World) -> list[bool]:
        creation = _begun(world, _spec())
        world.clock.sleep(30.0)
        world.machines.release(creation.handle)
        soon = world.machines.released(creation.handle)
        world.clock.sleep(60.0)
        return [soon, world.machines.released(creation.handle)]

    answers, sky = _lived(body)
    assert answers == [False, True] and sky.alive() == [] and len(sky.machines) == 2


def test_a_request_whose_time_ran_out_goes_on_holding_quota() -> None:
    """It fails, is told as no capacity, is still there, and a listing finds it."""

    def body(world: World) -> Any:
        creation = _begun(world, _spec())
        world.clock.sleep(100.0)
        with pytest.raises(errors.NoCapacityError):
            world.machines.poll(creation)
        return [each.state for each in world.machines.list_owned(lease.of_run(KEY))]

    states, sky = _lived(body, empty=stages.every()["steps/queued"].weather.zones)
    assert states == [State.FAILED] and len(sky.alive()) == 1


def test_a_listing_lacks_what_is_young() -> None:
    """Looking up by name finds it."""

    def body(world: World) -> Any:
        creation = _begun(world, _spec("steps/tpu"))
        zone = creation.handle.split("/")[-2]
        return len(list(world.machines.list_owned(lease.of_run(KEY)))), len(list(world.machines.find(KEY, (zone,))))

    assert _lived(body, stage="steps/tpu", listing_lag_s=15.0)[0] == (0, 1)


def test_what_is_kept_is_the_node_and_its_request() -> None:
    """The label is on both, and the API tells it."""

    def body(world: World) -> Any:
        creation = _begun(world, _spec())
        world.clock.sleep(30.0)
        world.machines.annotate(creation.handle, "accel-ci-keep-until", "1900000000")
        return None

    error, sky = _lived(body)
    assert isinstance(error, errors.CloudError)  # the model has no operation to wait for
    assert all(each.labels["accel-ci-keep-until"] == "1900000000" and each.kept_at for each in sky.machines)


def test_a_zone_without_any_makes_the_walk_go_on() -> None:
    """Nodes are refused by their operation; the next zone gives one, and what was refused is gone."""
    tally = Simulation(1, 0, rate=0.0, how=Setting(stage=stages.every()["no capacity at first/tpu"])).tally()
    assert tally.verdicts == {"passed": 1} and tally.machines == 2 and not tally.left
