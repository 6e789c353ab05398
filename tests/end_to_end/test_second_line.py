"""Steps of a job whose earlier steps, or whose other job, came to nothing: as processes, against the simulated GitHub."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from accel_ci.domain import context
from accel_ci.domain.verdict import Verdict
from tests.contracts import github_worlds
from tests.contracts.github_worlds import SHA, Wired
from tests.end_to_end.terminal import outputs
from tests.render import samples

JOB = {
    "GITHUB_ACTIONS": "true", "GITHUB_REPOSITORY": "org/hello", "GITHUB_REPOSITORY_ID": "4711", "GITHUB_RUN_ID": "77",
    "GITHUB_JOB": "cleanup", "GITHUB_EVENT_NAME": "push", "GITHUB_SHA": SHA, "GITHUB_REF": "refs/heads/main",
}  # fmt: skip


@pytest.fixture
def github() -> Iterator[Wired]:
    """The simulated GitHub; whatever goes over the wire is held against GitHub's description at the end."""
    with github_worlds.wired() as opened:
        yield opened


def _step(directory: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    environ = {"PATH": "/usr/bin:/bin", "HOME": str(directory), "RUNNER_TEMP": str(directory), **JOB, **more}
    environ["GITHUB_OUTPUT"] = str(directory / "output")
    command = [sys.executable, "-m", "accel_ci", *words]
    return subprocess.run(command, cwd=directory, env=environ, capture_output=True, text=True, timeout=60, check=False)


def test_a_check_that_nobody_ended_is_ended_once(tmp_path: Path, github: Wired) -> None:
    """After a lost runner the check ends grey and blocking; what a job has reported already stays as it is."""
    github.github.put_check(github_worlds.check())
    given = {"GITHUB_TOKEN": github_worlds.TOKEN, "GITHUB_API_URL": github.address}
    first = _step(tmp_path, "report", "--no-failure-issue", **given)
    assert first.returncode == 0, first.stdout
    assert [check.conclusion for check in github.state.checks.values()] == ["cancelled"]
    before = len([each for each in github.exchanges if each.verb != "GET"])
    second = _step(tmp_path, "report", "--no-failure-issue", **given, RUNNER_TEMP=f"{tmp_path}/other")
    assert "there is nothing to add" in second.stdout
    assert len([each for each in github.exchanges if each.verb != "GET"]) == before


@pytest.mark.parametrize(("policy", "code"), [("fail", 3), ("tolerate", 0)])
def test_without_a_machine_the_policy_decides(tmp_path: Path, policy: str, code: int) -> None:
    """Where provision may go on without a machine, run-remote runs nothing, says why, and ends as `on-infrastructure` says."""
    record = samples.passed().model_copy(update={"machine": None, "verdict": Verdict.NO_CAPACITY, "reason": "all full"})
    record.phases, record.tests, record.exit_code = [], None, None
    place = tmp_path / "accel-ci/runs" / context.of_github(JOB, {}).key().name / "main/record.json"
    place.parent.mkdir(parents=True)
    place.write_text(json.dumps(record.model_dump(mode="json")))
    done = _step(tmp_path, "run-remote", "--on-infrastructure", policy, "--", "true")
    assert done.returncode == code, done.stdout
    assert "nothing was run, there is no machine: all full" in done.stdout
    assert outputs(tmp_path / "output")["verdict"] == "no-capacity"
