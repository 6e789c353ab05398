"""gate: a label on a pull request becomes a grant, a refusal that is said once, or nothing at all."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from typing import Any

import pytest

from accel_ci.domain import errors, trigger
from accel_ci.domain.context import Context
from accel_ci.domain.grant import Grant, Trust
from accel_ci.domain.pullrequest import PullRequest, Push, Role
from accel_ci.domain.trigger import Policy
from accel_ci.usecases import gate
from tests.fakes.github import FakeGitHub
from tests.usecases.worlds import Fakes
from tests.wire.github import description

LABELED = description.event("pull_request.labeled")
PUSHED = description.event("pull_request.synchronize")
NUMBER, HEAD = LABELED["number"], LABELED["pull_request"]["head"]["sha"]
WHO = LABELED["sender"]["login"]
LABELED_AT = trigger.moment(LABELED["pull_request"]["updated_at"])
HERE = Context(
    repository="org/hello",
    repository_id=4711,
    run_id=77,
    job="gate",
    event="pull_request_target",
    sha="b" * 40,
    run_url="https://github.com/org/hello/actions/runs/77",
    pull_request=NUMBER,
)
POLICY = Policy(label="bug", skip_words=("[skip accel-ci]",))


def _fakes(**changed: Any) -> Fakes:
    facts = {"title": "Speed it up", "head_sha": HEAD, "base_ref": "main", "fork": False, "head_ref": "speed"}
    fakes, pull = Fakes(), facts | changed
    fakes.github = FakeGitHub(roles={WHO: Role.WRITE, "grace": Role.WRITE}, labels={NUMBER: {"bug", "docs"}})
    fakes.github.pushes["speed"] = Push(sha=HEAD, at=LABELED_AT - 61, actor="grace")
    fakes.github.approvals[NUMBER, HEAD] = ["grace"] if pull["fork"] else []
    fakes.github.pulls[NUMBER] = PullRequest(number=NUMBER, **pull)
    return fakes


def _gate(fakes: Fakes, event: dict[str, Any] = LABELED, policy: Policy = POLICY) -> Grant | None:
    return gate.gate(fakes.world, HERE, event=event, policy=policy)


def _github(fakes: Fakes) -> FakeGitHub:
    assert fakes.github is not None
    return fakes.github


def _changed(event: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    changed = copy.deepcopy(event)
    *way, last = path.split(".")
    place = changed
    for step in way:
        place = place[step]
    place[last] = value
    return changed


def test_a_label_of_a_member_is_a_grant() -> None:
    """The commit that was seen is granted, its check is pending, the label is gone, the outputs say so."""
    fakes = _fakes()
    given = _gate(fakes)
    assert given is not None and (given.sha, given.trust, given.actor) == (HEAD, Trust.TRUSTED, WHO)
    assert "label bug on pull request #2" in given.evidence
    (check,) = _github(fakes).all_checks
    assert (check.sha, check.name, check.conclusion, check.external_id) == (HEAD, "accel-ci", None, "accel-ci:77:1")
    assert _github(fakes).labels[NUMBER] == {"docs"}
    assert fakes.job.outputs["allowed"] == "true"
    assert json.loads(fakes.job.outputs["grant"])["sha"] == HEAD
    assert _github(fakes).comments == {}


def test_a_forks_pull_request_has_a_forks_trust() -> None:
    """A stranger's commit is granted without the repository's secrets."""
    given = _gate(_fakes(fork=True))
    assert given is not None and given.trust is Trust.FORK


@pytest.mark.parametrize(
    "event",
    [
        _changed(LABELED, "label.name", "documentation"),
        _changed(LABELED, "label.name", "BUG"),
        _changed(LABELED, "label.name", "bug "),
        _changed(LABELED, "action", "opened"),
        _changed(LABELED, "action", "unlabeled"),
        _changed(LABELED, "pull_request.head.sha", "main"),
        _changed(LABELED, "pull_request", None),
        _changed(LABELED, "label", None),
        _changed(PUSHED, "pull_request.labels", []),
        _changed(PUSHED, "pull_request.labels", "bug"),
        {},
    ],
)
def test_what_is_not_for_us_leaves_everything_untouched(event: dict[str, Any]) -> None:
    """Another label, action or shape of event: no call to GitHub at all, and `allowed` is false."""
    fakes = _fakes()
    _github(fakes).denied = {name: errors.AccessError("must not be asked") for name in ("role", "pull_request")}
    assert _gate(fakes, event) is None
    assert _github(fakes).written == []
    assert fakes.job.outputs == {"allowed": "false"}


@pytest.mark.parametrize(
    ("pull", "policy", "role", "why"),
    [
        ({}, {}, Role.READ, "may not write"),
        ({}, {}, Role.NONE, "may not write"),
        ({"open": False}, {}, Role.WRITE, "closed"),
        ({"head_sha": "c" * 40}, {}, Role.WRITE, "changed after the label"),
        ({"draft": True}, {}, Role.WRITE, "draft"),
        ({"base_ref": "old"}, {"branches": ("main", "release/*")}, Role.WRITE, "base branch"),
        ({"title": "Mend [SKIP accel-ci] it"}, {}, Role.ADMIN, "asks to be skipped"),
        ({}, {"paths": ("src/**",)}, Role.WRITE, "changes none of the files"),
    ],
)
def test_a_refusal_is_said_once_and_consumes_the_label(
    pull: dict[str, Any], policy: dict[str, Any], role: Role, why: str
) -> None:
    """One comment says why and what to do; no check, no grant; a second refusal is the same comment."""
    fakes = _fakes(**pull)
    _github(fakes).roles[WHO] = role
    _github(fakes).files[NUMBER] = ["docs/index.md", "README.md"]
    for _ in range(2):
        assert _gate(fakes, policy=replace(POLICY, **policy)) is None
    (comment,) = _github(fakes).comments[NUMBER].values()
    assert why in comment and "What to do" in comment
    assert (_github(fakes).all_checks, _github(fakes).labels[NUMBER]) == ([], {"docs"})
    assert fakes.job.outputs == {"allowed": "false"}


def test_a_bots_label_is_refused() -> None:
    """A labelling bot is no person who looked at the code, whatever its role."""
    fakes = _fakes()
    assert _gate(fakes, _changed(LABELED, "sender.type", "Bot")) is None
    assert "may not write" in _github(fakes).comments[NUMBER]["gate"]


def test_what_the_policy_allows() -> None:
    """Drafts by setting, branches by pattern, and one changed file that matches are all granted."""
    fakes = _fakes(draft=True, base_ref="release/2")
    _github(fakes).files[NUMBER] = ["README.md", "src/deep/er/kernel.py"]
    policy = replace(POLICY, drafts=True, branches=("release/*",), paths=("src/**/*.py",))
    assert _gate(fakes, policy=policy) is not None


def test_files_are_only_asked_for_when_they_matter() -> None:
    """Without a path filter the changed files cost no call."""
    fakes = _fakes()
    _github(fakes).denied["changed_files"] = errors.TransientError("must not be asked")
    assert _gate(fakes) is not None


@pytest.mark.parametrize(("fork", "left"), [(False, {"bug", "docs"}), (True, {"docs"})])
def test_a_label_that_lasts_until_a_push(fork: bool, left: set[str]) -> None:
    """By setting the label stays on the repository's own pull requests; on a fork's it never does."""
    fakes = _fakes(fork=fork)
    assert _gate(fakes, policy=replace(POLICY, until_push=True)) is not None
    assert _github(fakes).labels[NUMBER] == left


def test_a_push_takes_the_label_away_and_is_not_run() -> None:
    """New commits on a labelled pull request are not run, which is said."""
    fakes = _fakes()
    assert _gate(fakes, PUSHED) is None
    assert _github(fakes).labels[NUMBER] == {"docs"}
    assert "new commits came after the label" in _github(fakes).comments[NUMBER]["gate"]


def test_without_a_token_a_label_is_the_users_error() -> None:
    """Nothing is granted on the event's word alone."""
    fakes = _fakes()
    fakes.github = None
    with pytest.raises(errors.ConfigurationError, match="no token"):
        _gate(fakes)


def test_a_label_that_cannot_be_consumed_grants_nothing() -> None:
    """Without the permission to remove it, one label could start many runs: the job fails instead."""
    fakes = _fakes()
    _github(fakes).denied["remove_label"] = errors.AccessError("no", what_to_do="pull-requests: write")
    with pytest.raises(errors.AccessError):
        _gate(fakes)
    assert fakes.job.outputs == {}


def test_without_checks_write_the_grant_stands() -> None:
    """A check that may not be written is a warning that names the permission."""
    fakes = _fakes()
    _github(fakes).denied["put_check"] = errors.AccessError("no", what_to_do="permissions: {checks: write}")
    assert _gate(fakes) is not None
    assert "checks: write" in fakes.job.of_kind("warning")[0]


def test_a_trusted_event_opens_the_check_too() -> None:
    """A nightly run's commit has a pending check; without GitHub the grant is the same."""
    fakes, nightly = _fakes(), replace(HERE, event="schedule", sha="d" * 40, ref="refs/heads/main")
    given = gate.gate(fakes.world, nightly, event={}, policy=POLICY)
    assert given is not None and _github(fakes).all_checks[0].sha == "d" * 40
    fakes.github = None
    assert gate.gate(fakes.world, nightly, event={}, policy=POLICY) == given


def test_a_pushs_message_can_skip() -> None:
    """A skip word in the head commit's message runs nothing, and is no error."""
    fakes, pushed = _fakes(), replace(HERE, event="push", sha="d" * 40, ref="refs/heads/main")
    event = _changed(description.event("push"), "head_commit.message", "Mend docs\n\n[skip ACCEL-ci]")
    assert gate.gate(fakes.world, pushed, event=event, policy=POLICY) is None
    assert _github(fakes).written == []
    assert gate.gate(fakes.world, pushed, event=description.event("push"), policy=POLICY) is not None


def test_a_merge_queue_runs_for_its_branch() -> None:
    """`branches: main` lets the queue of main run, and the queue of another branch not."""
    fakes = _fakes()
    queue = replace(HERE, event="merge_group", sha="d" * 40, ref="refs/heads/gh-readonly-queue/main/pr-2-x")
    policy = replace(POLICY, branches=("main",))
    event = description.event("merge_group.checks_requested")
    assert gate.gate(fakes.world, queue, event=event, policy=policy) is not None
    with pytest.raises(errors.ConfigurationError, match="branch 'old'"):
        gate.gate(fakes.world, queue, event=_changed(event, "merge_group.base_ref", "refs/heads/old"), policy=policy)


def test_a_label_in_any_shape_is_read_without_a_crash() -> None:
    """Whatever type a member of the event has, reading it ends in Nothing or in a request."""
    for path in ("pull_request", "pull_request.head", "label", "sender", "number", "pull_request.number"):
        odd: tuple[object, ...] = (None, 1, "x", [], {}, True)
        for value in odd:
            asked = trigger.read(_changed(LABELED, path, value), POLICY)
            assert isinstance(asked, trigger.Nothing | trigger.Request)
