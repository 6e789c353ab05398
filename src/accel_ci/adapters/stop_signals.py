"""SIGINT and SIGTERM as CancelledError, raised once in the main thread, and so that nobody can swallow it."""

from __future__ import annotations

import atexit
import signal
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from types import CodeType, FrameType

from accel_ci.domain.errors import CancelledError

TICK_S = 0.1
_IMPORTING = {"importlib._bootstrap", "_frozen_importlib"}
# Torn apart they lose a thread, a lock or a child that nobody could end any more; none of them lasts.
_DELICATE = {
    ("threading", "start"),
    ("threading", "__enter__"),
    ("threading", "__exit__"),
    ("threading", "_acquire_restore"),
    ("threading", "_release_save"),
    ("threading", "notify"),
    ("subprocess", "_execute_child"),
}


class StopSignals:
    """The first signal cancels; those that follow find us cleaning up already.

    A runner gives a cancelled step 7.5 s until SIGTERM and 2.5 s more until SIGKILL (actions/runner, ProcessInvoker.cs).
    Cancelled is the code `below` and what it calls; a signal that comes before waits for it. None: whatever runs.
    """

    def __init__(self, below: CodeType | None = None) -> None:
        self._below = below
        self._why = ""
        self._ends_at = float("inf")
        self._limit_why = ""
        self._raised: weakref.ref[CancelledError] | None = None

    def listen(self) -> None:
        """Cancel at the first signal from now on, until `settle`."""
        signal.signal(signal.SIGALRM, self._tick)  # first: it would end us, and the first of the others rings it
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._told)  # later ones too: SIG_IGN would be inherited by what we start
        atexit.register(_be_deaf)

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
        if self._may_be_torn(frame):
            raise self._error()

    def _may_be_torn(self, frame: FrameType | None) -> bool:
        """False amid what has to be whole, such as an import: cleanup may need it, and the next tick comes soon."""
        below = self._below is None
        while frame is not None:
            module = frame.f_globals.get("__name__")
            if module in _IMPORTING or (module, frame.f_code.co_name) in _DELICATE:
                return False
            below = below or frame.f_code is self._below
            frame = frame.f_back
        return below

    # A function of its own: a variable of the frame that raises would hold the error in a cycle.
    def _error(self) -> CancelledError:
        error = CancelledError(self._why, what_to_do="run it again when you want to")
        self._raised = weakref.ref(error)
        return error


def _be_deaf() -> None:
    # Python gives signals their old meaning back when it ends: one that comes then would take the exit code's place.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def _ignored(number: int, frame: FrameType | None) -> None:
    """The process ends already."""
