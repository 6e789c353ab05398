"""The sweeper's schedule."""

from __future__ import annotations

from typing import TYPE_CHECKING

from accel_ci.usecases import cleanup
from accel_ci_sim.direct import files, plans
from accel_ci_sim.direct.process import Process
from accel_ci_sim.world import dice
from accel_ci_sim.world.cloud import LANDS_WITHIN_S
from accel_ci_sim.world.schedule import Actor

if TYPE_CHECKING:
    from accel_ci_sim.direct.simulation import Simulation

LOST = 0.1


class Cron:
    """Sweeps every `period_s` seconds: late, lost and doubled while there are faults, until no machine is left."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self.period_s = simulation.dice.choice((120.0, 900.0))
        self.grace_s = 2 * self.period_s

    def begin(self) -> None:
        """The first sweep comes within a period."""
        self._simulation.schedule.after(self._simulation.dice.uniform(0.0, self.period_s), self._due)

    def _due(self) -> None:
        simulation, quiet = self._simulation, self._simulation.quiet_since is not None
        if quiet and self._settled():
            return
        if quiet:
            simulation.schedule.spawn(self._sweep)
        elif not dice.chance(simulation.dice, LOST):
            for _ in range(simulation.dice.choice((1, 1, 1, 2))):
                simulation.schedule.spawn(self._sweep, delay_s=simulation.dice.uniform(0.0, self.period_s / 4))
        simulation.schedule.after(self.period_s, self._due)

    def _settled(self) -> bool:
        """True when no machine is left, but those already reported, and none can land any more."""
        simulation = self._simulation
        landed = simulation.schedule.now > (simulation.quiet_since or 0.0) + LANDS_WITHIN_S
        return landed and all(machine.serial in simulation.judge.overdue for machine in simulation.cloud.alive())

    def _sweep(self, actor: Actor) -> None:
        process = Process(self._simulation, actor, role="sweep", run="cron")
        world = self._simulation.ports(process, files.unwatched())
        process.live(world, lambda world: cleanup.sweep(world, plans.REPOSITORY_ID, grace_s=self.grace_s))
