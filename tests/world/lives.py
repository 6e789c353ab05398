"""One process in a standard world, for what the clouds of worlds do to our adapters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from accel_ci.domain.lease import Lease
from accel_ci.domain.machine import Creation, MachineSpec
from accel_ci.domain.runkey import RunKey
from accel_ci.ports.world import World
from accel_ci_sim.direct import plans, stages
from accel_ci_sim.direct.files import unwatched
from accel_ci_sim.direct.scene import Scene
from accel_ci_sim.direct.setting import Setting
from accel_ci_sim.direct.simulation import Simulation

KEY = RunKey(repository_id=plans.REPOSITORY_ID, repository=plans.REPOSITORY, run_id=stages.RUN_ID, job="tpu")


def lived(body: Callable[[World], Any], *, stage: str, **weather: Any) -> tuple[Any, Scene]:
    """What `body` returns, or the error that it ends with, in a process of such a world; and the world."""
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
    return answers[0], scene


def spec(stage: str) -> MachineSpec:
    """What the stage's runs order."""
    return stages.every()[stage].plans[0].order.spec


def begun(world: World, wanted: MachineSpec, *, ttl_s: float = 600.0) -> Creation:
    """Such a machine, just asked for in the first place that may have it."""
    candidate = world.machines.candidates(wanted)[0]
    lease = Lease(key=KEY, expires_at=int(world.clock.now() + ttl_s))
    return world.machines.begin_create(wanted, lease, candidate, public_key="")
