"""A CI runner: what it does to the step that runs when the job is cancelled, or the runner lost."""

from __future__ import annotations

from typing import Protocol

from accel_ci_sim.world.schedule import Schedule

KILL_AFTER_S = 10.0  # SIGINT, 7.5 s, SIGTERM, 2.5 s, SIGKILL: actions/runner 2.336.0, ProcessInvoker.cs:32-33
ALWAYS_BUDGET_S = 285.0  # for all that a cancelled job still does: JobDispatcher.cs:1279-1285


class Step(Protocol):
    """A step's process."""

    def interrupt(self) -> None:
        """SIGINT. The SIGTERM that follows means the same, so that a program may ignore it."""

    def kill(self) -> None:
        """SIGKILL; nothing happens when it is over."""


class Runner:
    """One runner with one job. `cancelled`: only always() steps start. `lost`: nothing starts any more."""

    def __init__(self, schedule: Schedule) -> None:
        self.cancelled = False
        self.lost = False
        self._schedule = schedule
        self._step: Step | None = None
        self._always = False

    def starts(self, step: Step, *, always: bool) -> None:
        """The job's next step runs from now on."""
        self._step = step
        self._always = always

    def cancel(self, *, patient: bool) -> None:
        """The job is cancelled. A step with always() goes on; a patient user of a terminal sends no SIGKILL."""
        self.cancelled = True
        if self._step is not None and not self._always:
            self._step.interrupt()
            if not patient:
                self._schedule.after(KILL_AFTER_S, self._step.kill)
        self._schedule.after(ALWAYS_BUDGET_S, self.lose)

    def lose(self) -> None:
        """The runner is gone, and with it what runs there: not even always() steps follow."""
        self.lost = True
        self.kill()

    def kill(self) -> None:
        """SIGKILL for the running step alone."""
        if self._step is not None:
            self._step.kill()
