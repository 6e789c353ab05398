"""A leak as an incident: one open issue while the sweeper finds machines."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from accel_ci.domain import errors
from accel_ci.domain.record import CleanupFacts
from accel_ci.ports.github import GitHub
from accel_ci.ports.world import World
from accel_ci.render import proof

MARKER = "leaked machines"


def publish(world: World, finds: Mapping[str, str], facts: CleanupFacts, *, url: str) -> None:
    """Open or go on with the issue when there were finds (handle: why), close it when there were none.

    What the token may not do is a warning: the machines are gone whatever GitHub says.
    """
    if world.github is None:
        return
    try:
        if finds:
            _opened(world.github, finds, facts, url=url)
        else:
            _closed(world.github)
    except (errors.CloudError, errors.ConfigurationError) as error:
        world.job.warning("sweep", f"the incident could not be written: {error}; {error.what_to_do}")


def _opened(github: GitHub, finds: Mapping[str, str], facts: CleanupFacts, *, url: str) -> None:
    known = github.open_issue(MARKER, proof.INCIDENT, proof.incident_body())
    # The same machines are told of once, however often the sweeper finds them.
    finding = hashlib.sha256("\0".join(sorted(finds)).encode()).hexdigest()[:16]
    github.put_comment(known.number, f"sweep {finding}", proof.incident(finds, facts, url=url))


def _closed(github: GitHub) -> None:
    for known in github.issues(MARKER):
        github.put_comment(known.number, "sweep clean", proof.clean())
        github.close_issue(known.number)
