"""Pipes out of a process that outlives whoever listens to it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable
from typing import Protocol

BUFFER = 256 * 1024


class Sink(Protocol):
    """Where bytes go, no faster than they are taken."""

    def write(self, data: bytes, /) -> object:
        """Take these bytes."""

    def drain(self) -> Awaitable[object]:
        """Wait until more can be taken."""


class Outlet:
    """A pipe whose `inner` end is for a child. asyncio's own pipes kill the child when one stops to listen; these do not."""

    def __init__(self) -> None:
        self._outer, self.inner = os.pipe()
        self._transport: asyncio.ReadTransport | None = None

    async def drain_to(self, sink: Sink) -> None:
        """Hand on what the child writes until nobody holds its end any more."""
        # Only when nobody holds that end any more does the reader see the end.
        os.close(self.inner)
        self.inner = -1
        reader = asyncio.StreamReader(BUFFER)
        file = os.fdopen(self._outer, "rb", buffering=0)
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), file)
        while data := await reader.read(BUFFER):
            sink.write(data)
            # A client that reads slowly slows the command down, as a real ssh does.
            await sink.drain()

    def close(self) -> None:
        """Stop listening."""
        if self._transport is not None:
            self._transport.close()
        elif self.inner != -1:
            os.close(self.inner)
            os.close(self._outer)
