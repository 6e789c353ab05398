"""Workflow runs that wait in GitHub's queue: strangers beside ours, and ours where no runner is free at once."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from accel_ci_sim.direct.plans import PULL
from accel_ci_sim.direct.queue_judge import OWN
from accel_ci_sim.direct.scene import Scene
from accel_ci_sim.world import dice
from accel_ci_sim.world.dice import Dice
from accel_ci_sim.world.github import Job, Run

REAPED = ("tests.yml", "nightly.yml")
WORKFLOWS = (*REAPED, "deploy.yml")
STRANGERS = 5000  # their ids are above those of ours
Pick = Callable[[], None]
End = Callable[[bool], None]


class Queue:
    """Who waits, until a runner takes them, or somebody cancels them. `limit_s` is how long they should wait at most."""

    def __init__(self, scene: Scene, stream: Dice, limit_s: float) -> None:
        self._scene = scene
        self._stream = stream
        self._limit_s = limit_s
        self._ours: dict[tuple[int, int], End] = {}  # by run and attempt

    def fill(self) -> None:
        """Let strangers come, and the run of the reaper itself, a job of which waits for ever."""
        now = self._scene.schedule.now
        self._scene.github.runs[OWN] = Run(
            id=OWN, workflow=REAPED[0], status="queued", jobs=[Job(id=1, name="later", created_at=now - 1e5)]
        )
        for number in range(STRANGERS, STRANGERS + self._stream.choice((1, 2, 3))):
            self._scene.schedule.after(self._stream.uniform(0.0, 300.0), partial(self._comes, number))

    def wait(self, run_id: int, *, picked: Pick, cancelled: End) -> None:
        """Let a run of ours wait; `cancelled` hears whether its end was forced."""
        run = self._scene.github.runs[run_id]
        self._queued(run)
        # What it does when it is cancelled is its workflow's affair.
        run.stubborn = True
        self._ours[run_id, run.attempt] = cancelled

        def pick() -> None:
            if self._ours.pop((run_id, run.attempt), None) is not None:
                run.stubborn = False
                self._works(run)
                picked()

        self._scene.schedule.after(self._wait_s(2.5), pick)

    def waits(self) -> bool:
        """True for some of our runs: no runner is free."""
        return dice.chance(self._stream, 0.5)

    def cancelled(self, run: Run, *, force: bool) -> None:
        """Somebody cancelled a run; GitHub did what it does, and the run what it has to."""
        end = self._ours.pop((run.id, run.attempt), None)
        if end is not None:
            run.stubborn = False
            end(force)
        elif run.status == "completed" and run.attempt < 3 and run.id >= STRANGERS and dice.chance(self._stream, 0.5):
            self._scene.schedule.after(self._stream.uniform(1.0, 120.0), lambda: self._again(run))

    def works_on(self, run_id: int, job: str) -> None:
        """A job of the run has its runner."""
        self._works(self._scene.github.runs[run_id], job)

    def _comes(self, number: int) -> None:
        now, github = self._scene.schedule.now, self._scene.github
        run = Run(
            id=number,
            workflow=self._stream.choice(WORKFLOWS),
            stubborn=dice.chance(self._stream, 0.2),
            pulls=(PULL,) if dice.chance(self._stream, 0.5) else (),
            created_at=now,
        )
        github.runs[number] = run
        github.lists.made("run", number)
        self._stands(run)

    def _again(self, run: Run) -> None:
        if run.status == "completed":
            run.attempt += 1
            run.conclusion = None
            self._stands(run)

    def _stands(self, run: Run) -> None:
        """It waits for a runner, for a while or for ever, and works then."""
        self._queued(run)
        attempt = run.attempt
        if dice.chance(self._stream, 0.5):
            self._scene.schedule.after(self._wait_s(2.0), lambda: self._take(run, attempt))

    def _take(self, run: Run, attempt: int) -> None:
        if (run.status, run.attempt) == ("queued", attempt):
            self._works(run)
            self._scene.schedule.after(self._stream.uniform(1.0, 600.0), lambda: self._done(run, attempt))

    def _done(self, run: Run, attempt: int) -> None:
        if (run.status, run.attempt) == ("in_progress", attempt):
            self._scene.github.put_run(run.id, "completed")
            run.jobs[0].status = "completed"

    def _queued(self, run: Run) -> None:
        now = self._scene.schedule.now
        self._scene.github.put_run(run.id, "queued")
        run.started_at, run.jobs = now, [Job(id=run.id, name="tpu", created_at=now)]

    def _works(self, run: Run, job: str = "tpu") -> None:
        self._scene.github.put_run(run.id, "in_progress")
        run.jobs = [Job(id=run.id, name=job, status="in_progress", created_at=self._scene.schedule.now)]

    def _wait_s(self, times: float) -> float:
        return self._stream.uniform(0.0, times * self._limit_s)
