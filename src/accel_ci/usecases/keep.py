"""keep: let a machine live on for debugging, for a known time at a known price."""

from __future__ import annotations

from accel_ci.domain import errors, lease
from accel_ci.domain.lease import Owner
from accel_ci.domain.machine import Machine
from accel_ci.operations import release
from accel_ci.ports.world import World
from accel_ci.render import units

LABEL = "accel-ci-keep-until"


def keep(world: World, wanted: str, *, repository_id: int, seconds: float) -> float:
    """Until when (seconds since 1970) no cleanup and no sweep ends the repository's machine of this handle or name.

    ConfigurationError when there is no such machine, or its cloud ends it earlier whatever we say.
    """
    machine, until = _found(world, wanted, repository_id), world.clock.now() + seconds
    world.machines.annotate(machine.handle, LABEL, str(int(until)))
    rate = release.price(world, machine)
    cost = "" if rate is None else f": {units.dollars(rate)} an hour, {units.dollars(rate * seconds / 3600)} until then"
    world.job.warning("kept machine", f"{machine.handle} lives, and costs money, until {units.moment(until)}{cost}")
    expiry = lease.expires_at(machine.labels)
    limits = world.machines.capabilities(machine.handle)
    if limits.native_lifetime_limit and not limits.extendable and expiry is not None and expiry < until:
        world.job.warning("kept machine", f"its own limit may end it at {units.moment(expiry)} all the same")
    world.job.log(f"end it earlier: {world.machines.release_command(machine.handle)}")
    return until


def _found(world: World, wanted: str, repository_id: int) -> Machine:
    # By the listing, not by the name alone: nobody keeps another repository's machine.
    handles: list[str] = []
    for machine in release.listed(world, Owner(repository_id=repository_id)):
        if wanted in (machine.handle, machine.name):
            return machine
        handles.append(machine.handle)
    names = ", ".join(handles) or "none"
    raise errors.ConfigurationError(
        f"this repository has no machine {wanted!r}", what_to_do=f"these exist now: {names}"
    )
