"""The clock port: virtual time."""

from __future__ import annotations

from accel_ci_sim.direct.process import Process


class Clock:
    """Time of one process."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def now(self) -> float:
        """Seconds since 1970."""
        return self._process.scene.schedule.now

    def sleep(self, seconds: float) -> None:
        """Wait; CancelledError when a signal comes."""
        self._process.pause(seconds)
