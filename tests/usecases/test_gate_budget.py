"""gate: no more runs in a day, or at a time, than the repository's owner allows; only granted runs are counted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from accel_ci.domain import errors
from accel_ci.domain.check import Check, Conclusion
from accel_ci.domain.context import Context
from accel_ci.domain.grant import Grant
from accel_ci.domain.pullrequest import PullRequest, Role
from accel_ci.domain.queued import WorkflowRun
from accel_ci.domain.trigger import Policy
from accel_ci.operations import budget
from accel_ci.usecases import gate
from accel_ci_sim.world.github import BOT, CheckRun
from tests.contracts import github_worlds
from tests.fakes.github import FakeGitHub
from tests.usecases.worlds import Fakes

HEAD, PLACE = "a" * 40, "f" * 40
FILE = ".github/workflows/tpu.yml"
EVENT = {
    "action": "created",
    "comment": {"id": 9, "body": f"/accel-ci run {HEAD}", "created_at": "2017-07-14T02:40:00Z"},
    "issue": {"number": 5, "pull_request": {}},
    "sender": {"login": "ada", "type": "User"},
}
LIMITED = Policy(max_per_day=2)


def _here(run: int, *, attempt: int = 1, event: str = "issue_comment") -> Context:
    return Context(
        repository="org/hello",
        repository_id=4711,
        run_id=run,
        attempt=attempt,
        job="gate",
        event=event,
        actor="ada",
        sha="b" * 40,
        ref="refs/heads/main",
        server_url="https://github.com",
        run_url=f"https://github.com/org/hello/actions/runs/{run}",
        pull_request=5 if event == "issue_comment" else None,
        workflow_file=FILE,
    )


def _fakes() -> tuple[Fakes, FakeGitHub]:
    fakes, github = Fakes(), FakeGitHub(roles={"ada": Role.WRITE}, changes={FILE: PLACE})
    github.pulls[5] = PullRequest(number=5, title="t", head_sha=HEAD, base_ref="main", fork=True)
    fakes.github = github
    return fakes, github


def _gate(fakes: Fakes, here: Context, policy: Policy = LIMITED) -> Grant | None:
    return gate.gate(fakes.world, here, event=EVENT if here.event == "issue_comment" else {}, policy=policy)


def _run(run: int, status: str = "in_progress") -> WorkflowRun:
    return WorkflowRun(id=run, workflow="tpu.yml", attempt=1, status=status, url="u")


def _said(github: FakeGitHub) -> str:
    return "".join(github.comments.get(5, {}).values())


def test_a_day_has_its_runs_and_no_more() -> None:
    """The third request of the day is refused: the comment says the budget, when it begins anew, and who can raise it."""
    fakes, github = _fakes()
    assert [_gate(fakes, _here(run)) is not None for run in (1, 2, 3)] == [True, True, False]
    for part in ("budget of 2 runs a day is used up", "after 00:00 UTC", "raise `max-per-day`", f"/commit/{PLACE}"):
        assert part in _said(github)
    assert fakes.job.outputs["allowed"] == "false"
    assert [each.external_id for each in github.all_checks if each.sha == HEAD] == ["accel-ci:1:1", "accel-ci:2:1"]
    fakes.clock.sleep(budget.DAY_S)
    assert _gate(fakes, _here(4)) is not None and _said(github) == ""


def test_the_book_says_who_had_the_runs() -> None:
    """One line for each grant, on the commit that last changed the workflow: whose, for what, and where to look."""
    fakes, github = _fakes()
    for attempt in (1, 2):
        assert _gate(fakes, _here(1, attempt=attempt)) is not None
    lines = [each for each in github.all_checks if each.sha == PLACE]
    assert [line.external_id for line in lines] == ["accel-ci:1:1", "accel-ci:1:2"]
    assert {(line.title, line.conclusion, line.url) for line in lines} == {
        ("#5 by ada", Conclusion.SUCCESS, "https://github.com/org/hello/actions/runs/1")
    }
    assert {line.name for line in lines} == {"accel-ci 2027-01-15"}


def test_nights_and_pushes_count_and_are_never_refused() -> None:
    """Nobody could be told: they take their line, and go on without one when it cannot be written."""
    fakes, github = _fakes()
    for run in (1, 2, 3):
        assert _gate(fakes, _here(run, event="schedule")) is not None
    assert _gate(fakes, _here(4)) is None and "used up" in _said(github)
    github.denied["last_change"] = errors.AccessError("no", what_to_do="contents: read")
    assert _gate(fakes, _here(5, event="push")) is not None
    assert "not counted" in fakes.job.of_kind("warning")[-1]


def test_what_is_refused_costs_nothing_of_the_budget() -> None:
    """A request without evidence, or of somebody who may not write, has no line; nor has anything without a limit."""
    fakes, github = _fakes()
    github.roles["ada"] = Role.READ
    assert _gate(fakes, _here(1)) is None
    github.roles["ada"] = Role.WRITE
    assert _gate(fakes, _here(2), Policy()) is not None
    assert {each.sha for each in github.all_checks} == {HEAD}
    assert [_gate(fakes, _here(run)) is not None for run in (3, 4, 5)] == [True, True, False]


@pytest.mark.parametrize("method", ["last_change", "checks", "put_check"])
def test_who_cannot_count_grants_nothing(method: str) -> None:
    """A missing permission is a refusal that names it: a limit that nobody can keep is not taken for none."""
    fakes, github = _fakes()
    github.denied[method] = errors.AccessError("no", what_to_do="checks: write")
    assert _gate(fakes, _here(1)) is None
    assert "nobody can count the runs" in _said(github) and "checks: write" in _said(github)


@pytest.mark.parametrize("file", ["", ".github/workflows/other.yml"])
def test_a_workflow_without_a_place_for_the_book(file: str) -> None:
    """A workflow of another repository, or one that is not on the default branch, cannot be counted: refused."""
    fakes, github = _fakes()
    assert _gate(fakes, replace(_here(1), workflow_file=file)) is None
    assert "not on the repository's default branch" in _said(github)


@pytest.mark.parametrize(("allowed", "granted"), [(0, True), (1, False), (2, False), (3, True)])
def test_a_cap_on_runs_at_a_time(allowed: int, granted: bool) -> None:
    """Two granted runs are going on; what is over, our own run, and runs that nobody granted do not count."""
    fakes, github = _fakes()
    for run in (77, 78, 79, 80):
        budget.opened(github, _here(run), check_name="accel-ci", now=fakes.clock.now()).write("before")
    for run, status in ((78, "queued"), (79, "in_progress"), (80, "completed"), (81, "in_progress"), (77, "queued")):
        github.runs[run] = _run(run, status)
    given = _gate(fakes, _here(77, attempt=2), Policy(max_running=allowed))
    assert (given is not None) is granted
    assert ("2 runs are going on" in _said(github)) is not granted


def test_a_run_that_goes_on_since_yesterday_counts() -> None:
    """Midnight ends no run."""
    fakes, github = _fakes()
    assert _gate(fakes, _here(1), Policy(max_running=1)) is not None
    github.runs[1] = _run(1)
    fakes.clock.sleep(budget.DAY_S)
    assert _gate(fakes, _here(2), Policy(max_running=1)) is None
    assert "1 runs are going on" in _said(github)


class Racing(FakeGitHub):
    """Another run's line is written just before ours, after we looked."""

    def put_check(self, check: Check) -> None:
        if check.sha == PLACE:
            super().put_check(replace(check, external_id="accel-ci:1:1"))
        super().put_check(check)


def test_of_two_at_the_same_moment_the_first_line_has_the_place() -> None:
    """Both saw that one run was left; the one whose line came second is refused."""
    fakes, github = _fakes()
    fakes.github = racing = Racing(**vars(github))
    assert _gate(fakes, _here(2), Policy(max_per_day=1)) is None
    assert "used up" in _said(racing)
    assert _gate(fakes, _here(1), Policy(max_per_day=1)) is not None


def _wired_gate(opened: github_worlds.Wired, run: int, policy: Policy = LIMITED) -> Any:
    fakes = Fakes()
    world = replace(fakes.world, github=opened.another(), clock=opened.clock)
    return gate.gate(world, _here(run), event=EVENT | {"comment": _comment(opened)}, policy=policy)


def _comment(opened: github_worlds.Wired) -> dict[str, Any]:
    return {"id": opened.comment(5, "x"), "body": f"/accel-ci run {HEAD}", "created_at": "2017-07-14T02:40:00Z"}


def test_on_the_wire_strangers_spend_nothing() -> None:
    """With GitHub's own requests and permissions: checks of another app on that commit use nothing up; a step has 40 calls."""
    with github_worlds.wired() as opened:
        opened.collaborator("ada", Role.WRITE)
        opened.pull(5, fork=True, labels=(), files=())
        opened.state.changes[FILE] = PLACE
        for run in range(5):
            line = CheckRun(id=run, app="evil", sha=PLACE, name="accel-ci 2027-01-15", external_id=f"accel-ci:{run}:1")
            opened.state.put_check(line)
        policy = replace(LIMITED, max_running=9)
        before = len(opened.exchanges)
        assert [_wired_gate(opened, run, policy) is not None for run in (1, 2, 3)] == [True, True, False]
        assert len(opened.exchanges) - before < 3 * 25
        (said,) = (each.body for each in opened.state.comments_of(5) if each.author == BOT)
        assert "budget of 2 runs a day" in said
