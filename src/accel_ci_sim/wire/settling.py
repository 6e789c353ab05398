"""Waiting for operations of the simulated cloud to end."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from contextlib import suppress
from typing import Protocol


class Ending(Protocol, Hashable):
    """An operation that is over once it has an end."""

    @property
    def ended_at(self) -> float | None:
        """Seconds since 1970; None while it goes on."""


class Settling:
    """Who waits for what. `ended` is told of every operation that ends."""

    def __init__(self) -> None:
        self._waiting: dict[Ending, asyncio.Event] = {}

    async def over(self, operation: Ending, within_s: float) -> None:
        """Return when the operation is over, or after that many seconds."""
        if operation.ended_at is None:
            # Several may wait for the same operation.
            ended = self._waiting.setdefault(operation, asyncio.Event())
            with suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), within_s)

    def ended(self, operation: Ending) -> None:
        """The operation is over."""
        event = self._waiting.pop(operation, None)
        if event is not None:
            event.set()
