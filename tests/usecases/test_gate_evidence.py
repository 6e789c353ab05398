"""gate: a push just before the click is not run, commands in comments are, and neither without a person who may write."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from accel_ci.domain import check, errors
from accel_ci.domain.check import Check, Conclusion
from accel_ci.domain.context import Context
from accel_ci.domain.grant import Grant, Trust
from accel_ci.domain.pullrequest import PullRequest, Push, Reaction, Role
from accel_ci.domain.queued import WorkflowRun
from accel_ci.domain.trigger import Policy
from accel_ci.usecases import gate
from tests.fakes.github import FakeGitHub
from tests.usecases.worlds import Fakes

HEAD, NUMBER, AT = "a" * 40, 5, 1_500_000_000.0
MOMENT = "2017-07-14T02:40:00Z"  # AT
POLICY = Policy(label="run-tpu-tests")


def _here(event: str) -> Context:
    return Context(
        repository="org/hello",
        repository_id=4711,
        run_id=77,
        job="gate",
        event=event,
        sha="b" * 40,
        pull_request=NUMBER,
    )


def _fakes(*, fork: bool = False, head: str = HEAD) -> Fakes:
    fakes = Fakes()
    fakes.github = FakeGitHub(roles={"ada": Role.WRITE, "eve": Role.READ}, labels={NUMBER: {"run-tpu-tests"}})
    fakes.github.pulls[NUMBER] = PullRequest(
        number=NUMBER, title="Speed", head_sha=head, base_ref="main", base_sha="c" * 40, fork=fork, head_ref="speed"
    )
    return fakes


def _github(fakes: Fakes) -> FakeGitHub:
    assert fakes.github is not None
    return fakes.github


def _label(fakes: Fakes, policy: Policy = POLICY) -> Grant | None:
    pull = {"number": NUMBER, "head": {"sha": HEAD}, "updated_at": MOMENT}
    event = {"action": "labeled", "pull_request": pull, "label": {"name": "run-tpu-tests"}, "sender": _user("ada")}
    return gate.gate(fakes.world, _here("pull_request_target"), event=event, policy=policy)


def _user(login: str, kind: str = "User") -> dict[str, str]:
    return {"login": login, "type": kind}


def _event(body: str, *, who: str = "ada", **changed: Any) -> dict[str, Any]:
    comment = {"id": 9, "body": body, "created_at": MOMENT}
    issue = {"number": NUMBER, "pull_request": {}}
    return {"action": "created", "comment": comment, "issue": issue, "sender": _user(who)} | changed


def _comment(fakes: Fakes, body: str, *, policy: Policy = POLICY, **changed: Any) -> Grant | None:
    return gate.gate(fakes.world, _here("issue_comment"), event=_event(body, **changed), policy=policy)


def _said(fakes: Fakes) -> str:
    return "".join(_github(fakes).comments.get(NUMBER, {}).values())


def _ours(sha: str = HEAD, run: int = 70, conclusion: Conclusion | None = None, external_id: str = "") -> Check:
    return Check(
        sha=sha,
        name=check.NAME,
        external_id=external_id or check.external_id(run, 1),
        title="",
        conclusion=conclusion,
    )


@pytest.mark.parametrize(
    ("push", "granted"),
    [
        (Push(sha=HEAD, at=AT - 60, actor="bob"), True),
        (Push(sha=HEAD, at=AT - 59, actor="bob"), False),
        (Push(sha=HEAD, at=AT - 1, actor="ada"), True),
        (Push(sha="d" * 40, at=AT - 3600, actor="ada"), False),
        (Push(sha=HEAD, at=AT + 3600, actor="bob"), False),
        (None, False),
    ],
)
def test_a_push_just_before_the_click_is_not_run(push: Push | None, granted: bool) -> None:
    """A label counts when its commit was there for a minute, by GitHub's clock, or when the same person pushed it."""
    fakes = _fakes()
    if push:
        _github(fakes).pushes["speed"] = push
    given = _label(fakes)
    assert (given is not None) is granted
    assert ("looked at" in _said(fakes)) is not granted
    assert "run-tpu-tests" not in _github(fakes).labels[NUMBER]


def test_without_the_permission_to_see_pushes_a_label_alone_is_not_enough() -> None:
    """The warning names the permission; an approval still counts."""
    fakes = _fakes()
    _github(fakes).denied["last_push"] = errors.AccessError("no", what_to_do="contents: read")
    assert _label(fakes) is None
    assert "contents: read" in fakes.job.of_kind("warning")[0]
    _github(fakes).approvals[NUMBER, HEAD] = ["ada"]
    assert _label(fakes) is not None


def test_a_longer_quiet_period() -> None:
    """The period is a setting, and what to do names it."""
    fakes = _fakes()
    _github(fakes).pushes["speed"] = Push(sha=HEAD, at=AT - 100, actor="bob")
    assert _label(fakes, replace(POLICY, quiet_s=300.0)) is None
    assert "for 300 s" in _said(fakes) and f"/accel-ci run {HEAD}`" in _said(fakes)


def test_a_fork_needs_a_person_who_names_or_approves_the_commit() -> None:
    """For a fork no waiting counts: its branch is not ours, and nobody tells when it came to its commit."""
    fakes = _fakes(fork=True)
    _github(fakes).pushes["speed"] = Push(sha=HEAD, at=AT - 9999, actor="ada")
    assert _label(fakes) is None
    assert "from a fork" in _said(fakes)
    _github(fakes).approvals[NUMBER, HEAD] = ["eve", "ada"]
    given = _label(fakes)
    assert given is not None and given.trust is Trust.FORK and "ada approved" in given.evidence


@pytest.mark.parametrize("approvals", [{(NUMBER, "d" * 40): ["ada"]}, {(NUMBER, HEAD): ["eve", "mallory"]}, {}])
def test_approvals_that_do_not_count(approvals: dict[tuple[int, str], list[str]]) -> None:
    """An approval of another commit, or of somebody who may not write, shows nothing."""
    fakes = _fakes(fork=True)
    _github(fakes).approvals = approvals
    assert _label(fakes) is None


def test_many_approvals_cost_few_calls() -> None:
    """Anybody may approve: only the first ten are asked for their role."""
    fakes = _fakes(fork=True)
    _github(fakes).approvals[NUMBER, HEAD] = [f"bot{number}" for number in range(10)] + ["ada"]
    assert _label(fakes) is None


def test_a_commit_that_was_granted_before_may_run_again() -> None:
    """Our own check on the commit shows an earlier grant; one with another mark shows nothing."""
    fakes = _fakes(fork=True)
    _github(fakes).all_checks = [_ours(external_id="accel-ci:x:1"), _ours(sha="d" * 40)]
    assert _label(fakes) is None
    _github(fakes).all_checks = [_ours(conclusion=Conclusion.FAILURE)]
    given = _label(fakes)
    assert given is not None and "granted before" in given.evidence


def test_a_comment_that_names_the_commit_is_a_grant() -> None:
    """The grant is bound to the pull request, its base and its commit; the comment gets a reaction, not an answer."""
    fakes = _fakes(fork=True)
    given = _comment(fakes, f"/accel-ci run {HEAD}\nthanks!")
    assert given is not None
    assert (given.sha, given.pull_request, given.base_sha, given.actor) == (HEAD, NUMBER, "c" * 40, "ada")
    assert (_github(fakes).reactions[9], _said(fakes)) == ([Reaction.DONE], "")
    assert fakes.job.outputs["allowed"] == "true"


@pytest.mark.parametrize(
    ("body", "who", "why"),
    [
        (f"/accel-ci run {'d' * 12}", "ada", "not the newest commit"),
        (f"/accel-ci run {HEAD[:12]}", "eve", "may not write"),
        ("/accel-ci run", "mallory", "may not write"),
        ("/accel-ci run", "ada", "looked at"),
        ("/accel-ci rerun", "ada", "looked at"),
    ],
)
def test_a_refused_comment(body: str, who: str, why: str) -> None:
    """The reaction says no, one comment says why; nothing is granted and no label is touched."""
    fakes = _fakes()
    assert _comment(fakes, body, who=who) is None
    assert why in _said(fakes)
    assert _github(fakes).reactions[9] == [Reaction.REFUSED]
    assert "remove_label" not in _github(fakes).written
    assert fakes.job.outputs == {"allowed": "false"}


def test_a_shortened_sha_is_no_evidence() -> None:
    """Two commits that begin alike are cheap to make: the rest of the sha has to be shown by something else."""
    fakes = _fakes(fork=True)
    assert _comment(fakes, f"/accel-ci run {HEAD[:12]}") is None
    assert f"/accel-ci run {HEAD}`" in _said(fakes)
    _github(fakes).approvals[NUMBER, HEAD] = ["ada"]
    assert _comment(fakes, f"/accel-ci run {HEAD[:12]}") is not None


def test_run_without_a_commit_takes_the_newest_that_was_there() -> None:
    """A bare `run` needs the same evidence as a label."""
    fakes = _fakes()
    _github(fakes).pushes["speed"] = Push(sha=HEAD, at=AT - 61, actor="bob")
    given = _comment(fakes, "/accel-ci run")
    assert given is not None and given.sha == HEAD


def test_rerun_takes_what_was_run_before() -> None:
    """`rerun` is for a commit that has our check."""
    fakes = _fakes(fork=True)
    _github(fakes).all_checks = [_ours(conclusion=Conclusion.FAILURE)]
    assert _comment(fakes, "/accel-ci rerun") is not None


@pytest.mark.parametrize(
    "event",
    [
        _event("please /accel-ci run"),
        _event("/accel-cirun"),
        _event("> /accel-ci run"),
        _event("/accel-ci run", action="edited"),
        _event("/accel-ci run", issue={"number": NUMBER}),
        _event("/accel-ci run", comment=None),
        _event("/accel-ci run", comment={"id": "9", "body": "/accel-ci run"}),
        {},
    ],
)
def test_other_comments_are_left_alone(event: dict[str, Any]) -> None:
    """Text that only mentions a command, an edited comment, an issue: no call to GitHub at all."""
    fakes = _fakes()
    _github(fakes).denied = {name: errors.AccessError("not asked") for name in ("role", "pull_request", "react")}
    assert gate.gate(fakes.world, _here("issue_comment"), event=event, policy=POLICY) is None
    assert _github(fakes).written == []


def test_a_bots_comment_is_refused() -> None:
    """A bot is no person who looked at the code."""
    fakes = _fakes()
    assert _comment(fakes, f"/accel-ci run {HEAD}", sender=_user("ada", "Bot")) is None
    assert _github(fakes).reactions[9] == [Reaction.REFUSED]


@pytest.mark.parametrize(
    "body", ["/accel-ci", "/accel-ci help", "/accel-ci runn", "/accel-ci run now!", "/accel-ci run\tABC"]
)
def test_help_is_said_once(body: str) -> None:
    """Help, and what nobody understands, is one comment with every command."""
    fakes = _fakes()
    for _ in range(2):
        assert _comment(fakes, body) is None
    (said,) = _github(fakes).comments[NUMBER].values()
    assert all(f"`/accel-ci {verb}" in said for verb in ("run", "rerun", "cancel", "help"))


def test_cancel_ends_the_runs_of_the_newest_commit() -> None:
    """Only runs with a pending check of ours on the head are cancelled, each once, never our own."""
    fakes = _fakes()
    url = "https://github.com/org/hello/actions/runs/1"
    _github(fakes).runs = {
        run: WorkflowRun(id=run, workflow="t.yml", attempt=1, status="in_progress", url=url) for run in (70, 71, 72, 77)
    }
    _github(fakes).all_checks = [
        _ours(run=70),
        _ours(run=71, conclusion=Conclusion.SUCCESS),
        _ours(run=72, sha="d" * 40),
        _ours(run=77),
        _ours(external_id="somebody:else"),
    ]
    assert _comment(fakes, "/accel-ci cancel") is None
    assert [each for each in _github(fakes).written if "cancel" in each] == ["cancel 70"]
    assert _github(fakes).reactions[9] == [Reaction.DONE]


def test_a_stranger_cancels_nothing() -> None:
    """`cancel` and `help` of somebody who may not write get a reaction, and the one comment that says why."""
    fakes = _fakes()
    _github(fakes).all_checks = [_ours(run=70)]
    for body in ("/accel-ci cancel", "/accel-ci help"):
        assert _comment(fakes, body, who="eve") is None
        assert "may not write" in _said(fakes) and "ask a maintainer" in _said(fakes)
    assert _github(fakes).written == ["react", "put_comment"] * 2


@pytest.mark.parametrize("running", [True, False])
def test_a_cancel_that_ends_nothing_says_why(running: bool) -> None:
    """Without a run, or without the permission to end it: a thumb down, and what to do in the one comment."""
    fakes = _fakes()
    _github(fakes).all_checks = [_ours(run=70)] if running else []
    _github(fakes).denied["cancel"] = errors.AccessError("no", what_to_do="permissions: {actions: write}")
    assert _comment(fakes, "/accel-ci cancel") is None
    assert _github(fakes).reactions[9] == [Reaction.REFUSED]
    assert ("actions: write" if running else "no run of the newest commit") in _said(fakes)


@pytest.mark.parametrize("body", [f"/accel-ci run {HEAD}", "/accel-ci cancel"])
def test_a_command_that_fails_is_answered_too(body: str) -> None:
    """The comment gets a confused face, for its run is shown nowhere on the pull request; the job fails all the same."""
    fakes = _fakes()
    _github(fakes).denied["pull_request"] = errors.TransientError("GitHub did not answer")
    with pytest.raises(errors.TransientError):
        _comment(fakes, body)
    assert _github(fakes).reactions[9] == [Reaction.FAILED] and fakes.job.outputs == {}
    fakes.github = None
    with pytest.raises(errors.ConfigurationError, match="no token"):
        _comment(fakes, body)


@pytest.mark.parametrize("method", ["react", "put_comment"])
def test_a_comment_that_is_gone_changes_no_decision(method: str) -> None:
    """Whoever asked may have deleted the comment, or a maintainer locked the conversation: a warning, and it stays no."""
    fakes = _fakes()
    _github(fakes).denied[method] = errors.ConfigurationError("404")
    assert _comment(fakes, "/accel-ci run") is None
    assert fakes.job.outputs == {"allowed": "false"} and len(fakes.job.of_kind("warning")) >= 1


def test_a_grant_takes_an_earlier_refusal_back() -> None:
    """What is no longer true does not stay on the pull request; that it cannot be removed changes nothing."""
    fakes = _fakes()
    assert _comment(fakes, "/accel-ci run") is None and "looked at" in _said(fakes)
    _github(fakes).denied["remove_comment"] = errors.TransientError("GitHub did not answer")
    assert _comment(fakes, f"/accel-ci run {HEAD}") is not None
    assert "an earlier refusal stays" in fakes.job.of_kind("warning")[-1]
    _github(fakes).denied.clear()
    assert _comment(fakes, f"/accel-ci run {HEAD}") is not None and _said(fakes) == ""


def test_a_reaction_that_fails_changes_nothing() -> None:
    """The grant stands, and a warning says which permission lacks."""
    fakes = _fakes()
    _github(fakes).denied["react"] = errors.AccessError("no", what_to_do="pull-requests: write")
    assert _comment(fakes, f"/accel-ci run {HEAD}") is not None
    assert "pull-requests: write" in fakes.job.of_kind("warning")[0]


@pytest.mark.parametrize(
    ("tip", "pinned"),
    [
        (Push(sha="d" * 40, at=1.0, actor="bob"), "d" * 40),
        (Push(sha="main", at=1.0, actor="bob"), "c" * 40),
        (None, "c" * 40),
    ],
)
def test_the_base_is_pinned_as_it_is_now(tip: Push | None, pinned: str) -> None:
    """The grant names the base branch's newest commit, for GitHub's `base.sha` may be months old; else that."""
    fakes = _fakes(fork=True)
    if tip is not None:
        _github(fakes).pushes["main"] = tip
    given = _comment(fakes, f"/accel-ci run {HEAD}")
    assert given is not None and given.base_sha == pinned


def test_a_base_that_nobody_tells_is_the_pull_requests_own() -> None:
    """Without the permission to look, the grant goes by what the pull request itself says, and the log says so."""
    fakes = _fakes(fork=True)
    _github(fakes).denied["last_push"] = errors.AccessError("no", what_to_do="contents: read")
    given = _comment(fakes, f"/accel-ci run {HEAD}")
    assert given is not None and given.base_sha == "c" * 40
    assert any("last push" in line for line in fakes.job.of_kind("log"))
