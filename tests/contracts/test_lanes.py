"""What every way to go down lanes promises, and what only threads can."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType

import pytest

from accel_ci.adapters.lanes_threads import ThreadLanes
from accel_ci.domain.errors import CancelledError
from accel_ci.ports.lanes import Lanes
from accel_ci_sim.direct.lanes import Lanes as SimulatedLanes
from tests.fakes.lanes import FakeLanes

KINDS: dict[str, Callable[[], Lanes]] = {"threads": ThreadLanes, "fake": FakeLanes, "simulated": SimulatedLanes}
LIMIT_S = 60.0


@pytest.fixture(params=KINDS)
def lanes(request: pytest.FixtureRequest) -> Lanes:
    """Each kind in turn."""
    return KINDS[request.param]()


def _wait(never: threading.Event) -> None:
    never.wait()


def test_everything_is_done(lanes: Lanes) -> None:
    """Every call of every lane was made when it returns, and it says so."""
    done: list[int] = []

    def lane(start: int) -> Iterator[Callable[[], None]]:
        for number in range(start, start + 3):
            yield lambda number=number: done.append(number)  # type: ignore[misc]

    assert lanes.run([lane(0), lane(10)], limit_s=LIMIT_S)
    assert sorted(done) == [0, 1, 2, 10, 11, 12]


def test_nothing_to_do(lanes: Lanes) -> None:
    """No lane, or an empty one, is over at once."""
    assert lanes.run([], limit_s=LIMIT_S) and lanes.run([iter(())], limit_s=LIMIT_S)


def test_a_bug_is_not_swallowed(lanes: Lanes) -> None:
    """What leaves a call, or a lane, is raised by whoever waits."""

    def broken() -> None:
        raise ZeroDivisionError

    def lane() -> Iterator[Callable[[], None]]:
        yield from ()
        raise KeyError("lane")

    with pytest.raises(ZeroDivisionError):
        lanes.run([iter([broken])], limit_s=LIMIT_S)
    with pytest.raises(KeyError):
        lanes.run([lane()], limit_s=LIMIT_S)


def test_what_hangs_holds_up_nothing_else() -> None:
    """A lane and a call that wait for ever: the others are done, the limit is kept, and nobody waits for the rest."""
    never, done = threading.Event(), threading.Event()

    def hanging() -> Iterator[Callable[[], None]]:
        yield lambda: _wait(never)
        yield done.set
        never.wait()
        yield done.clear  # nobody makes it any more

    began = time.monotonic()
    assert not ThreadLanes().run([hanging(), iter([done.set])], limit_s=0.2)
    assert done.is_set() and time.monotonic() - began < LIMIT_S
    never.set()


def test_a_signal_ends_the_wait() -> None:
    """Whoever is told to stop stops at once, whatever hangs."""
    never = threading.Event()

    def told(_number: int, _frame: FrameType | None) -> None:
        raise CancelledError("told to stop")

    before = signal.signal(signal.SIGALRM, told)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(CancelledError):
            ThreadLanes().run([iter([lambda: _wait(never)])], limit_s=LIMIT_S)
    finally:
        signal.signal(signal.SIGALRM, before)
        never.set()
