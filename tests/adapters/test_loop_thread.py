"""The loop behind synchronous ports, whose callers may be interrupted at any moment."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest

from accel_ci.adapters.loop_thread import LoopThread
from accel_ci.domain.errors import CancelledError

T = TypeVar("T")


class _Interrupted(LoopThread):
    """Its caller gets a signal just before it hears of what it asked for."""

    interrupts = False

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        answer = super().run(work)
        if self.interrupts:
            raise CancelledError("SIGINT asked us to stop")
        return answer


def test_what_was_begun_ends_though_nobody_heard_of_it() -> None:
    """A signal between the begin and the caller's knowing: `close` ends the work all the same, and waits for its cleanup."""
    loop, ended = _Interrupted(), list[str]()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cleaned up")

    async def nothing() -> None:
        return

    loop.run(asyncio.sleep(0))
    loop.interrupts = True
    with pytest.raises(CancelledError):
        _ = loop.begin(work())
    loop.interrupts = False
    loop.run(asyncio.sleep(0))  # the work runs by now
    assert len(loop._begun) == 1
    loop.close(nothing)
    assert ended == ["cleaned up"]
