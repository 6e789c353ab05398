"""Merge tests in a real runner: the label pins commit and base, the machine merges them, the comment names both."""

from __future__ import annotations

import copy
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from accel_ci.domain.verdict import Verdict
from accel_ci_sim.wire import github_shapes
from tests.contracts import github_worlds
from tests.contracts.github_worlds import Wired
from tests.end_to_end import runner as runners
from tests.end_to_end.runner import Runner
from tests.wire.github import description

pytestmark = pytest.mark.judge("node")  # the post step is an action in JavaScript
NUMBER = 2


@pytest.fixture
def github() -> Iterator[Wired]:
    """The simulated GitHub; whatever goes over the wire is held against GitHub's description at the end."""
    with github_worlds.wired() as opened:
        opened.state.collaborators["Codertocat"] = "write"
        yield opened


def _commit(runner: Runner, *, base: str, name: str, text: str) -> str:
    runners.git(runner.repository, "checkout", "-q", "--detach", base)
    (runner.repository / name).write_text(text)
    runners.git(runner.repository, "add", "-A")
    runners.git(runner.repository, "commit", "-qm", name)
    done = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=runner.repository, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def _labelled(runner: Runner, github: Wired, *, head: str, base: str, run: str) -> subprocess.CompletedProcess[str]:
    event: dict[str, Any] = copy.deepcopy(description.event("pull_request.labeled"))
    event["label"]["name"] = "run-tpu-tests"
    event["pull_request"]["head"]["sha"] = head
    event["pull_request"]["updated_at"] = github_shapes.moment(github.clock.now())
    github.state.add_pull(event["number"], head_sha=head, labels=["run-tpu-tests"])
    github.state.push(github.state.pull(event["number"]).base_ref, base, actor="grace")
    jobs = runners.composed(run)
    jobs["gate"]["steps"][0]["with"] = {}
    (step,) = (each for each in jobs["tpu"]["steps"] if "run-remote" in each["uses"])
    step["with"]["source"] = "merge"
    return runner.run(jobs, event="pull_request_target", payload=event, GITHUB_API_URL=github.address)


def test_the_merge_is_tested(runner: Runner, github: Wired) -> None:
    """Files of both sides are there; record and comment name commit, base and merge; the check is the commit's own."""
    fork = runner.sha
    head = _commit(runner, base=fork, name="topic.txt", text="topic")
    base = _commit(runner, base=fork, name="base.txt", text="base")
    done = _labelled(runner, github, head=head, base=base, run="cat topic.txt base.txt && git show --format=%p HEAD")
    assert runners.results(done)["tpu"] == "success", runners.told(done)
    (record,) = runner.kept()
    assert record.source is not None
    assert (record.source.sha, record.source.base_sha, record.identity.base_sha) == (head, base, base)
    (comment,) = github.comments(NUMBER)
    assert head[:12] in comment and base[:12] in comment and record.source.merge_sha in comment
    assert [(each.sha, each.conclusion) for each in github.state.checks.values()] == [(head, "success")]


def test_a_conflict_asks_for_action(runner: Runner, github: Wired) -> None:
    """Nothing was run: the check asks for action, and the comment names the file and what to do."""
    fork = runner.sha
    head = _commit(runner, base=fork, name="both.txt", text="topic")
    base = _commit(runner, base=fork, name="both.txt", text="base")
    done = _labelled(runner, github, head=head, base=base, run="touch ran.txt")
    assert runners.results(done)["tpu"] == "failure", runners.told(done)
    (record,) = runner.kept()
    assert (record.verdict, record.phases, record.artifacts) == (Verdict.CONFLICT, [], [])
    (comment,) = github.comments(NUMBER)
    assert "both.txt" in comment and "merge the base branch into the pull request" in comment
    assert [each.conclusion for each in github.state.checks.values()] == ["action_required"]
