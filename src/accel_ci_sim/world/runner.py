"""A CI runner: what it does to the step that runs when the job is cancelled, or the runner lost."""

from __future__ import annotations

from typing import Protocol

from accel_ci_sim.world.schedule import Schedule

# SIGINT, 7.5 s, SIGTERM, 2.5 s, SIGKILL, each for the step's own process alone: actions/runner 2.336.0, ProcessInvoker.cs.
TERM_AFTER_S = 7.5
KILL_AFTER_S = 10.0
ALWAYS_BUDGET_S = 285.0  # for all that a cancelled job still does: JobDispatcher.cs:1279-1285


class Step(Protocol):
    """A step's process."""

    def interrupt(self) -> None:
        """SIGINT."""

    def terminate(self) -> None:
        """SIGTERM."""

    def kill(self) -> None:
        """SIGKILL; nothing happens when it is over."""


class Runner:
    """One runner with one job. `cancelled`: only always() steps start. `forced` and `lost`: nothing starts any more."""

    def __init__(self, schedule: Schedule) -> None:
        self.cancelled = False
        self.forced = False
        self.lost = False
        self._schedule = schedule
        self._step: Step | None = None
        self._always = False

    @property
    def dead(self) -> bool:
        """True when no step starts here any more."""
        return self.lost or self.forced

    def starts(self, step: Step, *, always: bool) -> None:
        """The job's next step runs from now on."""
        self._step = step
        self._always = always

    def cancel(self, *, patient: bool) -> None:
        """The job is cancelled. A step with always() goes on; a patient user of a terminal sends one signal only."""
        self.cancelled = True
        # A step whose always() is still true is left to run: StepsRunner.cs.
        if not self._always:
            self._signal(patient=patient)
        # One budget for every step that follows, not one for each.
        self._schedule.after(ALWAYS_BUDGET_S, self.lose)

    def force(self) -> None:
        """The run is force-cancelled: no condition is looked at any more, always() neither."""
        # GitHub's REST reference: force-cancel bypasses conditions such as always().
        self.cancelled = self.forced = True
        self._signal(patient=False)

    def lose(self) -> None:
        """The runner is gone, and with it what runs there: not even always() steps follow."""
        self.lost = True
        self.kill()

    def kill(self) -> None:
        """SIGKILL for the running step alone."""
        if self._step is not None:
            # The step's own process alone: on Linux what it started lives on (ProcessInvoker.cs, NixKillProcessTree).
            self._step.kill()

    def _signal(self, *, patient: bool) -> None:
        if self._step is None:
            return
        self._step.interrupt()
        if not patient:
            self._schedule.after(TERM_AFTER_S, self._step.terminate)
            self._schedule.after(KILL_AFTER_S, self._step.kill)
