"""A clock that moves only when somebody sleeps."""

from __future__ import annotations

from accel_ci.domain.errors import CancelledError

START = 1_800_000_000.0


class FakeClock:
    """Virtual time. `slept` holds every wait; `cancel_at` is the moment at which a sleeper gets CancelledError."""

    def __init__(self, start: float = START, *, cancel_at: float | None = None) -> None:
        self.time = start
        self.cancel_at = cancel_at
        self.slept: list[float] = []

    def now(self) -> float:
        """The virtual time, seconds since 1970."""
        return self.time

    def sleep(self, seconds: float) -> None:
        """Move the time on, without waiting."""
        wakes_at = self.time + max(0.0, seconds)
        self.slept.append(seconds)
        if self.cancel_at is not None and self.cancel_at <= wakes_at:
            self.time, self.cancel_at = max(self.time, self.cancel_at), None
            raise CancelledError("asked to stop")
        self.time = wakes_at

    def advance(self, seconds: float) -> None:
        """Let time pass while nobody sleeps."""
        self.time += seconds
