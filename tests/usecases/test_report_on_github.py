"""report on GitHub: the check is concluded, one comment or issue tells the story, and a token's limits are no failure."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from accel_ci.domain import check, errors
from accel_ci.domain.check import Check, Conclusion
from accel_ci.domain.pullrequest import PullRequest
from accel_ci.domain.queued import WorkflowRun
from accel_ci.domain.record import RunRecord
from accel_ci.domain.verdict import Verdict
from accel_ci.operations import publish, records
from accel_ci.operations.publish import Publication
from accel_ci.usecases import provision, report
from tests.fakes.github import FakeGitHub
from tests.render import samples
from tests.usecases import worlds
from tests.usecases.worlds import Fakes

SHA, NUMBER = samples.SHA, 128
PULL = PullRequest(number=NUMBER, title="Faster", head_sha=SHA, base_ref="main", fork=False)


def _fakes() -> tuple[Fakes, FakeGitHub]:
    fakes = Fakes()
    fakes.github = FakeGitHub()
    fakes.github.pulls[NUMBER] = PULL
    return fakes, fakes.github


def _nightly(verdict: Verdict = Verdict.FAILED, run_id: int = 7001) -> RunRecord:
    record = samples.failed() if verdict is Verdict.FAILED else samples.passed()
    record.verdict = verdict
    record.identity = record.identity.model_copy(
        update={"event": "schedule", "pull_request": None, "ref": "refs/heads/main", "run_id": run_id}
    )
    record.identity.url = f"https://github.com/tensor-lab/numerics/actions/runs/{run_id}"
    return record


@pytest.mark.parametrize("verdict", list(Verdict))
def test_the_pending_check_is_concluded(verdict: Verdict) -> None:
    """The gate's check ends; what is not the code's fault ends grey and blocking, and nothing ends neutral."""
    fakes, github = _fakes()
    github.all_checks = [Check(sha=SHA, name="accel-ci", external_id="accel-ci:7001:1", title="Waiting")]
    record = samples.passed()
    record.verdict = verdict
    report.report(fakes.world, record)
    (concluded,) = github.all_checks
    wanted = {"passed": "success", "failed": "failure", "timed-out": "timed_out", "conflict": "action_required"}
    assert concluded.conclusion == wanted.get(verdict.value, "cancelled")


def test_the_comment_tells_the_story() -> None:
    """Failing tests are named, with phases, tries, cost, links and the command that repeats the run; one comment."""
    fakes, github = _fakes()
    for record in (samples.passed(), samples.failed()):
        report.report(fakes.world, record)
    (text,) = github.comments[NUMBER].values()
    assert "## ❌ Failed on v6e-1" in text
    for told in ("test_softmax_is_stable", "test_restores", "| setup |", "us-central1-b", "no-capacity", "cost"):
        assert told in text, told
    assert f"git checkout {SHA}" in text and "accel-ci run" in text
    assert "https://github.com/tensor-lab/numerics/actions/runs/7001" in text


def test_a_pass_is_told_too() -> None:
    """A green run has its comment as well, so that an old red one never stays."""
    fakes, github = _fakes()
    report.report(fakes.world, samples.passed())
    assert "## ✅ Passed on v6e-1" in next(iter(github.comments[NUMBER].values()))


def test_a_failing_branch_has_one_issue_until_it_is_green() -> None:
    """First night: an issue. Second night: a comment in it. Green night: said and closed. Then: a new one."""
    fakes, github = _fakes()
    report.report(fakes.world, _nightly(run_id=1))
    report.report(fakes.world, _nightly(run_id=1))  # the same run told twice is no recurrence
    (number,) = github.open_issues
    assert github.comments == {} and "accel-ci: failed on v6e-1" in github.titles[number]
    report.report(fakes.world, _nightly(run_id=2))
    assert list(github.open_issues) == [number] and len(github.comments[number]) == 1
    report.report(fakes.world, _nightly(Verdict.PASSED, run_id=3))
    assert github.open_issues == {} and "Passed again" in github.comments[number]["run 3.1"]
    report.report(fakes.world, _nightly(run_id=4))
    assert len(github.open_issues) == 1


@pytest.mark.parametrize("verdict", [Verdict.NO_CAPACITY, Verdict.QUOTA, Verdict.PREEMPTED, Verdict.CANCELLED])
def test_the_clouds_failures_touch_no_issue(verdict: Verdict) -> None:
    """What says nothing about the code neither opens nor closes an issue."""
    fakes, github = _fakes()
    report.report(fakes.world, _nightly(run_id=1))
    report.report(fakes.world, _nightly(verdict, run_id=2))
    assert len(github.open_issues) == 1 and github.comments == {}


def test_issues_can_be_turned_off() -> None:
    """By setting there is only the check."""
    fakes, github = _fakes()
    report.report(fakes.world, _nightly(), publication=Publication(failure_issue=False))
    assert github.written == ["put_check"]


def test_other_jobs_and_branches_have_their_own_issue() -> None:
    """The issue's key is the workflow, job, matrix instance and branch."""
    fakes, github = _fakes()
    for job, ref in (("tpu", "main"), ("gpu", "main"), ("tpu", "dev")):
        record = _nightly()
        record.identity.job, record.identity.ref = job, f"refs/heads/{ref}"
        report.report(fakes.world, record)
    report.report(fakes.world, _nightly(), publication=Publication(workflow="Weekly"))
    assert len(github.open_issues) == 4


@pytest.mark.parametrize("denied", ["put_check", "put_comment"])
def test_what_the_token_may_not_is_a_warning(denied: str) -> None:
    """A read-only token loses the check or the comment, never the verdict, and the log names the permission."""
    fakes, github = _fakes()
    github.denied[denied] = errors.AccessError("no", what_to_do="give the job `permissions: {x: write}`")
    record = report.report(fakes.world, samples.failed())
    assert record.verdict is Verdict.FAILED
    assert "permissions: {x: write}" in fakes.job.of_kind("warning")[0]
    assert len(github.written) == 1


def test_without_github_nothing_changes() -> None:
    """A run at a terminal reports as before."""
    fakes = Fakes()
    report.report(fakes.world, samples.failed())
    assert fakes.job.of_kind("warning") == [] and fakes.job.summaries


def _instance(accelerator: str, index: int, verdict: Verdict) -> RunRecord:
    record = samples.failed() if verdict is Verdict.FAILED else samples.passed()
    record.verdict, record.target.accelerator = verdict, accelerator
    record.identity.instance = json.dumps([{"accelerator": accelerator, "shard": index}, index])
    return record


def test_a_matrix_has_one_comment_and_one_check_for_all() -> None:
    """Four jobs: a check each, one comment with all, and the required check ends with the worst when all are done."""
    fakes, github = _fakes()
    github.all_checks = [Check(sha=SHA, name="accel-ci", external_id="accel-ci:7001:1", title="Waiting")]
    jobs = [("v6e-1", 0), ("v6e-1", 1), ("l4-1", 0), ("l4-1", 1)]
    for place, (accelerator, index) in enumerate(jobs):
        assert github.checks(SHA, "accel-ci")[0].conclusion is None
        verdict = Verdict.FAILED if place == 1 else Verdict.PASSED
        report.report(fakes.world, _instance(accelerator, index, verdict), publication=Publication(siblings=4))
    assert github.checks(SHA, "accel-ci")[0].conclusion is Conclusion.FAILURE
    assert github.checks(SHA, "accel-ci")[0].title == "3 of 4 jobs passed"
    (text,) = github.comments[NUMBER].values()
    assert [f"# `accel-ci ({name}, {index})`" in text for name, index in jobs] == [True] * 4
    assert len(github.all_checks) == 5


def test_rerunning_the_failed_job_turns_the_matrix_green() -> None:
    """In a second attempt only the failed job reports again; with its siblings' first attempt the whole is green."""
    fakes, github = _fakes()
    how = Publication(siblings=2)
    for index, verdict in enumerate((Verdict.PASSED, Verdict.FAILED)):
        report.report(fakes.world, _instance("v6e-1", index, verdict), publication=how)
    again = _instance("v6e-1", 1, Verdict.PASSED)
    again.identity.attempt = 2
    report.report(fakes.world, again, publication=how)
    newest = {each.name: each.conclusion for each in github.checks(SHA)}
    assert set(newest.values()) == {Conclusion.SUCCESS} and len(newest) == 3


def _newer_run(github: FakeGitHub, *, sha: str = SHA, run_id: int = 7002) -> None:
    github.all_checks.append(Check(sha=sha, name="accel-ci", external_id=f"accel-ci:{run_id}:1", title="Waiting"))


@pytest.mark.parametrize("sha", [SHA, "b" * 40])
def test_an_older_run_that_ends_late_leaves_the_comment_alone(sha: str) -> None:
    """The comment belongs to the newest run of the pull request's newest commit; the older one's check tells its own."""
    fakes, github = _fakes()
    github.pulls[NUMBER] = replace(PULL, head_sha=sha)
    _newer_run(github, sha=sha)
    report.report(fakes.world, samples.failed())
    assert github.comments == {}
    assert "left to run 7002" in fakes.job.of_kind("notice")[0]
    assert [each.conclusion for each in github.all_checks if each.external_id == "accel-ci:7001:1"] == ["failure"]


def test_a_commit_that_nobody_tests_does_not_silence_the_run() -> None:
    """When new commits came but no run for them, and when an older run's check is there, the comment is written."""
    fakes, github = _fakes()
    github.pulls[NUMBER] = replace(PULL, head_sha="b" * 40)
    _newer_run(github, sha="b" * 40, run_id=6999)
    report.report(fakes.world, samples.failed())
    assert len(github.comments[NUMBER]) == 1


@pytest.mark.parametrize(("first", "second"), [(Verdict.FAILED, Verdict.PASSED), (Verdict.PASSED, Verdict.FAILED)])
def test_two_jobs_under_one_name_are_never_green_by_the_last_one(first: Verdict, second: Verdict) -> None:
    """A check that a job of this attempt ended can only get worse, and then says what to do about the name."""
    fakes, github = _fakes()
    for verdict in (first, second):
        record = samples.passed()
        record.verdict = verdict
        report.report(fakes.world, record)
    (ended,) = github.all_checks
    assert ended.conclusion is Conclusion.FAILURE
    assert ("input `check`" in ended.title) is (second is Verdict.PASSED)


def test_who_reported_already() -> None:
    """A check is told by this attempt's jobs once it is concluded; a pending one and another attempt's do not count."""
    _, github = _fakes()
    own = Check(sha=SHA, name="accel-ci", external_id="accel-ci:7001:2", title="Waiting")
    for number, conclusion, told in ((2, None, False), (1, Conclusion.FAILURE, False), (2, Conclusion.FAILURE, True)):
        github.all_checks = [replace(own, external_id=f"accel-ci:7001:{number}", conclusion=conclusion)]
        assert publish.concluded(github, sha=SHA, run_id=7001, attempt=2, name="accel-ci") is told


def test_names_of_instances() -> None:
    """An instance is named by its matrix values; where these are no plain values, by its index."""
    assert check.instance_name("accel-ci", "") == "accel-ci"
    assert check.instance_name("x", json.dumps([{"a": "v6e-1", "b": 3.12}, 0])) == "x (v6e-1, 3.12)"
    assert check.instance_name("x", json.dumps([{"a": {"deep": 1}}, 7])) == "x (#7)"


@pytest.mark.parametrize(
    ("native", "hours", "warned"), [(False, 7.0, True), (False, 5.0, False), (False, None, True), (True, None, False)]
)
def test_a_sweeper_that_does_not_run_is_a_warning(native: bool, hours: float | None, warned: bool) -> None:
    """Where the cloud has no limit of its own, six hours without a successful sweep, or none at all, are told."""
    fakes = Fakes()
    fakes.machines._native, fakes.github = native, FakeGitHub()
    provision.provision(fakes.world, worlds.record(), worlds.KEY, order=worlds.order())
    if hours is not None:
        fakes.github.runs[5] = WorkflowRun(
            id=5,
            workflow="sweep.yml",
            attempt=1,
            status="completed",
            url="u",
            started_at=fakes.clock.now() - 3600 * hours,
        )
    report.report(fakes.world, records.load(fakes.files, ""), publication=Publication(sweeper="sweep.yml"))
    assert any("swept" in each for each in fakes.job.of_kind("warning")) is warned
