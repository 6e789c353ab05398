"""The simulated GitHub, judged by PyGithub, by gh, and by GitHub's own description of its API and events."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import github
import pytest

from accel_ci_sim.wire.github import Exchange
from accel_ci_sim.world import github as world
from accel_ci_sim.world.github import Fault
from tests import judges
from tests.contracts import github_worlds
from tests.contracts.github_worlds import SHA, TOKEN, Wired
from tests.wire.github import description


@pytest.fixture
def setting() -> Iterator[Wired]:
    """The simulated GitHub with a pull request; every exchange is held against the description at the end."""
    with github_worlds.wired() as opened:
        opened.pull(5, fork=True, labels=("bug", "run"), files=("a.py", "b.py"))
        yield opened


def _pygithub(setting: Wired) -> Any:
    opened = github.Github(
        auth=github.Auth.Token(TOKEN),
        base_url=setting.address,
        retry=None,
        seconds_between_requests=None,
        seconds_between_writes=None,
    )
    return opened.get_repo("org/hello")


def test_pygithub_walks_a_pull_request(setting: Wired) -> None:
    """PyGithub's own objects find what the state holds: commit, files, labels, comments, and change them."""
    pull = _pygithub(setting).get_pull(5)
    assert (pull.head.sha, pull.base.repo.full_name, [file.filename for file in pull.get_files()]) == (
        SHA,
        "org/hello",
        ["a.py", "b.py"],
    )
    issue = pull.as_issue()
    issue.remove_from_labels("run")
    issue.add_to_labels("tpu")
    comment = issue.create_comment("hello")
    comment.edit("hello again")
    assert [each.body for each in issue.get_comments()] == ["hello again"]
    comment.delete()
    assert (setting.labels(5), setting.state.comments) == ({"bug", "tpu"}, {})


def test_pygithub_concludes_a_check(setting: Wired) -> None:
    """A check that PyGithub made and ended is the commit's."""
    repository = _pygithub(setting)
    check = repository.create_check_run("accel-ci", SHA, status="in_progress", external_id="x")
    check.edit(status="completed", conclusion="failure", output={"title": "t", "summary": "s"})
    (kept,) = setting.state.checks.values()
    assert (kept.conclusion, kept.output["title"], kept.app) == ("failure", "t", "github-actions")


def test_pygithub_keeps_an_issue(setting: Wired) -> None:
    """An issue is opened, listed by label and author, and closed."""
    repository = _pygithub(setting)
    issue = repository.create_issue("It fails", body="because", labels=["accel-ci"])
    assert [each.number for each in repository.get_issues(labels=["accel-ci"], creator=world.BOT)] == [issue.number]
    issue.edit(state="closed", state_reason="completed")
    assert setting.state.issue(issue.number).state_reason == "completed"


def test_pygithub_cancels_a_run(setting: Wired) -> None:
    """A run with its jobs is read and cancelled."""
    setting.a_run(7, jobs={"tpu": "queued"}, stubborn=False)
    run = _pygithub(setting).get_workflow_run(7)
    assert [job.status for job in run.jobs()] == ["queued"]
    assert run.cancel()
    assert setting.state.runs[7].conclusion == "cancelled"


def test_pygithub_knows_the_errors(setting: Wired) -> None:
    """Bad tokens, missing objects and limits are what PyGithub takes them for."""
    repository = _pygithub(setting)
    with pytest.raises(github.UnknownObjectException):
        repository.get_pull(99)
    limit = "You have exceeded a secondary rate limit"
    setting.state.faults = [Fault(matches="GET", status=403, message=limit, headers={"Retry-After": "1"})]
    with pytest.raises(github.RateLimitExceededException):
        repository.get_pull(5)
    setting.state.tokens.clear()
    with pytest.raises(github.BadCredentialsException):
        repository.get_pull(5)


def _gh(setting: Wired, home: Path, *words: str) -> str:
    # gh speaks plain http with this host only, whose name no computer needs to know when a proxy is asked.
    environ = {"PATH": os.environ["PATH"], "HOME": str(home), "GH_HOST": "github.localhost", "NO_COLOR": "1"}
    environ |= {"GH_ENTERPRISE_TOKEN": TOKEN, "GH_TOKEN": TOKEN, "http_proxy": setting.address}
    command = [judges.require("gh"), "api", *words]
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=True, timeout=60).stdout


@pytest.mark.judge("gh")
def test_gh_reads_and_writes(setting: Wired, tmp_path: Path) -> None:
    """GitHub's own client reads a pull request, pages through a listing, writes and deletes a comment."""
    setting.state.pull(5).files = [f"file_{number}" for number in range(70)]
    pull = json.loads(_gh(setting, tmp_path, "repos/org/hello/pulls/5"))
    assert (pull["head"]["sha"], pull["number"]) == (SHA, 5)
    names = _gh(setting, tmp_path, "--paginate", "repos/org/hello/pulls/5/files", "--jq", ".[].filename").split()
    assert names == setting.state.pull(5).files
    made = json.loads(_gh(setting, tmp_path, "repos/org/hello/issues/5/comments", "-f", "body=hello"))
    assert setting.state.comments[made["id"]].body == "hello"
    _gh(setting, tmp_path, "-X", "DELETE", f"repos/org/hello/issues/comments/{made['id']}")
    assert setting.state.comments == {}


def test_every_operation_of_ours_is_described() -> None:
    """A path that the description does not have is a violation."""
    unknown = Exchange(verb="GET", path="/repos/o/r/unknown", query={}, request=None, status=200, response={})
    assert description.violations(unknown) == ["GET /repos/o/r/unknown: no such operation in the description"]


@pytest.mark.parametrize("name", ["pull_request.labeled", "pull_request.synchronize"])
def test_real_events_have_what_gate_reads(name: str) -> None:
    """The members that gate trusts are in real payloads, of the kind that it expects."""
    event = description.event(name)
    assert event["action"] == name.split(".")[1]
    assert isinstance(event["pull_request"]["number"], int)
    assert len(event["pull_request"]["head"]["sha"]) == 40
    assert event["sender"]["type"] == "User"
