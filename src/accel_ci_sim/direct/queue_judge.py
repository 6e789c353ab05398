"""The rule about runs that wait in GitHub's queue: who may cancel which."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from accel_ci.usecases.reap_queued import PATIENCE_S
from accel_ci_sim.direct.scene import Scene
from accel_ci_sim.world.github import Run

OWN = 9999  # the run that reaps
LOOK_S = PATIENCE_S  # longer ago, and another look is asked for; a call with its waits takes no longer


@dataclass(frozen=True, slots=True)
class _Look:
    """What a process was told about a run's jobs: when, of which attempt, and since when the oldest job waits."""

    at: float
    attempt: int
    since: float
    forbidden: str


@dataclass(slots=True)
class QueueJudge:
    """I-queue over one world: `workflows` and `limit_s` are what reap-queued was asked for."""

    scene: Scene
    workflows: tuple[str, ...] = ()
    limit_s: float = 0.0
    cancelled: Callable[..., None] | None = None  # who hears of it
    _looks: dict[tuple[int, int], _Look] = field(default_factory=dict)

    def looks(self, process: int, run: Run) -> None:
        """A process asks for the run's jobs: what is true now."""
        waiting = [job.created_at for job in run.jobs if job.status == "queued"]
        working = [job.name for job in run.jobs if job.status == "in_progress"]
        forbidden = "it is over" if run.status == "completed" else ""
        forbidden = f"{working[0]} is in progress" if working else forbidden if waiting else "no job of it waits"
        self._looks[process, run.id] = _Look(self.scene.schedule.now, run.attempt, min(waiting, default=0.0), forbidden)

    def cancels(self, process: int, run: Run, *, asked_at: float) -> None:
        """I-queue: only what had waited too long when it was looked at last, just before the call that began then."""
        now, look = self.scene.schedule.now, self._looks.get((process, run.id))
        if run.id == OWN:
            return self._broken(run, "which reaps")
        if run.workflow not in self.workflows:
            return self._broken(run, f"of {run.workflow}")
        if run.status == "completed":
            return None  # GitHub refuses, and nothing happens
        if look is None or now - look.at > LOOK_S:
            return self._broken(run, "and did not look at its jobs before")
        # GitHub ends runs by their id: a request that is late, or doubled, ends the attempt that began meanwhile.
        if look.attempt != run.attempt and run.started_at < asked_at:
            return self._broken(run, f"attempt {run.attempt}, and looked at attempt {look.attempt}")
        if look.forbidden:
            return self._broken(run, f"although {look.forbidden}")
        # GitHub tells whole seconds.
        if now - look.since <= self.limit_s - 1.0:
            self._broken(run, f"which waits for {now - look.since:.0f} s, the limit is {self.limit_s:.0f} s")
        return None

    def rested(self, *, since: float) -> None:
        """I-queue, once faults have stopped and the reaper came by: what waited too long when it began waits no more."""
        for run in self.scene.github.runs.values():
            waits = [job.created_at for job in run.jobs if job.status == "queued"]
            # Who was run again while it waited for the end of others is the next reaper's.
            waited_s = since - min(waits, default=since)
            if waited_s > self.limit_s and run.id != OWN and run.workflow in self.workflows:
                self.scene.broken(
                    "I-queue", f"run {run.id} waited for {waited_s:.0f} s before the last reaper, and still"
                )

    def _broken(self, run: Run, what: str) -> None:
        self.scene.broken("I-queue", f"the reaper cancels run {run.id}, {what}")
