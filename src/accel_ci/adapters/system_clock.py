"""The clock of this computer."""

from __future__ import annotations

import time


class SystemClock:
    """Wall-clock time. A signal handler that raises CancelledError wakes a sleeper with it."""

    def now(self) -> float:
        """Seconds since 1970, UTC."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Return after `seconds`; at once when there is nothing to wait for."""
        time.sleep(max(0.0, seconds))
