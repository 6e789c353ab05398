"""A grant: who allowed which exact commit to use an accelerator, on what evidence, until when."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from accel_ci.domain import errors, pattern
from accel_ci.domain.context import Context

LIFETIME_S = 24 * 3600
FORKS_HERE = "ACCEL_CI_LOCAL_FORKS"  # the variable that says that the runner holds nothing worth stealing
# Only who may write to the repository causes these.
TRUSTED_EVENTS = frozenset({"push", "schedule", "workflow_dispatch", "merge_group"})
# These run the base branch's workflow with its secrets, on behalf of somebody else's commit.
FOREIGN_CODE_EVENTS = frozenset({"pull_request_target", "workflow_run", "issue_comment"})
SHA = r"[0-9a-f]{40}|[0-9a-f]{64}"
Sha = Annotated[str, Field(pattern=f"^({SHA})$")]


class Trust(StrEnum):
    """Whether the granted commit is the repository's own or a stranger's."""

    TRUSTED = "trusted"
    FORK = "fork"


class Grant(BaseModel):
    """The permission for one commit, bound to a run; later attempts of the run may use it until `expires_at`.

    `base_sha` is what the pull request asked to be merged into; None and "" without a pull request.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: int = 1
    repository_id: int
    run_id: int
    pull_request: int | None = None
    sha: Sha
    base_sha: str = Field(default="", pattern=f"^({SHA})?$")
    trust: Trust
    actor: str
    evidence: str
    expires_at: int


def of_event(context: Context, *, branches: tuple[str, ...], now: float, branch: str = "") -> Grant:
    """The grant that a trusted event carries in itself; ConfigurationError for an event that carries none.

    `branch` is the one to be judged by where it is not the event's ref.
    """
    if context.event not in TRUSTED_EVENTS:
        # `pull_request` runs the pull request's own workflow: whatever gate said there, its author could change.
        raise errors.ConfigurationError(
            f"gate cannot decide '{context.event}' events",
            what_to_do="use `pull_request_target: {types: [labeled]}` or `issue_comment: {types: [created]}` for pull"
            f" requests, else {', '.join(sorted(TRUSTED_EVENTS))}",
        )
    branch = (branch or context.ref).removeprefix("refs/heads/")
    if branches and not any(pattern.matches(branch, each) for each in branches):
        raise errors.ConfigurationError(
            f"branch {branch[:80]!r} may not use an accelerator",
            what_to_do=f"add it to the gate's branches, which are: {', '.join(branches)}",
        )
    if not re.fullmatch(SHA, context.sha):
        raise errors.ConfigurationError(
            f"the event names no commit: {context.sha[:80]!r}", what_to_do="start the run by an event of a branch"
        )
    return Grant(
        repository_id=context.repository_id,
        run_id=context.run_id,
        sha=context.sha,
        trust=Trust.TRUSTED,
        actor=context.actor,
        evidence=f"{context.event} on {context.ref}",
        expires_at=int(now) + LIFETIME_S,
    )


def checked(text: str, context: Context, *, now: float) -> Grant | None:
    """The grant written in `text` if it is good for this run; None when there is none and the event needs none.

    ConfigurationError says what is wrong: malformed, for another run or repository, expired, or missing.
    """
    if not text:
        # Without a grant the workflow's own commit would be tested, and a green check shown for code that never ran.
        if context.event in FOREIGN_CODE_EVENTS:
            raise errors.ConfigurationError(
                f"'{context.event}' events need a grant",
                what_to_do="run the gate action first and pass its output: grant: ${{ needs.gate.outputs.grant }}",
            )
        return None
    try:
        grant = Grant.model_validate_json(text)
    except ValidationError as error:
        # Nothing of the text is shown: it came through a workflow that may have put a secret there.
        raise errors.ConfigurationError(
            f"the grant is malformed ({error.error_count()} mistakes)", what_to_do="pass the gate's output unchanged"
        ) from None
    # Outputs can be copied between workflows: a grant is good for the run that it was given in.
    bound = (grant.repository_id, grant.run_id, grant.pull_request)
    if bound != (context.repository_id, context.run_id, context.pull_request):
        raise errors.ConfigurationError(
            "the grant belongs to another run", what_to_do="pass the grant of this run's gate"
        )
    if now >= grant.expires_at:
        raise errors.ConfigurationError(
            "the grant has expired", what_to_do="start a new run, so that the gate decides again"
        )
    return grant


def trusted(grant: Grant | None) -> bool:
    """True when secrets and the workspace may be used: a person's own run, or a grant for the repository's own code."""
    return grant is None or grant.trust is Trust.TRUSTED


def outputs(grant: Grant) -> Mapping[str, str]:
    """What the gate action hands to later jobs."""
    return {"allowed": "true", "grant": grant.model_dump_json(), "sha": grant.sha}
