"""The sweeper's schedule."""

from __future__ import annotations

from accel_ci.usecases import cleanup
from accel_ci_sim.direct import files, plans
from accel_ci_sim.direct.launcher import Launcher
from accel_ci_sim.world import dice
from accel_ci_sim.world.cloud import LANDS_WITHIN_S
from accel_ci_sim.world.schedule import Actor

LOST = 0.1


class Cron:
    """Sweeps once in every period: late, lost and doubled while there are faults, until no machine is left."""

    def __init__(self, launcher: Launcher) -> None:
        self._launcher = launcher
        self._scene = launcher.scene

    def begin(self) -> None:
        """The first sweep comes within a period."""
        self._scene.schedule.after(self._scene.dice.uniform(0.0, self._scene.sweep_period_s), self._due)

    def _due(self) -> None:
        scene, quiet = self._scene, self._scene.quiet_since is not None
        # The world has to end; what lives past its bound was told already.
        if quiet and self._settled():
            return
        if quiet:
            scene.schedule.spawn(self._sweep)
        # GitHub drops schedules under load; two at once must be harmless, too.
        elif not dice.chance(scene.dice, LOST):
            for _ in range(scene.dice.choice((1, 1, 1, 2))):
                scene.schedule.spawn(self._sweep, delay_s=scene.dice.uniform(0.0, scene.sweep_period_s / 4))
        scene.schedule.after(scene.sweep_period_s, self._due)

    def _settled(self) -> bool:
        """True when no machine is left, but those already reported, and none can land any more."""
        scene, overdue = self._scene, self._launcher.judge.overdue
        # A request that was lost may still land when all others are gone.
        landed = scene.schedule.now > (scene.quiet_since or 0.0) + LANDS_WITHIN_S
        return landed and all(machine.serial in overdue for machine in scene.ledger.alive())

    def _sweep(self, actor: Actor) -> None:
        process = self._launcher.process(actor, role="sweep", run="cron")
        world, grace_s = self._launcher.ports(process, files.unwatched()), self._scene.sweep_grace_s
        process.live(world, lambda world: cleanup.sweep(world, plans.REPOSITORY_ID, grace_s=grace_s))
