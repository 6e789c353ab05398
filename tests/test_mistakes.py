"""All mistakes of a call are told at once, wherever they were made, and nothing is begun."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from accel_ci.adapters.stop_signals import StopSignals
from accel_ci.commands import journeys, steps
from accel_ci.commands.call import Call
from accel_ci.domain.errors import ConfigurationError
from tests.fakes.job import FakeJob

SECRET = "ghp_0123456789abcdefghij"
# In a GitHub Actions job, where nothing of a cloud, of GitHub or of git is needed to see that inputs are wrong.
JOB = {
    "GITHUB_ACTIONS": "true",
    "GITHUB_EVENT_NAME": "push",
    "GITHUB_JOB": "tpu",
    "GITHUB_REPOSITORY": "org/repo",
    "GITHUB_RUN_ID": "7",
    "GITHUB_SHA": "a" * 40,
}


def called(place: Path, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """The program in a process of its own, whose home, state and temporary directory are below `place`."""
    base = {"PATH": os.environ["PATH"], "HOME": str(place), "RUNNER_TEMP": str(place), "NO_COLOR": "1"}
    return subprocess.run(
        [sys.executable, "-m", "accel_ci", *words],
        cwd=place,
        env=base | environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def told(done: subprocess.CompletedProcess[str]) -> list[str]:
    """The mistakes, a line each; GitHub takes the lines of an annotation encoded."""
    text = (done.stdout + done.stderr).replace("%0A", "\n")
    return [line.strip() for line in text.splitlines() if line.startswith("  ")]


def test_ten_mistakes_on_a_command_line(tmp_path: Path) -> None:
    """Ten mistakes of ten kinds are ten lines that each say what to do, one exit code, and nothing on the disk."""
    words = ["--accelerator", "v6e-9", "--zones", "us-centrl1-b", "--spot=maybe", "--timeout", "5", "--zne", "x"]
    words += ["--paths", "/etc", "--options", "disk=3", "--backend", "tpuu", "--setup", "--run", "a", "--", "b"]
    done = called(tmp_path, "run", *words)
    assert done.returncode == 2
    assert "10 mistakes in the inputs of `run`" in done.stderr
    starts = ["setup: has no value", "run: is given twice", "zne: is not an input here (did you mean `zones`?)"]
    starts += ["backend: `tpuu` is not a choice here (did you mean `tpu`?)", "spot: `maybe` is neither true nor false"]
    starts += ["timeout: `5` is not a duration", "paths: `/etc` is not a relative path"]
    starts += ["accelerator: `v6e-9` is not known (one of v6e-1", "zones: `us-centrl1-b` is not known (did you mean"]
    starts += ["options: `disk` is not an option"]
    assert [line.startswith(start) for line, start in zip(told(done), starts, strict=True)] == [True] * 10
    assert all(line.endswith(")") for line in told(done))
    assert list(tmp_path.iterdir()) == []


def test_ten_mistakes_in_an_actions_inputs(tmp_path: Path) -> None:
    """The same for what a workflow hands on by the environment, secrets included; what is secret is not shown."""
    inputs = {
        "accelerator": "v5e-8",
        "zones": "us-south1-a, mars-1",
        "backend": "jarvis",
        "zne": "x",
        "spot": "maybe",
        "timeout": 5,
        "paths": "/etc",
        "check": "-",
        "workload-identity-provider": "google",
    }
    before = tmp_path / "accel-ci/runs/earlier/record.json"
    before.parent.mkdir(parents=True)
    before.write_text("{}")
    environ = JOB | {"ACCEL_CI_INPUTS": json.dumps(inputs), "ACCEL_CI_SECRET_MY-TOKEN": SECRET}
    done = called(tmp_path, "run", **environ)
    assert done.returncode == 2
    names = [line.partition(":")[0] for line in told(done)]
    assert sorted(names) == sorted([*inputs, "run", "MY-TOKEN"])
    assert SECRET not in done.stdout + done.stderr
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [before] and before.read_text() == "{}"


def call(place: Path, environ: Mapping[str, str], **given: str) -> Call:
    base = {"ACCEL_CI_STATE": str(place / "state"), "HOME": str(place)}
    return Call(given=given, environ={**base, **environ}, job=FakeJob(), stop=StopSignals())


def test_gate_judges_what_the_called_workflow_will_hand_on(tmp_path: Path) -> None:
    """`paths` would be told after the tests ran, on a machine that was paid for: in a called workflow gate tells it."""
    inputs = {"accelerator": "v6e-9", "run": "x", "spot": True, "timeout": "20m", "paths": "/etc", "check": "-"}
    environ = {**JOB, "ACCEL_CI_CALL": json.dumps(inputs)}
    with pytest.raises(ConfigurationError) as caught:
        steps.gate_(call(tmp_path, environ, check="-"))
    assert [mistake.name for mistake in caught.value.mistakes] == ["paths", "check", "accelerator"]
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("text", ["", "{}", "v6e-1 and more", '{"accelerator": "v6e-1", "minutes": 5}'])
def test_gate_minds_nobody_elses_call(text: str, tmp_path: Path) -> None:
    """Whatever else a workflow of somebody's own says that it was called with, is theirs."""
    assert steps.gate_(call(tmp_path, {**JOB, "ACCEL_CI_CALL": text})) == 0


def test_a_run_has_its_secrets_judged_first(tmp_path: Path) -> None:
    """A secret that could not be hidden is told with the inputs, and not after a machine was looked for."""
    environ = {"ACCEL_CI_SECRET_TOKEN": "hush"}
    with pytest.raises(ConfigurationError) as caught:
        journeys.run_(call(tmp_path, environ, backend="local", timeout="5"))
    assert [mistake.name for mistake in caught.value.mistakes] == ["TOKEN", "run", "timeout"]
    assert "hush" not in "".join(map(str, caught.value.mistakes))
