"""The schedule that reaps GitHub's queue."""

from __future__ import annotations

from dataclasses import replace

from accel_ci.usecases import reap_queued
from accel_ci_sim.direct import files, plans
from accel_ci_sim.direct.launcher import Launcher
from accel_ci_sim.direct.queue_judge import OWN
from accel_ci_sim.direct.waiting import REAPED, Queue
from accel_ci_sim.world import dice
from accel_ci_sim.world.dice import Dice
from accel_ci_sim.world.schedule import Actor

LOST = 0.1
PERIODS_S = (60.0, 300.0)
LIMITS_S = (40.0, 120.0)
LAST_S = 3600.0  # after faults stopped: whoever still comes has come, and waits too long


class Reaper:
    """Reaps once in every period, late, lost and doubled while there are faults, and once more when all came to rest."""

    def __init__(self, launcher: Launcher, stream: Dice) -> None:
        self._launcher, self._scene, self._stream = launcher, launcher.scene, stream
        self._period_s = stream.choice(PERIODS_S)
        judge = launcher.judge.queue
        judge.workflows, judge.limit_s = REAPED, stream.choice(LIMITS_S)
        self.queue = Queue(self._scene, stream, judge.limit_s)
        judge.cancelled = self.queue.cancelled

    def begin(self) -> None:
        """The strangers come, and the first reaper within a period."""
        self.queue.fill()
        self._scene.schedule.after(self._stream.uniform(0.0, self._period_s), self._due)

    def _due(self) -> None:
        scene = self._scene
        if scene.quiet_since is not None:
            scene.schedule.spawn(self._last, delay_s=LAST_S)
            return
        if not dice.chance(self._stream, LOST):
            for _ in range(self._stream.choice((1, 1, 1, 2))):
                scene.schedule.spawn(self._reap, delay_s=self._stream.uniform(0.0, self._period_s / 4))
        scene.schedule.after(self._period_s, self._due)

    def _last(self, actor: Actor) -> None:
        began_at = self._scene.schedule.now
        self._reap(actor)
        self._launcher.judge.queue.rested(since=began_at)

    def _reap(self, actor: Actor) -> None:
        process = self._launcher.process(actor, role="reap", run="cron")
        context = replace(plans.context(OWN, event="schedule"), job="reap")
        limit_s = self._launcher.judge.queue.limit_s
        process.live(
            self._launcher.ports(process, files.unwatched()),
            lambda world: reap_queued.reap_queued(world, context, REAPED, limit_s=limit_s),
        )
