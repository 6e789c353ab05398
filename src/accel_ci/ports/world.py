"""All ports together: what a use case is handed."""

from __future__ import annotations

from dataclasses import dataclass

from accel_ci.ports.clock import Clock
from accel_ci.ports.credentials import Credentials
from accel_ci.ports.entropy import Entropy
from accel_ci.ports.files import Files
from accel_ci.ports.github import GitHub
from accel_ci.ports.history import History
from accel_ci.ports.job import Job
from accel_ci.ports.lanes import Lanes
from accel_ci.ports.machines import Machines
from accel_ci.ports.remote import Remote
from accel_ci.ports.sources import Sources


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """One implementation of each port; `github` is None where there is no GitHub, or no token to speak to it, and

    `credentials` where nothing that we sign in to has to be kept alive.
    """

    machines: Machines
    remote: Remote
    sources: Sources
    job: Job
    files: Files
    history: History
    clock: Clock
    entropy: Entropy
    lanes: Lanes
    github: GitHub | None = None
    credentials: Credentials | None = None
