"""SIGINT and SIGTERM as CancelledError, raised once in the main thread, and so that nobody can swallow it."""

from __future__ import annotations

import signal
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from accel_ci.domain.errors import CancelledError

TICK_S = 0.1
_IMPORTING = {"importlib._bootstrap", "_frozen_importlib"}


class StopSignals:
    """The first signal cancels; those that follow find us cleaning up already.

    A runner gives a cancelled step 7.5 s until SIGTERM and 2.5 s more until SIGKILL (actions/runner, ProcessInvoker.cs).
    """

    def __init__(self) -> None:
        self._why = ""
        self._ends_at = float("inf")
        self._limit_why = ""
        self._raised: weakref.ref[CancelledError] | None = None

    def listen(self) -> None:
        """Cancel at the first signal from now on, until `settle`."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._told)  # later ones too: SIG_IGN would be inherited by what we start
        signal.signal(signal.SIGALRM, self._tick)

    def settle(self) -> None:
        """Cancel nothing any more: the process is about to end."""
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        self._raised = None
        self._why, self._ends_at = "", float("inf")
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, _ignored)

    @contextmanager
    def within(self, seconds: float, *, why: str) -> Iterator[None]:
        """What is inside is cancelled, as by a signal, when it takes longer."""
        self._ends_at = time.monotonic() + seconds
        self._limit_why = why
        self._watch()
        try:
            yield
        finally:
            self._ends_at = float("inf")

    def _told(self, number: int, frame: FrameType | None) -> None:
        if not self._why:
            self._cancel(f"{signal.Signals(number).name} asked us to stop", frame)

    def _tick(self, number: int, frame: FrameType | None) -> None:
        if not self._why and time.monotonic() >= self._ends_at:
            self._cancel(self._limit_why, frame)
        elif self._why and (self._raised is None or self._raised() is None):
            # A finalizer, or a library that catches whatever comes, let our error go: nobody holds it any more.
            self._raise(frame)

    def _cancel(self, why: str, frame: FrameType | None) -> None:
        self._why = why
        self._watch()
        self._raise(frame)

    def _watch(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, TICK_S, TICK_S)

    def _raise(self, frame: FrameType | None) -> None:
        if _importing(frame):
            return  # half a module could not be imported again, and cleanup may need it; the next tick comes soon
        raise self._error()

    # A function of its own: a variable of the frame that raises would hold the error in a cycle.
    def _error(self) -> CancelledError:
        error = CancelledError(self._why, what_to_do="run it again when you want to")
        self._raised = weakref.ref(error)
        return error


def _importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_globals.get("__name__") in _IMPORTING:
            return True
        frame = frame.f_back
    return False


def _ignored(number: int, frame: FrameType | None) -> None:
    """The process ends already."""
