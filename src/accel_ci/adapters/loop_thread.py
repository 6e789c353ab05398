"""One asyncio loop in a background thread, for adapters that do many things at once behind a synchronous port."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Collection, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

# ssh takes a moment to close a connection; nobody waits longer for what is thrown away.
SETTLE_S = 5.0


class LoopThread:
    """Runs coroutines for callers of other threads, until it is closed."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._begun: set[asyncio.Task[Any]] = set()
        # A daemon: a process that dies in the middle must not hang on its loop.
        self._thread = threading.Thread(target=self._loop.run_forever, name="accel-ci-loop", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """What the work returns or raises; the work is cancelled when this thread is interrupted meanwhile."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        finally:
            # The caller may have been interrupted: without this the work would go on with nobody to hear of it.
            future.cancel()

    def begin(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """The work as a task that runs in the background until it is ended, or the loop is closed."""
        return self.run(self._task(work))

    def end(self, task: asyncio.Task[Any]) -> None:
        """Cancel the task and wait until it has cleaned up; whatever it raised is dropped."""
        if task in self._begun:
            self._begun.discard(task)
            self.run(_ended([task]))

    def close(self, last: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """End what was begun, do `last`, let the rest clean up, and end the thread; nothing when that was done before."""
        if self._loop.is_closed():
            return
        begun, self._begun = self._begun, set()
        try:
            self.run(_ended(begun))
            self.run(last())
            self.run(_settled())
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    async def _task(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        # Noted here: whoever began it may be interrupted before they hear of it.
        self._begun.add(task)
        return task


async def _ended(tasks: Collection[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _settled() -> None:
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    if rest:
        await asyncio.wait(rest, timeout=SETTLE_S)
