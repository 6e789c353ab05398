"""The container action: what GitHub hands a container arrives at the program as in every other action.

The image itself is built and run by `make image-test`, outside of these tests.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from accel_ci.inputs import manifest, models, parsing
from container import entrypoint

ROOT = Path(__file__).resolve().parents[2]
NOT_IN_THE_IMAGE = {"dev", "runtime", "sim"}  # runtime is always there
TEMP = '"/home/runner/work/_temp"'
STAND_IN = f"""#!{sys.executable}
import json, os, sys
print(json.dumps([os.getpid(), sys.argv[1:], dict(os.environ)]))
"""


def read(path: str) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))
    return document


def given(**more: str) -> dict[str, str]:
    """The variables of a container whose workflow said these inputs; GitHub fills in the rest."""
    said = {name.replace("_", "-"): value for name, value in more.items()}
    inputs = {
        name: said.get(name, str(entry.get("default", "")))
        for name, entry in read("container/action.yml")["inputs"].items()
    }
    inputs["temp"] = said.get("temp", '""')
    return {f"INPUT_{name.upper()}": value for name, value in inputs.items()} | {"RUNNER_TEMP": "", "LANG": "C.UTF-8"}


def started(verb: str, directory: Path, variables: Mapping[str, str]) -> subprocess.Popen[str]:
    """The entry point, with a stand-in for the program."""
    program = directory / "accel-ci"
    program.write_text(STAND_IN, encoding="utf-8")
    program.chmod(0o755)
    text = (ROOT / "container/entrypoint.py").read_text(encoding="utf-8")
    script = directory / verb
    script.write_text(text.replace(entrypoint.PROGRAM, str(program)), encoding="utf-8")
    command = [sys.executable, "-I", "-S", str(script)]
    return subprocess.Popen(command, env=dict(variables), stdout=subprocess.PIPE, text=True)


def test_it_has_the_journeys_inputs_and_outputs() -> None:
    """Inputs and outputs are the root action's; the others are filled in by GitHub, for a container has no contexts."""
    container, journey = read("container/action.yml"), read("action.yml")
    more = {name: entry["default"] for name, entry in container["inputs"].items() if name not in journey["inputs"]}
    assert more == {name: f"${{{{ {value} }}}}" for name, value in manifest.FROM_CONTEXTS.items()}
    assert {name: container["inputs"][name] for name in journey["inputs"]} == journey["inputs"]
    assert {name: entry["description"] for name, entry in container["outputs"].items()} == {
        name: entry["description"] for name, entry in journey["outputs"].items()
    }


def test_it_cleans_up_whatever_happened() -> None:
    """The image is built from this commit, and its second entry point always runs."""
    runs = read("container/action.yml")["runs"]
    assert (runs["using"], runs["image"], runs["post-if"]) == ("docker", "../Dockerfile", "always()")
    assert Path(runs["entrypoint"]).name == "run" and Path(runs["post-entrypoint"]).name == "cleanup"


def test_it_becomes_the_program(tmp_path: Path) -> None:
    """Inputs arrive as one JSON that the program reads without a mistake; the process stays, so signals arrive."""
    with started(
        "run", tmp_path, given(accelerator="v6e-1", run="pytest", token="secret", matrix="null", temp=TEMP)
    ) as process:
        pid, words, seen = json.loads(process.communicate(timeout=30)[0])
    assert (pid, words) == (process.pid, ["run"])
    inputs = parsing.parse(models.RunInputs, parsing.from_json(seen["ACCEL_CI_INPUTS"])[0])
    assert (inputs.accelerator, inputs.run) == ("v6e-1", "pytest")
    assert (seen["GITHUB_TOKEN"], seen["ACCEL_CI_MATRIX"]) == ("secret", "null")
    assert seen["ACCEL_CI_TEMP_OUTSIDE"] == "/home/runner/work/_temp"
    assert not [name for name in seen if name.startswith("INPUT_")]


def test_cleanup_gets_what_it_needs_and_no_token(tmp_path: Path) -> None:
    """What tells machines apart and how to sign in; a token that could be stolen is nowhere in its environment."""
    provider = "projects/1/locations/global/workloadIdentityPools/p/providers/q"
    variables = given(accelerator="v6e-1", run="x", token="secret", backend="tpu", workload_identity_provider=provider)
    with started("cleanup", tmp_path, variables | {"INPUT_MATRIX": '{"a": 1}'}) as process:
        _, words, seen = json.loads(process.communicate(timeout=30)[0])
    assert words == ["cleanup"]
    inputs = parsing.parse(models.CleanupInputs, parsing.from_json(seen["ACCEL_CI_INPUTS"])[0])
    assert (inputs.backend, inputs.workload_identity_provider) == ("tpu", provider)
    assert seen["ACCEL_CI_MATRIX"] == '{"a": 1}'
    assert "secret" not in json.dumps(seen)


def test_a_runner_of_another_user_is_told(tmp_path: Path) -> None:
    """Where the runner's files are not the image's user's to write, it says what to use instead and ends with 2."""
    with started("run", tmp_path, given() | {"GITHUB_OUTPUT": str(tmp_path / "nowhere/output")}) as process:
        told, _ = process.communicate(timeout=30)
    assert process.returncode == 2
    assert told.startswith("::error title=accel-ci: container::") and "Use org/accel-ci@v1 here" in told


def test_the_image_holds_every_backend() -> None:
    """The libraries of every lock are in the image, but for those of development and of the simulator."""
    locks = {path.stem for path in (ROOT / "requirements").glob("*.txt")} - NOT_IN_THE_IMAGE
    (extras,) = re.findall(r"setup\.sh ([a-z ]+?) \\", (ROOT / "Dockerfile").read_text(encoding="utf-8"))
    assert locks <= set(extras.split())


def test_the_image_is_small_and_nobody_is_root() -> None:
    """Two stages; the last ends as a user; no address of a package index; and git's archive has all that is copied."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert len(re.findall("^FROM ", text, re.MULTILINE)) == 2
    assert re.findall(r"^USER (.*)$", text, re.MULTILINE) == ["1001:1001"]
    assert "://" not in text and "index" not in text.lower()
    copied = re.findall(r"^COPY (?!--from)(\S+?)/? ", text, re.MULTILINE)
    allowed = {
        line[1:] for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line.startswith("!")
    }
    assert set(copied) <= allowed
    asked = ["git", "check-attr", "export-ignore", "Dockerfile", ".dockerignore", *copied]
    answers = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "export-ignore: set" not in answers
