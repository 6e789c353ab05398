"""reap-queued: exactly the runs that waited too long are ended, politely first."""

from __future__ import annotations

from dataclasses import replace

import pytest

from accel_ci.domain import errors
from accel_ci.domain.context import Context
from accel_ci.domain.queued import WorkflowJob, WorkflowRun
from accel_ci.usecases import reap_queued
from tests.fakes.github import FakeGitHub
from tests.usecases.worlds import Fakes

HERE = Context(repository="org/hello", repository_id=4711, run_id=1, job="reap", event="schedule")
HOUR = 3600.0


def _fakes(*runs: tuple[int, dict[str, float]], workflow: str = "tests.yml") -> tuple[Fakes, FakeGitHub]:
    """Runs by id, each with its jobs as `status/name` and the hours since they exist."""
    fakes = Fakes()
    fakes.github = github = FakeGitHub()
    for run_id, jobs in runs:
        url = f"https://github.com/org/hello/actions/runs/{run_id}"
        github.runs[run_id] = WorkflowRun(
            id=run_id, workflow=workflow, attempt=1, status="queued", url=url, pull_requests=(run_id,)
        )
        github.jobs_of[run_id] = [
            WorkflowJob(name=told.split("/")[1], status=told.split("/")[0], created_at=fakes.clock.now() - hours * HOUR)
            for told, hours in jobs.items()
        ]
    return fakes, github


def _reap(fakes: Fakes, *, dry_run: bool = False, workflows: tuple[str, ...] = ("tests.yml",)) -> list[int]:
    return reap_queued.reap_queued(fakes.world, HERE, workflows, limit_s=HOUR, dry_run=dry_run)


def test_exactly_the_overdue_run_is_cancelled() -> None:
    """Runs that are younger, that work, that wait for an approval, that have no jobs, or that are ours stay."""
    fakes, github = _fakes(
        (1, {"queued/own": 9}),
        (2, {"queued/tpu": 2, "completed/gate": 3}),
        (3, {"queued/tpu": 0.5}),
        (4, {"queued/tpu": 2, "in_progress/gpu": 2}),
        (5, {"waiting/tpu": 9}),
        (6, {}),
    )
    assert _reap(fakes) == [2]
    assert github.written == ["cancel 2", "put_comment"]
    assert "run 6 of tests.yml: it has no jobs yet" in fakes.job.text
    assert "gpu is in progress" in fakes.job.text


def test_the_reason_and_the_machines_names_are_told() -> None:
    """The log and one comment say why, and by which names a cleanup finds what the run may have leased."""
    fakes, github = _fakes((2, {"queued/tpu": 2}))
    _reap(fakes)
    assert "cancel run 2 of tests.yml: tpu has been queued for 120 minutes" in fakes.job.text
    assert "names begin with accel-hello-2-" in fakes.job.text
    (comment,) = github.comments[2].values()
    assert "tpu has been queued for 120 minutes" in comment and "the limit is 1 h 00 m" in comment


def test_a_stubborn_run_is_forced_after_a_minute() -> None:
    """Cancelling comes first for all; only what is still there is forced."""
    fakes, github = _fakes((2, {"queued/tpu": 2}), (3, {"queued/tpu": 2}))
    github.stubborn = {3}
    assert _reap(fakes) == [2, 3]
    assert github.written[:3] == ["cancel 2", "cancel 3", "force-cancel 3"]
    assert sum(fakes.clock.slept) >= reap_queued.PATIENCE_S
    assert len(fakes.clock.slept) < 10


def test_one_that_github_does_not_cancel_keeps_no_other_waiting() -> None:
    """The others are cancelled, forced and told; the one is not forced without a polite end, and the step fails."""
    fakes, github = _fakes((2, {"queued/tpu": 2}), (3, {"queued/tpu": 2}))
    asked, github.stubborn = github.cancel, {3}

    def cancel(run_id: int, *, force: bool = False) -> None:
        if run_id == 2:
            raise errors.TransientError("GitHub answered 500 to POST /actions/runs/2/cancel")
        asked(run_id, force=force)

    github.cancel = cancel  # type: ignore[method-assign]
    with pytest.raises(errors.TransientError, match="runs/2/cancel"):
        _reap(fakes)
    assert github.written == ["cancel 3", "force-cancel 3", "put_comment"]
    assert "run 2 may not have been cancelled" in fakes.job.text


@pytest.mark.parametrize("now", ["in_progress", "run again"])
def test_what_works_or_waits_anew_is_not_forced(now: str) -> None:
    """A job that began after the polite end cleans up for itself; a run that somebody ran again waited for nothing yet."""
    fakes, github = _fakes((2, {"queued/tpu": 2}))
    github.stubborn, asked = {2}, github.cancel

    def cancel(run_id: int, *, force: bool = False) -> None:
        asked(run_id, force=force)
        if now == "in_progress":
            github.jobs_of[2] = [replace(github.jobs_of[2][0], status=now)]
        else:
            github.runs[2] = replace(github.runs[2], attempt=2)
            github.jobs_of[2] = [replace(github.jobs_of[2][0], created_at=fakes.clock.now())]

    github.cancel = cancel  # type: ignore[method-assign]
    assert _reap(fakes) == [2]
    assert github.written == ["cancel 2", "put_comment"]


def test_each_is_cancelled_as_soon_as_it_was_looked_at() -> None:
    """What was seen of a run is not old when it is cancelled: it may have got its machine meanwhile."""
    fakes, github = _fakes((2, {"queued/tpu": 2}), (3, {"queued/tpu": 2}))
    looked, jobs = list[str](), github.jobs

    def look(run_id: int) -> list[WorkflowJob]:
        looked.append(f"{run_id} after {github.written}")
        return jobs(run_id)

    github.jobs = look  # type: ignore[method-assign]
    _reap(fakes)
    assert looked == ["2 after []", "3 after ['cancel 2']"]


def test_a_run_that_never_ends_is_an_error() -> None:
    """What even force does not end is named."""
    fakes, github = _fakes((2, {"queued/tpu": 2}))
    github.immortal = {2}
    with pytest.raises(errors.TransientError, match="still not over: 2"):
        _reap(fakes)


def test_a_dry_run_changes_nothing() -> None:
    """The same runs are named, none is touched."""
    fakes, github = _fakes((2, {"queued/tpu": 2}))
    assert _reap(fakes, dry_run=True) == [2]
    assert github.written == [] and "would cancel run 2" in fakes.job.text


def test_only_named_workflows_are_looked_at() -> None:
    """Another workflow's overdue run is left alone."""
    fakes, github = _fakes((2, {"queued/tpu": 2}), workflow="deploy.yml")
    assert _reap(fakes) == [] and github.written == []
    assert _reap(fakes, workflows=("tests.yml", "deploy.yml")) == [2]


def test_a_comment_that_may_not_be_written_is_a_warning() -> None:
    """The run is cancelled all the same."""
    fakes, github = _fakes((2, {"queued/tpu": 2}))
    github.denied["put_comment"] = errors.AccessError("no", what_to_do="permissions")
    assert _reap(fakes) == [2]
    assert fakes.job.of_kind("warning")


def test_without_a_token_it_says_so() -> None:
    """Outside of GitHub there is no queue to look at."""
    with pytest.raises(errors.ConfigurationError, match="no token"):
        reap_queued.reap_queued(Fakes().world, replace(HERE, event=""), ("tests.yml",), limit_s=HOUR)
