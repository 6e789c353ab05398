"""A label on a pull request, and nightly runs, in a real runner against the simulated GitHub."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from accel_ci_sim.wire import github_shapes
from tests.contracts import github_worlds
from tests.contracts.github_worlds import Wired
from tests.end_to_end import runner as runners
from tests.end_to_end.runner import Runner
from tests.wire.github import description

LABEL, EVENT = "run-tpu-tests", "pull_request_target"
COMMAND = "python -m pytest -q -p no:cacheprovider"


@pytest.fixture
def github() -> Iterator[Wired]:
    """The simulated GitHub; whatever goes over the wire is held against GitHub's description at the end."""
    with github_worlds.wired() as opened:
        opened.state.collaborators["Codertocat"] = "write"
        yield opened


def _labeled(runner: Runner, github: Wired, *, label: str = LABEL) -> dict[str, Any]:
    event = copy.deepcopy(description.event("pull_request.labeled"))
    event["label"]["name"] = label
    event["pull_request"]["head"]["sha"] = runner.sha
    event["pull_request"]["updated_at"] = github_shapes.moment(github.clock.now())
    github.state.add_pull(event["number"], head_sha=runner.sha, labels=[label])
    return event


def test_from_the_label_to_the_comment(runner: Runner, github: Wired) -> None:
    """The label is consumed, the check goes from pending to failure, the comment names the failing test, no machine stays."""
    event = _labeled(runner, github)
    jobs = runners.composed(COMMAND)
    jobs["gate"]["steps"][0]["with"] = {}
    done = runner.run(jobs, event=EVENT, payload=event, GITHUB_API_URL=github.address)
    results = runners.results(done)
    assert (results["gate"], results["tpu"], results["cleanup"]) == ("success", "failure", "success"), done.stdout[
        -6000:
    ]
    (check,) = github.state.checks.values()
    assert (check.sha, check.status, check.conclusion) == (runner.sha, "completed", "failure")
    pending = next(each for each in github.exchanges if each.verb == "POST" and each.path.endswith("/check-runs"))
    assert pending.response["status"] == "in_progress"
    (comment,) = github.comments(event["number"])
    assert "test_fail" in comment and "| failed | passed | skipped | total |" in comment
    assert "| 1 | 1 | 1 | 3 |" in comment
    assert github.labels(event["number"]) == set()
    assert runner.terminal.machines() == []
    assert len(github.exchanges) <= 40


def test_another_label_is_nothing_at_all(runner: Runner, github: Wired) -> None:
    """No call to GitHub, no check, no comment, no machine; the testing job does not begin."""
    event = _labeled(runner, github, label="documentation")
    jobs = runners.composed(COMMAND)
    jobs["gate"]["steps"][0]["with"] = {}
    done = runner.run(jobs, event=EVENT, payload=event, GITHUB_API_URL=github.address)
    assert runners.results(done)["gate"] == "success", done.stdout[-6000:]
    assert (github.exchanges, github.state.checks, runner.kept()) == ([], {}, [])


def test_nights(runner: Runner, github: Wired) -> None:
    """A failing night opens one issue, the second comments in it, a green one closes it; the root action does it all."""
    for night, choice in enumerate(("pass or fail", "fail", "pass"), 1):
        step = {"uses": "org/accel-ci@v1", "with": {"accelerator": "local", "run": f"{COMMAND} -k '{choice}'"}}
        jobs = {"tpu": {"runs-on": "ubuntu-latest", "steps": [step]}}
        here = {"GITHUB_RUN_ID": str(100 + night), "GITHUB_REF": "refs/heads/main"}
        done = runner.run(jobs, event="schedule", payload={}, GITHUB_API_URL=github.address, **here)
        assert runners.results(done)["tpu"] == ("success" if choice == "pass" else "failure"), done.stdout[-6000:]
        (issue,) = github.state.issues.values()
        assert (issue.state, len(github.comments(issue.number))) == ("closed" if night == 3 else "open", night - 1)
    assert [check.conclusion for check in github.state.checks.values()] == ["failure", "failure", "success"]
