"""The virtual clock: one order of events, whoever waits."""

from __future__ import annotations

import pytest

from accel_ci_sim.world.schedule import EPOCH, Actor, Schedule


def test_events_happen_in_the_order_of_their_times() -> None:
    """Earlier first; at the same time, first come first served; the clock shows each one's time."""
    schedule, seen = Schedule(), list[tuple[str, float]]()
    for name, seconds in (("late", 5.0), ("early", 1.0), ("early too", 1.0)):
        schedule.after(seconds, lambda name=name: seen.append((name, schedule.now - EPOCH)))  # type: ignore[misc]
    schedule.run()
    assert seen == [("early", 1.0), ("early too", 1.0), ("late", 5.0)]


def test_actors_take_turns_by_their_wake_times() -> None:
    """Two actors that pause for 2 and 3 seconds are woken at 2, 3, 4, 6 and 6, never both at once."""
    schedule, seen = Schedule(), list[tuple[str, float]]()

    def body(name: str, seconds: float) -> None:
        def live(actor: Actor) -> None:
            for _ in range(3):
                schedule.pause(actor, seconds)
                seen.append((name, schedule.now - EPOCH))

        schedule.spawn(live)

    body("two", 2.0)
    body("three", 3.0)
    schedule.run()
    assert seen == [("two", 2.0), ("three", 3.0), ("two", 4.0), ("three", 6.0), ("two", 6.0), ("three", 9.0)]


def test_a_pause_without_company_is_no_switch() -> None:
    """An actor that is alone goes on at once, however long it pauses."""
    schedule = Schedule()

    def live(actor: Actor) -> None:
        for _ in range(1000):
            schedule.pause(actor, 1e9)

    schedule.spawn(live)
    schedule.run()
    assert schedule.now == pytest.approx(EPOCH + 1e12)


def test_a_woken_actor_goes_on_early() -> None:
    """Waking ends the pause, and the old wake time means nothing any more."""
    schedule, seen = Schedule(), list[float]()

    def live(actor: Actor) -> None:
        schedule.after(4.0, lambda: schedule.wake(actor))
        for _ in range(2):
            schedule.pause(actor, 10.0)
            seen.append(schedule.now - EPOCH)

    schedule.spawn(live)
    schedule.run()
    assert seen == [4.0, 14.0]


def test_what_an_actor_raises_ends_the_run() -> None:
    """The main thread raises it, even when others still wait."""
    schedule = Schedule()

    def fail(actor: Actor) -> None:
        schedule.pause(actor, 1.0)
        raise RuntimeError("mistake in the simulator")

    schedule.spawn(fail)
    schedule.spawn(lambda actor: schedule.pause(actor, 5.0))
    with pytest.raises(RuntimeError, match="mistake in the simulator"):
        schedule.run()


def test_what_an_action_raises_is_not_lost_in_the_code_under_test() -> None:
    """An actor that swallows everything cannot hide a mistake of the model."""
    schedule = Schedule()

    def swallow(actor: Actor) -> None:
        try:
            schedule.pause(actor, 5.0)
        except ZeroDivisionError:
            pass

    schedule.after(1.0, lambda: 1 // 0)  # type: ignore[arg-type]
    schedule.spawn(swallow)
    with pytest.raises(ZeroDivisionError):
        schedule.run()


def test_hundreds_of_actors() -> None:
    """Each gets its turn, whatever threads carry them."""
    schedule, seen = Schedule(), list[int]()
    for number in range(300):

        def live(actor: Actor, number: int = number) -> None:
            schedule.pause(actor, 300.0 - number)
            seen.append(number)

        schedule.spawn(live)
    schedule.run()
    assert seen == list(range(299, -1, -1))
