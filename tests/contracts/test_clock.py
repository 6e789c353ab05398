"""What every clock promises."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from types import FrameType

import pytest

from accel_ci.adapters.system_clock import SystemClock
from accel_ci.domain.errors import CancelledError
from accel_ci.ports.clock import Clock
from tests.fakes.clock import FakeClock

SOON_S = 0.02


def _alarm(_number: int, _frame: FrameType | None) -> None:
    raise CancelledError("asked to stop")


def _cancel_fake(clock: Clock) -> None:
    assert isinstance(clock, FakeClock)
    clock.cancel_at = clock.now() + SOON_S


def _cancel_system(_clock: Clock) -> None:
    signal.setitimer(signal.ITIMER_REAL, SOON_S)


CLOCKS: dict[str, tuple[Callable[[], Clock], Callable[[Clock], None]]] = {
    "fake": (FakeClock, _cancel_fake),
    "system": (SystemClock, _cancel_system),
}


@pytest.fixture(params=CLOCKS)
def clock(request: pytest.FixtureRequest) -> Clock:
    """Each clock in turn."""
    return CLOCKS[request.param][0]()


@pytest.fixture
def cancel(request: pytest.FixtureRequest, clock: Clock) -> Iterator[Callable[[], None]]:
    """Asks for a stop in a moment, in the way that reaches this clock."""
    before = signal.signal(signal.SIGALRM, _alarm)
    yield lambda: CLOCKS[request.node.callspec.params["clock"]][1](clock)
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def test_now_is_this_century(clock: Clock) -> None:
    """Time is counted in seconds since 1970, not in milliseconds and not since the start of the process."""
    assert 1_600_000_000 < clock.now() < 4_000_000_000


def test_sleep_takes_its_time(clock: Clock) -> None:
    """After a sleep at least that much time has passed."""
    before = clock.now()
    clock.sleep(SOON_S)
    assert clock.now() >= before + SOON_S - 0.001


@pytest.mark.parametrize("seconds", [0.0, -5.0])
def test_nothing_to_wait_for(clock: Clock, seconds: float) -> None:
    """A wait whose end has passed already is no error, and does not turn time back."""
    before = clock.now()
    clock.sleep(seconds)
    assert clock.now() >= before


def test_a_sleeper_is_woken(clock: Clock, cancel: Callable[[], None]) -> None:
    """A request to stop ends a long sleep at once, with CancelledError."""
    before = clock.now()
    cancel()
    with pytest.raises(CancelledError):
        clock.sleep(3600)
    assert clock.now() < before + 60


def test_sleep_works_after_a_cancel(clock: Clock, cancel: Callable[[], None]) -> None:
    """One request to stop ends one sleep: cleanup may wait afterwards."""
    cancel()
    with pytest.raises(CancelledError):
        clock.sleep(3600)
    before = clock.now()
    clock.sleep(SOON_S)
    assert clock.now() > before
