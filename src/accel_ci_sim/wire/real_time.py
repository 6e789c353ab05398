"""The computer's own time, for models that live on virtual time elsewhere."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable


class RealTime:
    """Actions happen in the running asyncio loop, one at a time, those that are due at once in their order."""

    @property
    def now(self) -> float:
        """Seconds since 1970."""
        return time.time()

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        """Let `action` happen in that many seconds."""
        loop = asyncio.get_running_loop()
        if seconds > 0:
            loop.call_later(seconds, action)
        else:
            loop.call_soon(action)
