"""The one machine that a person means."""

from __future__ import annotations

from accel_ci.domain import errors
from accel_ci.domain.lease import Owner
from accel_ci.domain.machine import Machine
from accel_ci.operations import release
from accel_ci.ports.world import World


def machine(world: World, wanted: str, owner: Owner) -> Machine:
    """The owner's machine of this handle or name; ConfigurationError names those that exist when it is none of them.

    CleanupUnverifiedError when a part of the cloud was silent and it is not in the rest.
    """
    # By the listing, not by the name alone: nobody touches another repository's machine.
    handles: dict[str, None] = {}
    for each in release.listed(world, owner):
        if wanted in (each.handle, each.name):
            return each
        handles[each.handle] = None
    raise errors.ConfigurationError(
        f"this repository has no machine {wanted!r}", what_to_do=f"these exist now: {', '.join(handles) or 'none'}"
    )
