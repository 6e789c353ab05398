"""The CI runner of the model, by the rules of the real one."""

from __future__ import annotations

from dataclasses import dataclass, field

from accel_ci_sim.world.runner import Runner
from accel_ci_sim.world.schedule import EPOCH, Schedule


@dataclass
class Step:
    """Notes the second of each signal."""

    schedule: Schedule
    signals: list[tuple[str, float]] = field(default_factory=list)

    def interrupt(self) -> None:
        """SIGINT."""
        self.signals.append(("INT", self.schedule.now - EPOCH))

    def terminate(self) -> None:
        """SIGTERM."""
        self.signals.append(("TERM", self.schedule.now - EPOCH))

    def kill(self) -> None:
        """SIGKILL."""
        self.signals.append(("KILL", self.schedule.now - EPOCH))


def _cancelled(*, always: bool, patient: bool = False) -> tuple[Runner, Step]:
    schedule = Schedule()
    runner, step = Runner(schedule), Step(schedule)
    runner.starts(step, always=always)
    runner.cancel(patient=patient)
    schedule.run()
    return runner, step


def test_a_cancelled_step_is_interrupted_and_killed() -> None:
    """SIGINT at once, SIGTERM after 7.5 s, SIGKILL after 10 s, and the runner is gone after 285 s."""
    runner, step = _cancelled(always=False)
    assert step.signals == [("INT", 0.0), ("TERM", 7.5), ("KILL", 10.0), ("KILL", 285.0)]
    assert runner.cancelled and runner.lost


def test_an_always_step_goes_on() -> None:
    """It gets no signal, and has what is left of 285 s."""
    assert _cancelled(always=True)[1].signals == [("KILL", 285.0)]


def test_a_person_sends_one_signal() -> None:
    """Ctrl-C is followed by patience."""
    assert _cancelled(always=False, patient=True)[1].signals == [("INT", 0.0), ("KILL", 285.0)]


def test_a_lost_runner_takes_its_step_along() -> None:
    """SIGKILL, and nothing starts any more; without a step there is nothing to kill."""
    schedule = Schedule()
    runner, step = Runner(schedule), Step(schedule)
    runner.kill()
    runner.starts(step, always=True)
    runner.lose()
    assert step.signals == [("KILL", 0.0)] and runner.lost


def test_a_forced_cancel_spares_nobody() -> None:
    """always() steps get the signals, too, and nothing starts any more."""
    schedule = Schedule()
    runner, step = Runner(schedule), Step(schedule)
    runner.starts(step, always=True)
    runner.force()
    schedule.run()
    assert step.signals == [("INT", 0.0), ("TERM", 7.5), ("KILL", 10.0)]
    assert runner.dead and runner.cancelled and not runner.lost


def test_a_forced_cancel_between_two_steps_ends_nothing() -> None:
    """There is no process to signal; the next one never starts."""
    runner = Runner(Schedule())
    runner.force()
    assert runner.dead
