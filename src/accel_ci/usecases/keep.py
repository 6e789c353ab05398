"""keep: let a machine live on for debugging, for a known time at a known price."""

from __future__ import annotations

from accel_ci.domain import lease
from accel_ci.domain.lease import Owner
from accel_ci.operations import named, release
from accel_ci.ports.world import World
from accel_ci.render import units

LABEL = "accel-ci-keep-until"


def keep(world: World, wanted: str, *, owner: Owner, seconds: float) -> float:
    """Until when (seconds since 1970) no cleanup and no sweep ends the owner's machine of this handle or name.

    ConfigurationError when there is no such machine, or its cloud ends it earlier whatever we say.
    """
    machine, until = named.machine(world, wanted, owner), world.clock.now() + seconds
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
