"""Lanes as threads of this process. What hangs in one dies with the process, which waits for none of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from types import TracebackType

from accel_ci.ports.lanes import Lane


class ThreadLanes:
    """A thread for each lane and for each call, all of them short: they wait for a cloud's answer."""

    def run(self, lanes: Sequence[Lane], *, limit_s: float) -> bool:
        """See ports.lanes.Lanes."""
        crew = _Crew()
        for lane in lanes:
            crew.begin(partial(crew.follow, lane))
        return crew.wait(limit_s)


class _Crew:
    """The threads of one run."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._at_work = 0
        self._over = False
        self._failure: BaseException | None = None

    def begin(self, call: Callable[[], None]) -> None:
        """Make the call in a thread of its own."""
        with self._changed:
            self._at_work += 1
        # Not a pool: the interpreter waits for a pool's threads at exit, and a cancelled step has seconds.
        threading.Thread(target=self._make, args=(call,), name="lane", daemon=True).start()

    def follow(self, lane: Lane) -> None:
        """Begin what the lane gives, as it comes, until nobody waits any more."""
        for call in lane:
            if self._over:
                return
            self.begin(call)

    def wait(self, limit_s: float) -> bool:
        """See ports.lanes.Lanes.run."""
        until = time.monotonic() + limit_s
        try:
            with self._changed:
                # A wait with a limit lets signal handlers run, which may raise out of it.
                self._changed.wait_for(lambda: not self._at_work or self._failure, until - time.monotonic())
                if self._failure is not None:
                    raise self._failure
                return not self._at_work
        finally:
            self._over = True

    def _make(self, call: Callable[[], None]) -> None:
        with self:
            call()

    def __enter__(self) -> None:
        """A thread's work begins."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> bool:
        """It ends; an error of it is for whoever waits, for a thread's own end would be silent."""
        with self._changed:
            self._at_work -= 1
            self._failure = self._failure or error
            self._changed.notify_all()
        return True
