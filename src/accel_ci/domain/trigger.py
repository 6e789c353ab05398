"""The decision of gate: what an event asks for, and whether the pull request's present facts allow it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from accel_ci.domain import grant, pattern
from accel_ci.domain.context import Context
from accel_ci.domain.grant import Grant, Trust
from accel_ci.domain.pullrequest import PullRequest, Role

MAY_NOT = "whoever asked may not write to this repository"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What the repository's owner allows; empty `branches` and `paths` allow all.

    `until_push`: on pull requests from the repository itself the label stays until new commits come. `quiet_s`: how
    long a commit must have been there before a label without other evidence counts. `max_running`, `max_per_day` 0: no limit.
    """

    label: str = "run-tpu-tests"
    branches: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    drafts: bool = False
    skip_words: tuple[str, ...] = ()
    until_push: bool = False
    quiet_s: float = 60.0
    max_running: int = 0
    max_per_day: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Somebody set the label or commented: on which pull request, when, and who.

    `sha` is the commit of the event, or as much of it as a comment (its id in `comment`) named; "": the newest one.
    """

    number: int
    sha: str
    actor: str
    person: bool
    at: float
    comment: int | None = None
    rerun: bool = False

    @property
    def named(self) -> bool:
        """True when a person wrote which commit is meant, as a whole.

        Two commits that begin with the same 12 digits cost their maker seconds: one to be looked at, one to be pushed then.
        """
        return self.comment is not None and re.fullmatch(grant.SHA, self.sha) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushed:
    """New commits came to a pull request that still has the label."""

    number: int
    sha: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Nothing:
    """The event is not for us."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why the commit may not use an accelerator, and what would change that."""

    why: str
    what_to_do: str


def read(event: Mapping[str, Any], policy: Policy) -> Request | Pushed | Nothing:
    """What an event of pull_request_target asks for; anything unknown or malformed is Nothing."""
    pull, action = _part(event, "pull_request"), event.get("action")
    number, sha = pull.get("number"), _part(pull, "head").get("sha")
    if not isinstance(number, int) or not isinstance(sha, str) or not re.fullmatch(grant.SHA, sha):
        return Nothing(why="the event names no pull request")
    # A label that stays would let commits run that nobody has seen.
    if action == "synchronize":
        if policy.label in _labels(pull):
            return Pushed(number=number, sha=sha)
        return Nothing(why=f"the label {policy.label!r} is not set")
    if action != "labeled":
        return Nothing(why=f"{str(action)[:40]!r} starts nothing: only a label does")
    if _part(event, "label").get("name") != policy.label:
        return Nothing(why=f"another label than {policy.label!r} was set")
    sender = _part(event, "sender")
    return Request(
        number=number,
        sha=sha,
        actor=str(sender.get("login", "")),
        person=sender.get("type") == "User",
        at=moment(pull.get("updated_at")),  # setting the label is the update
    )


def moment(text: object) -> float:
    """Seconds since 1970 of a moment as GitHub writes it; 0.0, long ago, for anything else."""
    try:
        return datetime.fromisoformat(str(text)).timestamp()
    except (ValueError, OverflowError):
        # Long ago is the safe side: no commit has waited since before it came.
        return 0.0


def queue_of(event: Mapping[str, Any]) -> str:
    """The branch that a merge queue's event is to be merged into, with `refs/heads/`; "" for other events."""
    # GITHUB_REF is the queue's own branch, such as refs/heads/gh-readonly-queue/main/pr-5-<sha>.
    return str(_part(event, "merge_group").get("base_ref", ""))


def _labels(pull: Mapping[str, Any]) -> list[object]:
    labels = pull.get("labels")
    return [label.get("name") for label in labels if isinstance(label, dict)] if isinstance(labels, list) else []


def _part(event: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = event.get(name)
    return part if isinstance(part, dict) else {}


def refused(
    request: Request, policy: Policy, *, pull: PullRequest, role: Role, changed: Iterable[str]
) -> Refusal | None:
    """Why not, or None when the commit is allowed. `changed` is only looked at when the policy names paths."""
    again = repeat(request, policy)
    # Apps can set labels too, and so can people with the triage role, who could not push.
    if not request.person or not role.may_write:
        return Refusal(why=MAY_NOT, what_to_do=f"let a maintainer {again}")
    if not pull.open:
        return Refusal(why="the pull request is closed", what_to_do=f"open it and {again}")
    if not pull.head_sha.startswith(request.sha):
        why = "the code changed after the label was set" if request.comment is None else "that is not the newest commit"
        return Refusal(why=why, what_to_do=f"look at the new commits and {again}")
    if pull.draft and not policy.drafts:
        return Refusal(why="the pull request is a draft", what_to_do=f"mark it ready for review and {again}")
    # The base of now: a pull request can be pointed at another branch after the click.
    if policy.branches and not _any(pull.base_ref, policy.branches):
        return Refusal(why="its base branch may not use an accelerator", what_to_do="choose another base branch")
    if skipped(pull.title, policy):
        return Refusal(why="its title asks to be skipped", what_to_do=f"take the skip word out and {again}")
    if policy.paths and not any(_any(path, policy.paths) for path in changed):
        return Refusal(why="it changes none of the files that need an accelerator", what_to_do="nothing: it is fine")
    return None


def repeat(request: Request, policy: Policy) -> str:
    """How the one who asked can ask again, without naming a commit that nobody has looked at."""
    return f"set the label `{policy.label}` again" if request.comment is None else "comment `/accel-ci run <sha>` again"


def skipped(text: str, policy: Policy) -> bool:
    """True when the text holds one of the policy's skip words, in whatever case."""
    return any(word.lower() in text.lower() for word in policy.skip_words)


def granted(context: Context, request: Request, *, pull: PullRequest, evidence: str, now: float) -> Grant:
    """The grant for the commit that was decided on, with the evidence that a person saw it."""
    return Grant(
        repository_id=context.repository_id,
        run_id=context.run_id,
        pull_request=request.number,
        sha=pull.head_sha,
        base_sha=pull.base_sha,
        # By where the commit comes from, not by who allowed it: a look is no audit.
        trust=Trust.FORK if pull.fork else Trust.TRUSTED,
        actor=request.actor,
        evidence=evidence,
        expires_at=int(now) + grant.LIFETIME_S,
    )


def _any(text: str, patterns: Sequence[str]) -> bool:
    return any(pattern.matches(text, each) for each in patterns)
