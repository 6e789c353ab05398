"""The one machine that a person means."""

from __future__ import annotations

from accel_ci.domain import errors
from accel_ci.domain.lease import Owner
from accel_ci.domain.machine import Machine
from accel_ci.operations import release
from accel_ci.ports.world import World


def machine(world: World, wanted: str, owner: Owner) -> Machine:
    """The owner's machine of this handle or name; ConfigurationError names those that exist when it is none of them,

    or several. CleanupUnverifiedError when a part of the cloud was silent and it is not in the rest.
    """
    # By the listing, not by the name alone: nobody touches another repository's machine.
    machines: dict[str, Machine] = {}
    try:
        for each in release.listed(world, owner):
            machines[each.handle] = each
            if each.handle == wanted:
                return each
    except errors.CleanupUnverifiedError:
        if all(each.name != wanted for each in machines.values()):
            raise
    called = [each for each in machines.values() if each.name == wanted]
    if len(called) > 1:  # a copy of ours bears our labels
        raise errors.ConfigurationError(
            f"{len(called)} machines are called {wanted!r}",
            what_to_do=f"give the handle of the one that is meant: {', '.join(each.handle for each in called)}",
        )
    if not called:
        raise errors.ConfigurationError(
            f"this repository has no machine {wanted!r}", what_to_do=f"these exist now: {', '.join(machines) or 'none'}"
        )
    return called[0]
