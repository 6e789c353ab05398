"""A TCP proxy on loopback that can be cut or frozen, to see what a client makes of it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Serving:
    """An asyncio loop in a thread, for servers that tests start and stop."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """What the work returns, within 60 s."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)

    def close(self) -> None:
        """Cancel everything and end the thread."""
        self.run(_cancel_all())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


class Proxy:
    """Listens on `port` of 127.0.0.1 and passes bytes to and from a server; counts the connections it `accepted`."""

    def __init__(self, serving: Serving, server: tuple[str, int]) -> None:
        self._serving = serving
        self._server = server
        self.accepted = 0
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._listener = serving.run(self._listen())
        self.port: int = self._listener.sockets[0].getsockname()[1]

    def cut(self) -> None:
        """Break every connection that is open now."""
        self._serving.run(self._abort())

    def freeze(self) -> None:
        """Let nothing through any more, without a word to either side."""
        self._serving.loop.call_soon_threadsafe(self._flowing.clear)

    def thaw(self) -> None:
        """Let bytes through again."""
        self._serving.loop.call_soon_threadsafe(self._flowing.set)

    def close(self) -> None:
        """Stop listening and break what is open."""
        self._serving.run(self._shut())

    async def _listen(self) -> asyncio.Server:
        return await asyncio.start_server(self._serve, "127.0.0.1", 0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._server)
        except OSError:
            writer.transport.abort()
            return
        both = {writer, far_writer}
        self._writers |= both
        await asyncio.gather(self._pass(reader, far_writer), self._pass(far_reader, writer), return_exceptions=True)
        self._writers -= both
        for each in both:
            each.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(256 * 1024):
            await self._flowing.wait()
            writer.write(data)
            await writer.drain()
        writer.transport.abort()

    async def _abort(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _shut(self) -> None:
        self._listener.close()
        await self._abort()


async def _cancel_all() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
