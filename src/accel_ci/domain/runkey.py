"""Who owns a machine: a key that every later actor can recompute, and the names that follow from it."""

from __future__ import annotations

import hashlib
import re
import uuid
from dataclasses import dataclass, replace
from functools import cache

NAMESPACE = uuid.UUID("6d1f1c60-7f7a-5a43-9a0e-0f4c1d1b7c11")
PREFIX = "accel"
SHARED = "run:"  # what the slots begin with that belong to the whole run
MAX_NAME = 40  # Jarvis Labs has the shortest limit of all backends


@dataclass(frozen=True, slots=True, kw_only=True)
class RunKey:
    """The identity of one leased machine: run, attempt, job, matrix instance, slot in the job, and try."""

    repository_id: int
    repository: str
    run_id: int
    attempt: int = 1
    job: str
    instance: str = ""
    slot: str = ""
    try_: int = 1

    @property
    def run_prefix(self) -> str:
        """What the names of all machines of this run begin with, whatever the attempt and job."""
        return f"{PREFIX}-{_slug(self.repository)}-{self.run_id}-"

    @property
    def digest(self) -> str:
        """16 hex digits over every part of the key: what labels and end records carry."""
        parts = (self.repository_id, self.run_id, self.attempt, self.job, self.instance, self.slot, self.try_)
        return hashlib.sha256("\x00".join(map(str, parts)).encode()).hexdigest()[:16]

    @property
    def name(self) -> str:
        """The machine's name: at most 40 characters of [a-z0-9-], readable in front, unique behind."""
        return f"{self.run_prefix}{self.attempt}-{self.digest[:8]}"[:MAX_NAME]

    @property
    def job_digest(self) -> str:
        """8 hex digits of the job, so that a cleanup `for:` one job spares its siblings."""
        return short_digest(self.job)

    @property
    def instance_digest(self) -> str:
        """8 hex digits of the matrix instance, so that siblings of one job never end each other's machines."""
        return short_digest(self.instance)

    def request_id(self, zone: str) -> uuid.UUID:
        """The idempotence id of the creation in `zone`: the same for every repetition of the same try."""
        return uuid.uuid5(NAMESPACE, f"{self.name}/{zone}/{self.try_}")

    def next_try(self) -> RunKey:
        """The key of the next try, so that its machine can never be taken for this one's."""
        return replace(self, try_=self.try_ + 1)


def shared(slot: str) -> bool:
    """True for a slot such as `run:trainer`: its machine belongs to all jobs of the run, and has one key in all of them."""
    return slot.startswith(SHARED)


def short_digest(text: str) -> str:
    """8 hex digits that stand for a job's or an instance's name in labels."""
    return hashlib.sha256(text.encode()).hexdigest()[:8]


@cache
def _slug(repository: str) -> str:
    name = repository.rsplit("/", 1)[-1].lower()
    return re.sub(r"[^a-z0-9]+", "-", name).strip("-")[:8].strip("-") or "repo"
