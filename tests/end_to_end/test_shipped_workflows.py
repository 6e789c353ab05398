"""The example workflows, as they are shipped, in a real runner: TPUs and GitHub are simulated on the wire."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from accel_ci_sim.wire import github_shapes
from tests.contracts import github_worlds
from tests.contracts.github_worlds import Wired
from tests.end_to_end import runner as runners
from tests.end_to_end.runner import Runner
from tests.servers.simulator import SimulatorProcess
from tests.wire.github import description

pytestmark = [pytest.mark.judge("ssh"), pytest.mark.judge("node")]
PIP = '#!/bin/sh\necho installed: "$@"\n'


@pytest.fixture(scope="module")
def cloud_of_all(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    """One simulated cloud, whose machines have a pip that needs no package index."""
    programs = tmp_path_factory.mktemp("programs")
    (programs / "pip").write_text(PIP)
    (programs / "pip").chmod(0o755)
    running = SimulatorProcess(tmp_path_factory.mktemp("cloud"), path=str(programs))
    yield running
    running.close()


@pytest.fixture
def cloud(cloud_of_all: SimulatorProcess) -> SimulatorProcess:
    """The simulated cloud with all knobs at rest."""
    cloud_of_all.turn()
    return cloud_of_all


@pytest.fixture
def github() -> Iterator[Wired]:
    """The simulated GitHub; whatever goes over the wire is held against GitHub's description at the end."""
    with github_worlds.wired() as opened:
        opened.state.collaborators["Codertocat"] = "write"
        yield opened


def _variables(cloud: SimulatorProcess, github: Wired) -> dict[str, str]:
    return {**cloud.exports, "GITHUB_API_URL": github.address}


def _labeled(runner: Runner, github: Wired, *, label: str = "run-tpu-tests", fork: bool = False) -> dict[str, Any]:
    event = copy.deepcopy(description.event("pull_request.labeled"))
    event["label"]["name"] = label
    event["pull_request"]["head"]["sha"] = runner.sha
    event["pull_request"]["updated_at"] = github_shapes.moment(github.clock.now())
    github.state.add_pull(event["number"], head_sha=runner.sha, fork=fork, labels=[label])
    return event


def test_from_the_label_to_the_comment(runner: Runner, github: Wired, cloud: SimulatorProcess) -> None:
    """Pending check, machine, concluded check, comment with the counts; the label is consumed and no machine is left."""
    event = _labeled(runner, github)
    done = runner.example("pr-label.yml", event="pull_request_target", payload=event, **_variables(cloud, github))
    open('/tmp/wf/log.json','w').write(done.stdout)
    assert runners.results(done) == {"gate": "success", "test": "failure", "cleanup": "success"}, runners.told(done)
    pending = next(each for each in github.exchanges if each.verb == "POST" and each.path.endswith("/check-runs"))
    assert (pending.response["head_sha"], pending.response["status"]) == (runner.sha, "in_progress")
    (check,) = github.state.checks.values()
    assert (check.sha, check.status, check.conclusion) == (runner.sha, "completed", "failure")
    (comment,) = github.comments(event["number"])
    assert "test_fail" in comment and "| 1 | 1 | 1 | 3 |" in comment
    assert github.labels(event["number"]) == set()
    print([m for m in cloud.machines()])
