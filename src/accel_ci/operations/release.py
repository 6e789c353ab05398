"""Ending machines: everything is released first, then each is verified to be gone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from accel_ci.domain import errors
from accel_ci.domain.lease import Owner
from accel_ci.domain.machine import Machine, MachineSpec
from accel_ci.domain.runkey import RunKey
from accel_ci.ports.world import World

LISTING_LIMIT_S = 60.0
# To delete what is still being made may be refused: it is asked for again.
RESEND_S = 10.0
LONGEST_PAUSE_S = 2.0


def found(world: World, key: RunKey, *, zones: Sequence[str], limit_s: float) -> list[Machine]:
    """The machines of this very key, asked for again while the cloud does not answer."""
    deadline = world.clock.now() + limit_s
    for pause in pauses():
        try:
            return world.machines.find(key, zones)
        except errors.TransientError as error:
            if world.clock.now() >= deadline:
                raise errors.CleanupUnverifiedError(
                    f"could not look up {key.name}: {error}", commands=(f"accel-ci cleanup  # {key.name}",)
                ) from error
            world.clock.sleep(pause)
    raise AssertionError("pauses never end")


def listed(world: World, owner: Owner) -> list[Machine]:
    """What the owner's listing shows, asked for again for a minute; CleanupUnverifiedError without any listing."""
    deadline = world.clock.now() + LISTING_LIMIT_S
    for pause in pauses():
        try:
            return world.machines.list_owned(owner)
        except errors.TransientError as error:
            if world.clock.now() >= deadline:
                raise errors.CleanupUnverifiedError(
                    f"could not list the machines: {error}", commands=("accel-ci cleanup",)
                ) from error
            world.clock.sleep(pause)
    raise AssertionError("pauses never end")


def verified(world: World, handles: Sequence[str], *, limit_s: float) -> None:
    """Release the machines and return once all are gone; CleanupUnverifiedError names those that are not."""
    left = end(world, handles, limit_s=limit_s)
    if left:
        commands = tuple(world.machines.release_command(handle) for handle in left)
        raise errors.CleanupUnverifiedError(
            f"{len(left)} machine(s) may still live after {limit_s:.0f} s: {', '.join(left)}", commands=commands
        )


def end(world: World, handles: Sequence[str], *, limit_s: float, resend_s: float = RESEND_S) -> list[str]:
    """Release all machines first, then watch them go; the handles that could not be verified after `limit_s` seconds."""
    now = world.clock.now()
    deadline, resend_at, left = now + limit_s, now, list(handles)
    for pause in pauses():
        if world.clock.now() >= resend_at:
            resend_at = world.clock.now() + resend_s
            # All are asked to end before one is waited for: a job that is killed in between has still asked.
            for handle in left:
                send(world, handle)
        left = [handle for handle in left if not _gone(world, handle)]
        if not left or world.clock.now() >= deadline:
            return left
        world.job.status(f"waiting for {len(left)} machine(s) to be gone")
        world.clock.sleep(pause)
    raise AssertionError("pauses never end")


def send(world: World, handle: str) -> bool:
    """Ask for the machine's end once; False when the cloud did not take the request."""
    try:
        world.machines.release(handle)
    except errors.CloudError as error:
        world.job.log(f"release of {handle} was not accepted yet: {error}")
        return False
    return True


def price(world: World, machine: Machine) -> float | None:
    """What the machine costs an hour in US dollars; None when nobody knows."""
    spec = MachineSpec(
        backend=machine.backend, accelerator=machine.accelerator, zones=(machine.zone,), spot=machine.spot
    )
    try:
        return world.machines.candidates(spec)[0].dollars_per_hour
    except errors.AccelError:
        return None


def pauses() -> Iterator[float]:
    """Seconds to wait between two looks: quick at first, then never more than two seconds."""
    pause = 0.05
    while True:
        yield pause
        pause = min(pause * 1.6, LONGEST_PAUSE_S)


def _gone(world: World, handle: str) -> bool:
    try:
        return world.machines.released(handle)
    # "I may not look" or "I do not answer" is never "it is gone".
    except errors.CloudError:
        return False
