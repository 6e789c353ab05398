"""What holds for every action.yml in the repository."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from accel_ci.inputs import manifest, models, parsing
from accel_ci.inputs.declaration import Inputs

ROOT = Path(__file__).resolve().parents[2]
DEFINITIONS = [f"actions/{verb}/action.yml" for verb in manifest.PUBLISHED]
FACES = [f"{verb}/action.yml" for verb in manifest.PUBLISHED]
OLD_RUNNERS = ["ghes/action.yml", "ghes/provision/action.yml"]
WORKING = ["action.yml", *DEFINITIONS, *FACES, *OLD_RUNNERS]
EVERY = [*WORKING, "container/action.yml"]
ALWAYS_CLEANUP = "actions/internal/always-cleanup"
READMES = [f"{verb}/README.md" for verb in manifest.PUBLISHED]
UPLOADING = ["Upload files, log and record", "Let the report link to it"]
PINNED = re.compile(r"actions/upload-artifact@[0-9a-f]{40} # v[0-9]+\.[0-9]+\.[0-9]+")
WITH_TOKEN = {"gate", "report", "reap-queued", "run-remote", "run"}


def read(path: str) -> dict[str, Any]:
    document = yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))
    assert isinstance(document, dict)
    return document


def steps(path: str) -> list[dict[str, Any]]:
    found = read(path)["runs"]["steps"]
    assert isinstance(found, list)
    return found


def working(path: str) -> list[dict[str, Any]]:
    """The steps but for the one that, in what leases, waits for the job's end."""
    return [step for step in steps(path) if ALWAYS_CLEANUP not in step.get("uses", "")]


def verb(path: str) -> str:
    name = Path(path).parent.name
    return name if name in models.ACTIONS else "run"


def tool(*command: str | Path) -> str:
    """What the tool said; the test fails with it when the tool found something."""
    scripts = Path(sys.executable).parent
    done = subprocess.run(
        [scripts / command[0], *command[1:]], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_action_is_known() -> None:
    """There is no action.yml that these tests and the generator do not know, apart from internal ones."""
    patterns = ("action.yml", "*/action.yml", "actions/*/action.yml", "ghes/*/action.yml")
    found = {str(path.relative_to(ROOT)) for pattern in patterns for path in ROOT.glob(pattern)}
    assert found == set(EVERY)


def test_actions_are_real_files() -> None:
    """No action is reached through a link: a link breaks on Windows, and a dangling one breaks every action."""
    for path in map(ROOT.joinpath, EVERY):
        assert path.resolve() == path


@pytest.mark.parametrize("path", FACES)
def test_a_face_holds_two_files(path: str) -> None:
    """A published directory holds its action and its README, nothing that users would have to understand."""
    assert sorted(child.name for child in (ROOT / path).parent.iterdir()) == ["README.md", "action.yml"]


@pytest.mark.parametrize("path", EVERY)
def test_the_marketplace_takes_the_description(path: str) -> None:
    """Names and descriptions are there, and short enough for the marketplace's 125 characters."""
    document = read(path)
    assert document["name"].startswith("accel-ci")
    assert 20 < len(document["description"]) < 125


@pytest.mark.parametrize("path", WORKING)
def test_an_action_sets_up_and_then_becomes_the_program(path: str) -> None:
    """Each action has two steps; the second `exec`s the program, so that the runner's signals reach it."""
    first, second, *upload = working(path)
    assert [step["name"] for step in upload] == (UPLOADING if verb(path) == "collect" else [])
    assert second["run"] == f'exec "$RUNNER_TEMP/accel-ci/bin/accel-ci" {verb(path)}'
    assert second["id"] == "main"
    found = re.fullmatch(
        r'"\$GITHUB_ACTION_PATH/([^"]+)"(?: "\$BACKEND")?(?: "\$ACCELERATOR"| "\$LEASED" "\$OWN")?(?: github| "\$SERVICE")?',
        first["run"],
    )
    assert found is not None
    script = ((ROOT / path).parent / found[1]).resolve()
    assert script == ROOT / "actions/internal/setup/setup.sh"


@pytest.mark.parametrize("path", WORKING)
def test_scripts_are_bash_without_expressions(path: str) -> None:
    """Scripts are bash and hold no expression: values reach them through the environment only."""
    for step in steps(path):
        if "uses" not in step:
            assert step["shell"] == "bash"
            assert "${{" not in step["run"]


@pytest.mark.parametrize("path", WORKING)
def test_inputs_travel_as_one_json(path: str) -> None:
    """The program gets all inputs as one JSON, with what tells matrix siblings apart; the set-up gets the backend."""
    first, second, *_ = working(path)
    names = ("backend", "accelerator", "leased", "workload-identity-provider")
    told = [name for name in names if name in read(path)["inputs"]]
    searched = {
        "OWN": "${{ inputs.mode == 'job' && inputs.for == '' && 'own' || '' }}",
        "SERVICE": "${{ inputs.mode == 'sweep' && 'github' || '' }}",
    }
    plain = {name.upper().replace("-", "_"): f"${{{{ inputs.{name} }}}}" for name in told}
    assert first.get("env", {}) == plain | (searched if verb(path) == "cleanup" else {})
    environment = dict(second["env"])
    assert environment.pop("ACCEL_CI_INPUTS") == "${{ toJSON(inputs) }}"
    assert environment.pop("ACCEL_CI_MATRIX") == "${{ toJSON(matrix) }}"
    assert environment.pop("ACCEL_CI_STRATEGY") == "${{ toJSON(strategy) }}"
    assert environment.keys() <= {"GITHUB_TOKEN", "ACCEL_CI_JOB_STATUS"}


@pytest.mark.parametrize("path", WORKING)
def test_only_steps_that_speak_to_github_have_its_token(path: str) -> None:
    """GitHub's token is in no step that can do without it: the machine's lease and end never depend on GitHub.

    Of cleanup only the sweeper has it, and with it the library that speaks to GitHub.
    """
    tokens = [step.get("env", {}).get("GITHUB_TOKEN") for step in working(path)]
    sweeping = "${{ inputs.mode == 'sweep' && github.token || '' }}" if verb(path) == "cleanup" else None
    assert tokens[:2] == [None, "${{ github.token }}" if verb(path) in WITH_TOKEN else sweeping]
    assert not any(tokens[2:])


@pytest.mark.parametrize("path", WORKING)
def test_the_only_code_of_others_is_pinned(path: str) -> None:
    """No action uses another's, but for collect: the upload, by the whole commit of a release that a comment names."""
    text = (ROOT / path).read_text(encoding="utf-8")
    others = re.findall(r"^ *(?:- )?uses: (.*)$", text, re.MULTILINE)
    found = [each for each in others if ALWAYS_CLEANUP not in each]
    assert [bool(PINNED.fullmatch(each)) for each in found] == ([True] if verb(path) == "collect" else [])


@pytest.mark.parametrize("path", WORKING)
def test_what_leases_cleans_up_after_the_job(path: str) -> None:
    """The first step of what leases, and of nothing else, is the one whose post step ends what still lives.

    First: the post step of a nested action that never started does not run either.
    """
    told = [(place, step.get("uses", "")) for place, step in enumerate(steps(path))]
    nested = [each for each in told if ALWAYS_CLEANUP in each[1]]
    named = f"org/accel-ci/{ALWAYS_CLEANUP}@v1" if path in OLD_RUNNERS else f"$/{ALWAYS_CLEANUP}"
    assert nested == ([(0, named)] if verb(path) in {"provision", "run"} else [])


def test_the_post_step_runs_however_the_job_ended() -> None:
    """The nested action runs on a node of today's runners, always, and needs no package."""
    runs = read(f"{ALWAYS_CLEANUP}/action.yml")["runs"]
    assert runs == {"using": "node24", "main": "main.js", "post": "post.js", "post-if": "always()"}
    assert sorted(each.name for each in (ROOT / ALWAYS_CLEANUP).iterdir()) == ["action.yml", "main.js", "post.js"]
    code = "".join((ROOT / ALWAYS_CLEANUP / name).read_text(encoding="utf-8") for name in ("main.js", "post.js"))
    assert all(module.startswith("node:") for module in re.findall(r"require\('([^']+)'\)", code))


@pytest.mark.parametrize("path", OLD_RUNNERS)
def test_old_runners_get_the_same_steps(path: str) -> None:
    """The form for runners that do not know `$/` differs in the nested action's name and the way to the scripts only."""

    def plain(step: dict[str, Any]) -> dict[str, Any]:
        return {**step, "uses": "", "run": step.get("run", "").replace("../", "")}

    other = "action.yml" if verb(path) == "run" else f"{verb(path)}/action.yml"
    assert [plain(step) for step in steps(path)] == [plain(step) for step in steps(other)]
    assert read(path)["inputs"] == read(other)["inputs"]


def test_actions_follow_githubs_schema() -> None:
    """Every action.yml is what GitHub's schema for actions describes."""
    tool("check-jsonschema", "--builtin-schema", "vendor.github-actions", *EVERY)


def test_actions_pass_the_audit() -> None:
    """zizmor, at its strictest, finds nothing in any action."""
    found = tool("zizmor", "--offline", "--persona", "auditor", "--no-progress", "--format", "json", *EVERY)
    assert json.loads(found) == []


@pytest.mark.parametrize("path", READMES)
def test_examples_work_as_they_stand(path: str) -> None:
    """What a README shows uses its own action, with inputs that the action takes."""
    text = (ROOT / path).read_text(encoding="utf-8")
    (example,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    document = yaml.safe_load(example)
    listed = document["steps"] if "steps" in document else document["jobs"]["gate"]["steps"]
    model: type[Inputs] = models.ACTIONS[verb(path)]
    assert [step["uses"] for step in listed] == [manifest.uses(model)]
    assert parsing.parse(model, listed[0].get("with", {})).verb == model.verb


@pytest.mark.parametrize("path", READMES)
def test_readmes_lead_somewhere(path: str) -> None:
    """A README is short, and each of its links leads to a file of the repository."""
    text = (ROOT / path).read_text(encoding="utf-8")
    words = text.split(manifest.START)[0]
    assert len(words.splitlines()) <= 30
    for target in re.findall(r"\]\(([^)#]+)", text):
        assert ((ROOT / path).parent / target).resolve().is_file(), target
