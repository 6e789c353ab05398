"""A pull request as GitHub shows it now, and what a user may do in its repository."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What a user may do; GitHub counts triage as read and maintain as write."""

    NONE = "none"
    READ = "read"
    WRITE = "write"
    ADMIN = "admin"

    @property
    def may_write(self) -> bool:
        """True for those who could change the code themselves."""
        # Not by what is allowed to them, such as labels: a triager may do that too.
        return self in (Role.WRITE, Role.ADMIN)


@dataclass(frozen=True, slots=True, kw_only=True)
class PullRequest:
    """The facts that gate decides on. `fork`: the head is in another repository, or in none any more.

    `head_ref` and `base_ref` are branch names, which whoever opened it chose.
    """

    number: int
    title: str
    head_sha: str
    base_ref: str
    fork: bool
    draft: bool = False
    open: bool = True
    head_ref: str = ""
    base_sha: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Push:
    """When a branch came to its commit, by GitHub's clock (seconds since 1970), and who did that."""

    sha: str
    at: float
    actor: str


class Reaction(StrEnum):
    """The answer to a comment that costs nobody a notification; GitHub's own names."""

    SEEN = "eyes"
    DONE = "rocket"
    REFUSED = "-1"
    FAILED = "confused"
