"""Repeating what may be repeated while a machine cannot be reached for a moment."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from accel_ci.domain import errors
from accel_ci.domain.machine import Machine
from accel_ci.operations import release
from accel_ci.ports.machines import Machines
from accel_ci.ports.world import World

Answer = TypeVar("Answer")

LIMIT_S = 90.0
LOOK_S = 10.0


def retried(
    world: World,
    call: Callable[[], Answer],
    *,
    what: str,
    limit_s: float = LIMIT_S,
    look: Callable[[], None] = lambda: None,
) -> Answer:
    """The answer of an idempotent `call`, asked again for up to `limit_s` seconds while it fails with TransientError.

    `look` is made when it failed, and now and then: what it raises ends the waiting.
    """
    deadline, look_at = world.clock.now() + limit_s, 0.0
    for pause in release.pauses():
        try:
            return call()
        except errors.TransientError as error:
            if world.clock.now() >= deadline:
                raise
            if world.clock.now() >= look_at:
                look()
                look_at = world.clock.now() + LOOK_S
            world.job.status(f"{what}: {error}; trying again")
            world.clock.sleep(pause)
    raise AssertionError("pauses never end")


def ended(machines: Machines, machine: Machine) -> str:
    """Why the machine is not there any more; "" while it is, and where nobody can say."""
    try:
        return machines.interruption(machine.handle) or ("somebody ended it" * machines.released(machine.handle))
    except (errors.CloudError, errors.ConfigurationError):
        return ""
