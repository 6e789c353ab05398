"""Time."""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    """Wall-clock time and waiting. Nobody else may sleep or read the time."""

    def now(self) -> float:
        """Seconds since 1970, UTC."""

    def sleep(self, seconds: float) -> None:
        """Return after `seconds`; raise CancelledError when asked to stop meanwhile."""
