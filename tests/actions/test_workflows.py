"""What holds for the reusable workflow and for every example."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from accel_ci.inputs import arguments, declaration, models, parsing
from accel_ci.inputs.declaration import Inputs

ROOT = Path(__file__).resolve().parents[2]
REUSABLE = ".github/workflows/test.yml"
EXAMPLES = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "examples/workflows").glob("*.yml"))
EVERY = [REUSABLE, *EXAMPLES]
OURS = re.compile(r"(?:org/accel-ci|\$)(?:/([a-z-]+))?(?:@v1)?")
TYPES: dict[bool, tuple[str, type]] = {True: ("boolean", bool), False: ("string", str)}
# What an expression may stand for, so that the inputs' own rules can be asked.
STANDS_FOR = {
    "needs.gate.outputs.grant": "{}", "vars.WORKLOAD_IDENTITY_PROVIDER": "", "vars.SERVICE_ACCOUNT": "",
    "inputs.accelerator": "v6e-1", "inputs.timeout": "20m", "inputs.run": "x", "inputs.paths": "x", "inputs.spot": "true",
    "vars.ACCEL_CI_MAX_RUNNING || 0": "0", "vars.ACCEL_CI_MAX_PER_DAY || 0": "0",
    "inputs.check": "x", "inputs.label": "x", "matrix.accelerator": "v6e-1", "matrix.shard": "1",
}  # fmt: skip


def read(path: str) -> dict[str, Any]:
    """The workflow; YAML takes its key `on` for a truth."""
    document: dict[Any, Any] = yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))
    return {"on" if key is True else key: value for key, value in document.items()}


def jobs(path: str) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = read(path)["jobs"]
    return found


def steps(path: str) -> Iterator[dict[str, Any]]:
    for job in jobs(path).values():
        yield from job.get("steps", ())


def spelled(given: dict[str, Any]) -> dict[str, str]:
    """Inputs with each expression replaced by something that it may stand for."""
    texts = {name: value if isinstance(value, str) else str(value).lower() for name, value in given.items()}
    return {
        name: re.sub(r"\$\{\{ (.+?) \}\}", lambda found: STANDS_FOR.get(found[1], ""), text)
        for name, text in texts.items()
    }


def test_the_workflow_takes_what_the_root_action_takes() -> None:
    """Same names, defaults and explanations, at most twelve: what is learnt for one form holds for the other."""
    called, action = read(REUSABLE)["on"]["workflow_call"]["inputs"], yaml.safe_load((ROOT / "action.yml").read_text())
    assert list(called) == list(action["inputs"]) and len(called) <= 12
    for entry in declaration.inputs(models.JourneyInputs):
        told, kind = called[entry.name], TYPES[entry.name == "spot"]
        assert (told["type"], told["required"]) == (kind[0], entry.required)
        assert told["description"] == action["inputs"][entry.name]["description"]
        if entry.default is not None:
            assert str(told["default"]).lower() == entry.default.lower() and isinstance(told["default"], kind[1])


def test_every_input_of_the_workflow_reaches_a_step() -> None:
    """No input is taken and then ignored."""
    text = (ROOT / REUSABLE).read_text(encoding="utf-8")
    for name in read(REUSABLE)["on"]["workflow_call"]["inputs"]:
        assert f"inputs.{name} }}}}" in text, name


def test_calls_are_told_apart_by_what_they_were_called_with() -> None:
    """All jobs of the workflow know the call, for the names of machines; GitHub tells them nothing else of the caller."""
    assert read(REUSABLE)["env"] == {"ACCEL_CI_CALL": "${{ toJSON(inputs) }}"}


@pytest.mark.parametrize("path", EVERY)
def test_nothing_is_allowed_that_no_job_asks_for(path: str) -> None:
    """The workflow itself has no permission; each job has its own, and each line of them says why."""
    assert read(path)["permissions"] == {}
    for name, job in jobs(path).items():
        assert isinstance(job["permissions"], dict), name
    for line in (ROOT / path).read_text(encoding="utf-8").splitlines():
        if re.match(r" +[a-z-]+: (read|write)\b", line):
            assert "#" in line, line


@pytest.mark.parametrize("path", EVERY)
def test_scripts_hold_no_expressions(path: str) -> None:
    """Values reach scripts through the environment only."""
    assert not any("${{" in step.get("run", "") for step in steps(path))


@pytest.mark.parametrize("path", EVERY)
def test_our_actions_get_inputs_that_they_take(path: str) -> None:
    """Each of our actions is there, and what it is given is what its model understands, values included."""
    for step in steps(path):
        ours = OURS.fullmatch(step.get("uses", ""))
        if ours:
            model: type[Inputs] = models.ACTIONS[ours[1] or "run"]
            assert (ROOT / (ours[1] or ".") / "action.yml").is_file()
            parsing.parse(model, spelled(step.get("with", {})))


@pytest.mark.parametrize("path", EXAMPLES)
def test_the_workflow_is_called_as_it_may_be(path: str) -> None:
    """Each call of the reusable workflow gives it what the journey understands, and the permissions that its jobs ask for."""
    wanted = {name for job in jobs(REUSABLE).values() for name in job["permissions"].items()}
    for job in jobs(path).values():
        if job.get("uses", "").endswith(f"/{REUSABLE}@v1"):
            parsing.parse(models.JourneyInputs, spelled(job["with"]))
            assert wanted <= set(job["permissions"].items())


@pytest.mark.parametrize("path", EVERY)
def test_who_leases_also_cleans_up_from_elsewhere(path: str) -> None:
    """Behind each job that leases there is one on another runner that ends its machines, and signs in by itself."""
    found = jobs(path)
    for name, job in found.items():
        for step in job.get("steps", ()):
            if not step.get("uses", "").startswith(("$/provision", "org/accel-ci/provision@")):
                continue
            last, shared = found["cleanup"], step["with"].get("slot", "").startswith("run:")
            given = last["steps"][0]["with"]
            assert last["if"].startswith("always()") and name in last["needs"]
            assert given["for"] == (step["with"]["slot"] if shared else name)
            if not shared:  # that example is started by hand, on a branch
                assert name != "gate" and job["if"] == "needs.gate.outputs.allowed == 'true'"
                assert last["needs"] == ["gate", name]
            assert [given[key] for key in ("workload-identity-provider", "service-account")] == [
                step["with"][key] for key in ("workload-identity-provider", "service-account")
            ]


@pytest.mark.parametrize(("path", "tests"), [(REUSABLE, "test"), ("examples/workflows/pr-label-composed.yml", "tpu")])
def test_a_push_ends_the_run_of_the_commit_before_it(path: str, tests: str) -> None:
    """A job that a push alone starts takes the place of the one that tests, in the very same group; it may do nothing else."""
    found = jobs(path)
    outdated = found["outdated"]
    assert outdated["if"] == "github.event.action == 'synchronize'"
    assert (
        outdated["concurrency"] == found[tests]["concurrency"] and outdated["concurrency"]["cancel-in-progress"] is True
    )
    assert (outdated["permissions"], [list(step) for step in outdated["steps"]]) == ({}, [["run"]])


def test_the_short_form_hears_of_pushes() -> None:
    """Without the event nobody would end the outdated run."""
    assert read("examples/workflows/pr-label.yml")["on"]["pull_request_target"] == {"types": ["labeled", "synchronize"]}


@pytest.mark.parametrize("path", EVERY)
def test_an_unrelated_label_ends_no_run(path: str) -> None:
    """Where any label starts a run, only the job that tests is in a group, never the workflow, gate, report or cleanup."""
    workflow = read(path)
    if "pull_request_target" in workflow["on"] or path == REUSABLE:
        assert "concurrency" not in workflow
        assert not any("concurrency" in workflow["jobs"].get(name, {}) for name in ("gate", "cleanup"))


def test_the_short_form_is_short() -> None:
    """What most users write is at most twelve lines beside the comments."""
    lines = (ROOT / "examples/workflows/pr-label.yml").read_text(encoding="utf-8").splitlines()
    assert len([line for line in lines if line.strip() and not line.strip().startswith("#")]) <= 12


STAND_INS = {
    "accel-ci": r"""printf 'accel-ci: '; printf '%s\037' "$@"; echo; [ "$1" != run ] || exit 3""",
    "pip": ":",
    "python3": "mkdir -p .venv/bin; : > .venv/bin/activate",
}


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A directory with an accel-ci that tells its words, and programs that install nothing."""
    (tmp_path / "programs").mkdir()
    for name, script in STAND_INS.items():
        (tmp_path / "programs" / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "programs" / name).chmod(0o755)
    return tmp_path / "programs"


def _commands(path: str) -> list[str]:
    document = yaml.safe_load((ROOT / "examples/other-ci" / path).read_text(encoding="utf-8"))
    if "steps" in document:
        return [document["steps"][0]["command"]]
    listed = [step["run"] for step in document["jobs"]["tpu"]["steps"] if isinstance(step, dict) and "run" in step]
    return [each if isinstance(each, str) else each["command"] for each in listed]


@pytest.mark.parametrize("path", [".circleci/config.yml", ".buildkite/pipeline.yml"])
def test_other_cis_run_the_command_line(tmp_path: Path, programs: Path, path: str) -> None:
    """What CircleCI and Buildkite run is a command line that we understand; cleanup follows a run that failed."""
    environ = os.environ | {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
    told, codes = list[str](), list[int]()
    for command in _commands(path):
        words = ["bash", "-eo", "pipefail", "-c", command]
        done = subprocess.run(words, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60, check=False)
        told += [line.removeprefix("accel-ci: ") for line in done.stdout.splitlines() if line.startswith("accel-ci: ")]
        codes.append(done.returncode)
    assert 3 in codes and told[-1] == "cleanup\037"
    given = arguments.read(told[0].split("\037")[:-1], version="").given
    assert (given["accelerator"], given["run"]) == ("v6e-1", "python -m pytest")
