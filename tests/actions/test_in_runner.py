"""The committed actions in a real runner (act), with a stand-in for the program that they set up."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from accel_ci.inputs import declaration, manifest, models, parsing
from tests.actions import uploads

pytestmark = pytest.mark.judge("node")  # the post step is an action in JavaScript


ROOT = Path(__file__).resolve().parents[2]
ALWAYS_CLEANUP = "actions/internal/always-cleanup"
SETUP = """#!/usr/bin/env bash
set -eu
mkdir -p "$RUNNER_TEMP/accel-ci/bin"
cp "$STAND_IN" "$RUNNER_TEMP/accel-ci/bin/accel-ci"
printf '%s\\n' "$*" >> "$SEEN/setup"
"""
PROGRAM = f"""#!{sys.executable}
import json, os, sys
verb = sys.argv[1]
names = ("ACCEL_CI_INPUTS", "ACCEL_CI_MATRIX", "ACCEL_CI_STRATEGY", "ACCEL_CI_JOB_STATUS", "GITHUB_TOKEN")
seen = {{name: os.environ[name] for name in names if name in os.environ}}
with open(f"/proc/{{os.getppid()}}/comm") as parent:
    seen["parent"] = parent.read().strip()
if "ACCEL_CI_INPUTS" not in os.environ:  # the post step, of each action that leases
    with open(os.path.join(os.environ["SEEN"], "posts"), "a") as file:
        file.write(json.dumps(seen) + "\\n")
    sys.exit(5)
with open(os.path.join(os.environ["SEEN"], verb), "w") as file:
    json.dump(seen, file)
with open(os.environ["DECLARED"]) as declared, open(os.environ["GITHUB_OUTPUT"], "a") as outputs:
    for name in json.load(declared)[verb]:
        print(f"{{name}}=<{{verb}} {{name}}>", file=outputs)
sys.exit(1 if verb == "run-remote" else 0)
"""
GIVEN: dict[str, dict[str, str | bool]] = {
    "gate": {"branches": "main"},
    "provision": {"accelerator": "v6e-1", "backend": "tpu", "zones": "us-central1-b,\nus-east5-b", "spot": True},
    "run-remote": {"run": "echo \"a b\" 'c' $(d) ${{ github.event_name }}\npytest\n", "timeout": "5m"},
    "collect": {"paths": "results/**"},
    "cleanup": {},
    "report": {},
    "reap-queued": {"workflows": "tests.yml"},
    "run": {"accelerator": "local", "run": "pytest"},
}


@dataclass(frozen=True)
class Run:
    """What was seen of a workflow: what each verb was called with, the set-up's arguments, the outputs, the end."""

    seen: dict[str, dict[str, str]]
    setup: list[str]
    posts: list[dict[str, str]]
    outputs: dict[str, dict[str, str]]
    exit_code: int
    log: str
    uploaded: dict[str, Any]


def act(tmp_path: Path, steps: list[dict[str, Any]]) -> Run:
    """Run these steps as a job in act, on a copy of the committed actions."""
    work, seen, home = (tmp_path / name for name in ("work", "seen", "home"))
    for directory in (work, seen, home):
        directory.mkdir()
    lay_out(tmp_path / "accel-ci", tmp_path)
    last = {"if": "always()", "run": 'printf %s "$STEPS" > "$SEEN/outputs"', "env": {"STEPS": "${{ toJSON(steps) }}"}}
    workflow = {"on": "push", "jobs": {"job": {"runs-on": "ubuntu-latest", "steps": [*steps, last]}}}
    write(work / ".github/workflows/test.yml", yaml.safe_dump(workflow))
    done = subprocess.run(
        [
            Path(sys.executable).parent / "act",
            *("push", "--platform", "ubuntu-latest=-self-hosted", "--secret", "GITHUB_TOKEN=a-token-of-the-job"),
            *("--action-offline-mode", "--pull=false", "--no-cache-server"),
            *("--local-repository", f"org/accel-ci@v1={tmp_path / 'accel-ci'}"),
            *("--env", f"SEEN={seen}", "--env", f"STAND_IN={tmp_path / 'program'}"),
            *("--env", f"DECLARED={tmp_path / 'declared'}"),
            *uploads.mapped(tmp_path),
        ],
        cwd=work,
        # act hands its whole environment to the steps: a developer's own variables have no place there
        env={"PATH": os.environ["PATH"], "HOME": str(home), "XDG_CACHE_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return observed(seen, done, uploaded=uploads.inputs(tmp_path) if (tmp_path / "kept").exists() else {})


def lay_out(repository: Path, aside: Path) -> None:
    """The committed actions with a set-up that puts the stand-in where the program would be."""
    for path in [*manifest.IN_PLACE, *(f"{verb}/action.yml" for verb in manifest.PUBLISHED)]:
        # act does not know `$/`, so that it gets the form for old runners.
        write(repository / path, manifest.tagged((ROOT / path).read_text(encoding="utf-8")))
    for name in ("action.yml", "main.js", "post.js"):
        write(repository / ALWAYS_CLEANUP / name, (ROOT / ALWAYS_CLEANUP / name).read_text(encoding="utf-8"))
    write(repository / "actions/internal/setup/setup.sh", SETUP)
    write(aside / "program", PROGRAM)
    write(aside / "declared", json.dumps({verb: list(model.outputs) for verb, model in models.ACTIONS.items()}))


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)


def observed(seen: Path, done: subprocess.CompletedProcess[str], *, uploaded: dict[str, Any]) -> Run:
    files = {path.name: path.read_text(encoding="utf-8") for path in seen.iterdir()}
    assert "outputs" in files, done.stdout + done.stderr
    return Run(
        setup=files.pop("setup", "").splitlines(),
        posts=[json.loads(line) for line in files.pop("posts", "").splitlines()],
        outputs={name: step["outputs"] for name, step in json.loads(files.pop("outputs")).items()},
        seen={verb: json.loads(text) for verb, text in files.items()},
        exit_code=done.returncode,
        log=done.stdout,
        uploaded=uploaded,
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """One job that uses every action as users do; the tests fail in it, so what follows says `always()`."""
    steps = [
        {"id": verb, "if": "always()", "uses": manifest.uses(models.ACTIONS[verb]), "with": given}
        for verb, given in GIVEN.items()
    ]
    return act(tmp_path_factory.mktemp("runner"), steps)


def test_every_action_reaches_its_verb(run: Run) -> None:
    """Through its face each action sets up the program and becomes its verb, after a failure too."""
    assert run.seen.keys() == models.ACTIONS.keys()
    assert run.exit_code == 1


def test_the_post_step_cleans_up_and_only_warns(run: Run) -> None:
    """After the job each action that leases has the program clean up, told apart from matrix siblings, without inputs.

    A cleanup that fails there is a warning: the job's result stays the tests'.
    """
    assert [seen["parent"] for seen in run.posts] == ["node", "node"]
    names = ("ACCEL_CI_MATRIX", "ACCEL_CI_STRATEGY")
    assert all(seen[name] == run.seen["provision"][name] for seen in run.posts for name in names)
    assert run.log.count("cleanup ended with exit code 5: a machine may still live") == 2


def test_the_program_is_the_steps_own_process(run: Run) -> None:
    """No shell stands between the runner and the program, so that its signals arrive."""
    assert {seen["parent"] for seen in run.seen.values()} == {"act"}


@pytest.mark.parametrize("verb", models.ACTIONS)
def test_the_program_understands_what_arrives(run: Run, verb: str) -> None:
    """What the runner hands on holds every input as a text, and is read without a mistake."""
    model = models.ACTIONS[verb]
    arrived, _ = parsing.from_json(run.seen[verb]["ACCEL_CI_INPUTS"])
    assert list(arrived) == sorted(entry.name for entry in declaration.inputs(model))
    written = {name: "true" if value is True else str(value) for name, value in GIVEN[verb].items()}
    written = {name: value.replace("${{ github.event_name }}", "push") for name, value in written.items()}
    assert {name: arrived[name] for name in written} == written
    assert parsing.parse(model, arrived) == parsing.parse(model, written)


@pytest.mark.parametrize("verb", models.ACTIONS)
def test_what_the_program_says_is_an_output_of_the_step(run: Run, verb: str) -> None:
    """Every declared output reaches the workflow, also from a step that failed."""
    assert run.outputs[verb] == {name: f"<{verb} {name}>" for name in models.ACTIONS[verb].outputs}


def test_the_set_up_learns_what_is_needed(run: Run) -> None:
    """The set-up is told the backend where there is one, and of GitHub where the verb speaks to it; nothing else."""
    needed = {"provision": "tpu v6e-1", "cleanup": "auto  own ", "run": "auto local github"}
    needed |= dict.fromkeys(("gate", "report", "reap-queued"), "github")
    assert run.setup == [needed.get(verb, "") for verb in GIVEN]


def test_only_some_verbs_have_a_token(run: Run) -> None:
    """GitHub's token reaches those that speak to GitHub; what leases and ends machines has none."""
    with_token = {verb for verb, seen in run.seen.items() if seen.get("GITHUB_TOKEN") == "a-token-of-the-job"}
    assert with_token == {"gate", "report", "reap-queued", "run-remote", "run"}
    assert all(not run.seen[verb].get("GITHUB_TOKEN") for verb in models.ACTIONS.keys() - with_token)


def test_what_collect_names_is_uploaded(run: Run) -> None:
    """The upload gets the program's own artifact name and three places; an earlier upload of the same run is replaced."""
    assert run.uploaded == {
        "name": "<collect artifact>",
        "path": "<collect directory>\n<collect log>\n<collect record>\n",
        "if-no-files-found": "ignore",
        "retention-days": "0",
        "overwrite": "true",
        "include-hidden-files": "true",
    }


def test_a_job_without_a_matrix_says_so(run: Run) -> None:
    """Outside a matrix the program is told `null`; those that go by how the job stands learn it."""
    assert {seen["ACCEL_CI_MATRIX"] for seen in run.seen.values()} == {"null"}
    assert all(isinstance(json.loads(seen["ACCEL_CI_STRATEGY"]), dict) for seen in run.seen.values())
    assert {verb for verb, seen in run.seen.items() if "ACCEL_CI_JOB_STATUS" in seen} == {
        "cleanup",
        "collect",
        "report",
    }
