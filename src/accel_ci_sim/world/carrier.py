"""Threads that carry actors: only the holder of the baton runs, so that the order is the schedule's alone."""

from __future__ import annotations

import threading
from collections.abc import Callable

_idle: list[Carrier] = []


class Carrier(threading.Thread):
    """A thread that lives through one body after another; it sleeps until it is woken, one wake for one sleep."""

    def __init__(self) -> None:
        super().__init__(name="accel-ci-sim", daemon=True)
        self._awake = threading.Lock()
        self._awake.acquire()
        self._body: Callable[[], Callable[[], None]] | None = None
        self.start()

    def begin(self, body: Callable[[], Callable[[], None]]) -> None:
        """Let the thread run `body` now, and what it returns once the thread counts as idle again."""
        self._body = body
        self.wake()

    def wake(self) -> None:
        """End the thread's present or next sleep."""
        self._awake.release()

    def sleep(self) -> None:
        """Return once somebody woke this thread. Only the thread itself may call it."""
        self._awake.acquire()

    def run(self) -> None:
        """Carry bodies for as long as the process lives."""
        while True:
            self.sleep()
            assert self._body is not None
            hand_over = self._body()
            _idle.append(self)  # before the baton goes: whoever gets it may want a thread
            hand_over()


def take() -> Carrier:
    """A thread that waits for a body."""
    return _idle.pop() if _idle else Carrier()
