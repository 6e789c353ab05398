"""Repeating what may be repeated while a machine cannot be reached for a moment."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from accel_ci.domain import errors
from accel_ci.operations import release
from accel_ci.ports.world import World

Answer = TypeVar("Answer")

LIMIT_S = 90.0


def retried(world: World, call: Callable[[], Answer], *, what: str, limit_s: float = LIMIT_S) -> Answer:
    """The answer of an idempotent `call`, asked again for up to `limit_s` seconds while it fails with TransientError."""
    deadline = world.clock.now() + limit_s
    for pause in release.pauses():
        try:
            return call()
        except errors.TransientError as error:
            if world.clock.now() >= deadline:
                raise
            world.job.status(f"{what}: {error}; trying again")
            world.clock.sleep(pause)
    raise AssertionError("pauses never end")
