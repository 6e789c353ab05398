"""Grants."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from accel_ci.domain import errors, grant
from accel_ci.domain.context import Context

NIGHTLY = Context(
    repository="org/hello",
    repository_id=4711,
    run_id=77,
    job="gate",
    event="schedule",
    actor="octocat",
    sha="a" * 40,
    ref="refs/heads/main",
)


def _text() -> str:
    return grant.of_event(NIGHTLY, branches=(), now=1000.0).model_dump_json()


@pytest.mark.parametrize("event", sorted(grant.TRUSTED_EVENTS))
def test_trusted_events_carry_their_own_grant(event: str) -> None:
    """Push, schedule, manual and merge queue runs are granted for exactly the event's commit."""
    given = grant.of_event(replace(NIGHTLY, event=event), branches=(), now=1000.0)
    assert (given.sha, given.trust, given.run_id) == ("a" * 40, grant.Trust.TRUSTED, 77)


@pytest.mark.parametrize("event", ["pull_request_target", "pull_request", "issue_comment", "release"])
def test_other_events_are_refused_plainly(event: str) -> None:
    """An event that carries no grant is a configuration error that names it, and every event that gate decides."""
    with pytest.raises(errors.ConfigurationError, match=event) as refused:
        grant.of_event(replace(NIGHTLY, event=event), branches=(), now=1000.0)
    told = refused.value.what_to_do
    assert all(name in told for name in ("pull_request_target", "issue_comment", *grant.TRUSTED_EVENTS))


def test_branches_narrow_the_grant() -> None:
    """Only branches that match are granted; `*` does not cross a slash, `**` does."""
    assert grant.of_event(NIGHTLY, branches=("main",), now=0.0).sha == NIGHTLY.sha
    deep = replace(NIGHTLY, ref="refs/heads/release/1/2")
    assert grant.of_event(deep, branches=("release/**",), now=0.0).sha == NIGHTLY.sha
    with pytest.raises(errors.ConfigurationError, match="may not use an accelerator"):
        grant.of_event(deep, branches=("release/*",), now=0.0)


def test_a_merge_queue_is_judged_by_the_branch_that_it_merges_into() -> None:
    """The queue's own branch matches no pattern that anybody would write."""
    queue = replace(NIGHTLY, event="merge_group", ref=f"refs/heads/gh-readonly-queue/main/pr-5-{'a' * 40}")
    assert grant.of_event(queue, branches=("main",), now=0.0, branch="refs/heads/main").sha == NIGHTLY.sha
    for branch in ("refs/heads/old", ""):
        with pytest.raises(errors.ConfigurationError, match="may not use an accelerator"):
            grant.of_event(queue, branches=("main",), now=0.0, branch=branch)


def test_a_grant_survives_to_later_attempts_of_its_run() -> None:
    """Re-run failed jobs use the first attempt's grant until it expires."""
    given = grant.checked(_text(), replace(NIGHTLY, attempt=3), now=2000.0)
    assert given is not None and grant.trusted(given)


@pytest.mark.parametrize(
    ("changed", "context", "now", "why"),
    [
        ({}, replace(NIGHTLY, run_id=78), 2000.0, "another run"),
        ({}, replace(NIGHTLY, repository_id=1), 2000.0, "another run"),
        ({}, NIGHTLY, 1000.0 + grant.LIFETIME_S, "expired"),
        ({"sha": "main"}, NIGHTLY, 2000.0, "malformed"),
        ({"admin": True}, NIGHTLY, 2000.0, "malformed"),
        ({"trust": "root"}, NIGHTLY, 2000.0, "malformed"),
    ],
)
def test_bad_grants_are_refused(changed: dict[str, object], context: Context, now: float, why: str) -> None:
    """Another run's, an expired or a malformed grant stops the job and says which."""
    text = json.dumps(json.loads(_text()) | changed)
    with pytest.raises(errors.ConfigurationError, match=why):
        grant.checked(text, context, now=now)


def test_foreign_code_needs_a_grant() -> None:
    """Events that run with our rights on a stranger's code never go without a grant; trusted ones may."""
    assert grant.checked("", NIGHTLY, now=0.0) is None
    with pytest.raises(errors.ConfigurationError, match="need a grant"):
        grant.checked("", replace(NIGHTLY, event="pull_request_target"), now=0.0)


def test_an_event_without_a_commit_is_the_users_error() -> None:
    """A missing or abbreviated sha is refused before anything is granted."""
    for sha in ("", "abc", "A" * 40, "a" * 40 + "\n"):
        with pytest.raises(errors.ConfigurationError, match="names no commit"):
            grant.of_event(replace(NIGHTLY, sha=sha), branches=(), now=0.0)
