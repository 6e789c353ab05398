"""gate: decide, before anything costs money, whether this commit may use an accelerator."""

from __future__ import annotations

from accel_ci.domain import grant
from accel_ci.domain.context import Context
from accel_ci.domain.grant import Grant
from accel_ci.ports.world import World


def gate(world: World, context: Context, *, branches: tuple[str, ...]) -> Grant:
    """The grant for the event's commit, also as outputs; ConfigurationError when the event gives none."""
    given = grant.of_event(context, branches=branches, now=world.clock.now())
    for name, value in grant.outputs(given).items():
        world.job.output(name, value)
    world.job.log(f"granted: {given.sha} for {given.evidence} ({given.trust.value})")
    return given
