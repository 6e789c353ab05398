"""The example workflows, as they are shipped, in a real runner: TPUs and GitHub are simulated on the wire."""

from __future__ import annotations

import copy
import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from accel_ci_sim.wire import github_shapes
from accel_ci_sim.world import github as world
from tests.contracts import github_worlds
from tests.contracts.github_worlds import Wired
from tests.end_to_end import runner as runners
from tests.end_to_end.runner import Runner
from tests.servers.simulator import SimulatorProcess
from tests.wire.github import description
from tests.wire.rest import Zone

SHARD = "import sys; print('shard', sys.argv[1], 'of', sys.argv[2])\n"
pytestmark = [pytest.mark.judge("ssh"), pytest.mark.judge("node")]
PIP = '#!/bin/sh\necho installed: "$@"\n'


@pytest.fixture(scope="module")
def cloud_of_all(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    """One simulated cloud, whose machines have a pip that needs no package index."""
    programs = tmp_path_factory.mktemp("programs")
    (programs / "pip").write_text(PIP)
    (programs / "pip").chmod(0o755)
    with closing(SimulatorProcess(tmp_path_factory.mktemp("cloud"), path=str(programs))) as running:
        yield running


@pytest.fixture
def github() -> Iterator[Wired]:
    """The simulated GitHub; whatever goes over the wire is held against GitHub's description at the end."""
    with github_worlds.wired() as opened:
        opened.state.collaborators["Codertocat"] = "write"
        opened.state.changes[runners.WORKFLOW] = "f" * 40
        yield opened


def _example(
    name: str,
    runner: Runner,
    github: Wired,
    cloud: SimulatorProcess,
    payload: dict[str, Any] | None = None,
    **more: str,
) -> subprocess.CompletedProcess[str]:
    """The example's whole run; the event is the first that it names."""
    return runner.example(name, payload=payload, **_variables(runner, github, cloud), **more)


def _as_of(
    text: str, runner: Runner, github: Wired, cloud: SimulatorProcess, event: dict[str, Any], **more: str
) -> subprocess.CompletedProcess[str]:
    variables = _variables(runner, github, cloud) | more
    return runner.act(text, event="pull_request_target", payload=event, **variables)


def _variables(runner: Runner, github: Wired, cloud: SimulatorProcess) -> dict[str, str]:
    path = os.pathsep.join([str(cloud.state / "bin"), runner.environ()["PATH"]])
    return {**cloud.exports, "PATH": path, "GITHUB_API_URL": github.address}


def _labeled(runner: Runner, github: Wired, *, label: str = "run-tpu-tests", fork: bool = False) -> dict[str, Any]:
    event = copy.deepcopy(description.event("pull_request.labeled"))
    event["label"]["name"] = label
    event["pull_request"]["head"]["sha"] = runner.sha
    event["pull_request"]["updated_at"] = github_shapes.moment(github.clock.now())
    github.state.add_pull(event["number"], head_sha=runner.sha, fork=fork, labels=[label])
    return event


def _commit(runner: Runner, **files: str) -> None:
    for name, text in files.items():
        (runner.repository / f"{name}.py").write_text(text)
    runners.git(runner.repository, "add", "-A")
    runners.git(runner.repository, "commit", "-qm", "more")


def _living(cloud: SimulatorProcess) -> list[str]:
    return [each["name"] for each in cloud.machines() if each["state"] != "GONE"]


def _steps(done: subprocess.CompletedProcess[str], command: str, name: str) -> list[str]:
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    found = [line for line in lines if line.get("command") == command and line.get("name") == name]
    return list(dict.fromkeys(line["arg"] for line in found))


def test_from_the_label_to_the_comment(runner: Runner, github: Wired, cloud: SimulatorProcess) -> None:
    """Pending check, machine, concluded check, comment with the counts; the label is consumed and no machine is left."""
    event = _labeled(runner, github)
    done = _example("pr-label.yml", runner, github, cloud, event)
    assert runners.results(done) == {"gate": "success", "test": "failure", "cleanup": "success"}, runners.told(done)
    pending = next(each for each in github.exchanges if each.verb == "POST" and each.path.endswith("/check-runs"))
    assert (pending.response["head_sha"], pending.response["status"]) == (runner.sha, "in_progress")
    (check,) = github.state.checks.values()
    assert (check.sha, check.status, check.conclusion) == (runner.sha, "completed", "failure")
    (comment,) = github.comments(event["number"])
    assert "test_fail" in comment and "| 1 | 1 | 1 | 3 |" in comment
    assert github.labels(event["number"]) == set()
    assert "the job that tested has reported: there is nothing to add" in done.stdout
    assert "installed: install -e .[test]" in done.stdout and _living(cloud) == []


def test_what_costs_nothing(runner: Runner, github: Wired, cloud: SimulatorProcess) -> None:
    """Another label makes no call at all; a push after the label is not run, which is said, and makes no check."""
    before = len(cloud.machines())
    event = _labeled(runner, github, label="documentation")
    assert runners.results(_example("pr-label.yml", runner, github, cloud, event)) == {"gate": "success"}
    pushed = _labeled(runner, github) | {"action": "synchronize"}
    results = runners.results(_example("pr-label.yml", runner, github, cloud, pushed))
    assert (results, github.exchanges, github.state.checks) == ({"outdated": "success"}, [], {})
    event = _labeled(runner, github)
    github.state.push("speed", "b" * 40, actor="ada")
    done = _example("pr-label.yml", runner, github, cloud, event)
    assert runners.results(done) == {"gate": "success"}, runners.told(done)
    (comment,) = github.comments(event["number"])
    assert "the code changed after the label was set" in comment
    assert (github.labels(event["number"]), github.state.checks, len(cloud.machines())) == (set(), {}, before)


def test_a_fork_and_its_failed_jobs_again(runner: Runner, github: Wired, cloud: SimulatorProcess) -> None:
    """A stranger's approved commit has trust `fork`; "re-run failed jobs" runs it again with the grant of attempt 1."""
    event = _labeled(runner, github, fork=True)
    github.state.collaborators["grace"] = "write"
    github.state.review(event["number"], "grace", runner.sha)
    done = _example("pr-label-composed.yml", runner, github, cloud, event)
    assert runners.results(done) == {"gate": "success", "tpu": "failure", "cleanup": "success"}, runners.told(done)
    (first,) = runner.kept()
    assert (first.identity.trust, first.identity.sha, first.identity.attempt) == ("fork", runner.sha, 1)
    (grant,) = _steps(done, "set-output", "grant")
    # GitHub does not run the gate again: its outputs are those of the first attempt.
    text = (runners.ROOT / "examples/workflows/pr-label-composed.yml").read_text()
    kept = f"    outputs: {{allowed: 'true', grant: '{grant}'}}\n    steps: [{{run: 'true'}}]\n"
    text = re.sub(r"    outputs: .*\n    steps:\n      - \{id: gate.*\n", lambda _: kept, text)
    done = _as_of(text, runner, github, cloud, event, GITHUB_RUN_ATTEMPT="2")
    assert runners.results(done) == {"gate": "success", "tpu": "failure", "cleanup": "success"}, runners.told(done)
    second = next(each for each in runner.kept() if each.identity.attempt == 2)
    assert (second.identity.sha, second.identity.trust) == (runner.sha, "fork")
    assert second.identity.name != first.identity.name and second.tests is not None
    told = sorted((check.sha, check.external_id) for check in github.state.checks.values())
    attempts = [(runner.sha, f"accel-ci:77:{attempt}") for attempt in (1, 2)]
    assert told == sorted([*attempts, ("f" * 40, "accel-ci:77:1")])  # the day's budget counts grants
    assert len(github.comments(event["number"])) == 1 and _living(cloud) == []


def test_three_nights(runner: Runner, github: Wired, cloud: SimulatorProcess) -> None:
    """Red with one issue, red with the same issue, green and closed: the job, the check and the issue agree each time."""
    for night in (1, 2, 3):
        if night == 3:
            _commit(runner, test_three="def test_pass(): pass\n")
        run_id = str(100 + night)
        done = _example("nightly.yml", runner, github, cloud, GITHUB_RUN_ID=run_id, GITHUB_REF="refs/heads/main")
        expected = "success" if night == 3 else "failure"
        assert runners.results(done)["test"] == expected, runners.told(done)
        (issue,) = github.state.issues.values()
        assert (issue.state, len(github.comments(issue.number))) == ("closed" if night == 3 else "open", night - 1)
        newest = max(github.state.checks.values(), key=lambda check: check.id)
        assert (newest.name, newest.sha, newest.conclusion) == ("nightly-tpu", runner.sha, expected)
    assert _living(cloud) == []


def test_by_hand(runner: Runner, github: Wired, cloud: SimulatorProcess) -> None:
    """What was typed in is what runs, on the accelerator that was chosen, and on demand when spot was switched off."""
    given = {"accelerator": "v5litepod-1", "run": "echo $((6 * 7)) is the answer", "spot": False}
    done = _example("manual.yml", runner, github, cloud, {"inputs": given})
    assert runners.results(done) == {"gate": "success", "test": "success", "cleanup": "success"}, runners.told(done)
    (record,) = runner.kept()
    assert record.machine is not None and record.machine.accelerator == "v5litepod-1" and not record.machine.spot
    assert "42 is the answer" in done.stdout and record.target.run == given["run"]
    assert [check.name for check in github.state.checks.values()] == ["manual"]


def test_a_matrix(runner: Runner, github: Wired, cloud: SimulatorProcess) -> None:
    """Two types and two shards: four machines with four names, a check for each, one for all, and one comment."""
    _commit(runner, run_shard=SHARD)
    event = _labeled(runner, github)
    text = (runners.ROOT / "examples/workflows/matrix.yml").read_text()
    here = """    env: {MATRIX: "${{ toJSON(matrix) }}", STRATEGY: '{"job-total": 4}'}"""
    text = text.replace("    strategy:\n", f"{here}\n    strategy:\n")  # act tells actions neither
    done = _as_of(text, runner, github, cloud, event)
    assert set(runners.results(done).values()) == {"success"}, runners.told(done)
    records = runner.kept()
    assert len({record.identity.name for record in records}) == len(records) == 4
    legs = [f"accel-ci ({kind}, {shard})" for kind in ("v5litepod-1", "v6e-1") for shard in (1, 2)]
    ended = {check.name: check.conclusion for check in github.state.checks.values()}
    assert ended == dict.fromkeys(["accel-ci", *legs], "success")
    (comment,) = github.comments(event["number"])
    assert [leg in comment for leg in legs] == [True] * 4 and _living(cloud) == []
    assert "shard 1 of 2" in done.stdout and "shard 2 of 2" in done.stdout


def test_nobody_has_one(runner: Runner, github: Wired, cloud: SimulatorProcess) -> None:
    """Stockout everywhere: `no-capacity`, exit code 3, a check that is grey and blocks, and a comment that says so."""
    cloud.turn(stockout={"*": 1.0})
    event = _labeled(runner, github)
    done = _example("pr-label.yml", runner, github, cloud, event)
    assert runners.results(done) == {"gate": "success", "test": "failure", "cleanup": "success"}, runners.told(done)
    (record,) = runner.kept()
    assert record.verdict == "no-capacity" and "exit status 3" in done.stdout
    (check,) = github.state.checks.values()
    assert (check.status, check.conclusion) == ("completed", "cancelled")
    (comment,) = github.comments(event["number"])
    assert "capacity" in comment.lower() and _living(cloud) == []


def test_the_queue_has_an_end(runner: Runner, github: Wired, cloud: SimulatorProcess) -> None:
    """Exactly the run that waited too long is cancelled: not a young one, not a running one, no other workflow's."""
    now = time.time()
    waits = {501: ("tpu.yml", "queued", 7200), 502: ("tpu.yml", "queued", 600), 503: ("tpu.yml", "in_progress", 7200)}
    waits[504] = ("docs.yml", "queued", 7200)
    for run, (workflow, status, age) in waits.items():
        job = world.Job(id=run * 10, name="test", status=status, created_at=now - age)
        github.state.runs[run] = world.Run(id=run, workflow=workflow, jobs=[job])
    for workflow in ("tpu.yml", "matrix.yml"):
        assert workflow in (runners.ROOT / "examples/workflows/reap-queued.yml").read_text()
    done = _example("reap-queued.yml", runner, github, cloud)
    assert runners.results(done) == {"reap": "success"}, runners.told(done)
    assert {run: each.status for run, each in github.state.runs.items()} == {
        501: "completed", 502: "queued", 503: "queued", 504: "queued",
    }  # fmt: skip


def test_the_sweeper(runner: Runner, github: Wired, cloud: SimulatorProcess) -> None:
    """What outlived its lease is ended and told as an incident; what has time left, or another owner, is left alone."""
    zone = Zone(cloud, "us-central1-b", project="sim-project")
    ours = {"accel-ci-repository": "4711", "accel-ci-run": "5", "accel-ci-expires": "1000"}
    late = {"accel-ci-expires": str(int(time.time()) + 900)}
    for name, labels in {"leaked": ours, "busy": ours | late, "foreign": ours | {"accel-ci-repository": "8"}}.items():
        zone.create(f"accel-hello-{name}", labels=labels)
    done = _example("sweep.yml", runner, github, cloud)
    left = sorted(name.rsplit("-", 1)[-1] for name in _living(cloud))
    zone.clear()
    assert runners.results(done) == {"sweep": "success"}, runners.told(done)
    assert left == ["busy", "foreign"]
    assert "leaked machine" in done.stdout
    assert [issue.state for issue in github.state.issues.values()] == ["open"]


def test_one_workflow_called_twice(runner: Runner, github: Wired, cloud: SimulatorProcess) -> None:
    """Two calls in one run have machines, checks and cleanups of their own, though their jobs have the same ids."""
    given = "{{accelerator: local, run: 'sleep {0}; echo {0}', check: check {0}}}"
    jobs = [
        f"  call{n}:\n    uses: org/accel-ci/.github/workflows/test.yml@v1\n    with: {given.format(n)}\n"
        for n in (1, 3)
    ]
    text = "on: push\njobs:\n" + "".join(jobs)
    done = runner.act(text, event="push", GITHUB_API_URL=github.address)
    assert set(runners.results(done).values()) == {"success"}, runners.told(done)
    assert len({record.identity.name for record in runner.kept()}) == 2
    ended = {check.name: check.conclusion for check in github.state.checks.values()}
    assert ended == {"check 1": "success", "check 3": "success"}
    assert runner.terminal.machines() == []
