"""A real runner (act, host mode) with the shipped actions, a repository and an empty home."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from accel_ci.domain.record import RunRecord
from accel_ci.inputs import manifest
from tests.actions import uploads
from tests.end_to_end.terminal import Terminal

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = Path(sys.executable).parent
FACES = ("gate", "provision", "run-remote", "collect", "cleanup", "report", "reap-queued")
SHIPPED = ("src", "requirements", "actions", *FACES)
TOKEN = "a-token-of-the-job"
WORKFLOW = ".github/workflows/test.yml"
LIMIT_S = 300  # a journey takes 10 s where nobody else wants the cores
ALWAYS: dict[str, Any] = {"if": "always()"}


@dataclass(frozen=True)
class Runner:
    """A repository on a server that is a directory, and a runner with an empty home.

    `unmasked`: the runner hides no secret in its log, so that one which we show can be seen.
    """

    base: Path
    unmasked: bool = False

    def run(
        self, jobs: dict[str, Any], *, event: str = "push", payload: dict[str, Any] | None = None, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """The whole run of these jobs on an event, by default a push of the repository's newest commit."""
        workflow = yaml.safe_dump({"on": event, "jobs": jobs})
        return self.act(workflow, event=event, payload=payload, **variables)

    def example(
        self, name: str, *, payload: dict[str, Any] | None = None, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """The whole run of one of examples/workflows, as it is, on the first of the events that it names."""
        workflow = (ROOT / "examples/workflows" / name).read_text(encoding="utf-8")
        events = yaml.safe_load(workflow)[True]  # what YAML 1.1 takes `on` for
        return self.act(workflow, event=next(iter(events)), payload=payload, **variables)

    def act(
        self, workflow: str, *, event: str, payload: dict[str, Any] | None = None, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """The whole run of a workflow's text."""
        work = Path(tempfile.mkdtemp(prefix="work-", dir=self.base))
        git(self.base, "clone", "-q", str(self.repository), str(work))
        (work / WORKFLOW).parent.mkdir(parents=True)
        (work / WORKFLOW).write_text(workflow)
        (work / "event.json").write_text(json.dumps(payload or {}))
        server = self.base / "server"
        command = [
            *(str(SCRIPTS / "act"), event, "--eventpath", str(work / "event.json")),
            *("--platform", "ubuntu-latest=-self-hosted", "--json"),
            *("--action-offline-mode", "--pull=false", "--no-cache-server"),
            *("--local-repository", f"{server}/org/accel-ci@v1={self.base / 'accel-ci'}"),
            *uploads.mapped(self.base, server=str(server)),
            *("--env", f"GITHUB_SERVER_URL={server}", "--env", "GITHUB_REPOSITORY=org/hello"),
            *("--env", "GITHUB_RUN_ID=77", "--env", "GITHUB_REPOSITORY_ID=4711"),
            *("--env", "ACCEL_CI_LOCAL_FORKS=true"),  # what these runs know of secrets is made up
            *("--env", f"GITHUB_WORKFLOW_REF=org/hello/{WORKFLOW}@refs/heads/main"),
            *(word for name, value in variables.items() for word in ("--env", f"{name}={value}")),
            *(("--secret", f"GITHUB_TOKEN={TOKEN}") if "GITHUB_API_URL" in variables else ()),
            *(("--insecure-secrets",) if self.unmasked else ()),
        ]
        try:
            return subprocess.run(
                command, cwd=work, env=self.environ(), capture_output=True, text=True, timeout=LIMIT_S, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise AssertionError(f"not over after {LIMIT_S} s:\n{_text(error.stdout)[-6000:]}") from None

    def environ(self) -> dict[str, str]:
        """The environment that act starts in: a runner's own home, and programs that need no network."""
        kept = re.compile("PATH$|LANG$|PIP_|UV_|SSL_CERT|REQUESTS_CA")
        environ = {name: value for name, value in os.environ.items() if kept.match(name)}
        environ["PATH"] = os.pathsep.join([str(self.base / "tools"), str(SCRIPTS), environ["PATH"]])
        return environ | {"HOME": str(self.base / "home"), "XDG_CACHE_HOME": str(self.base / "cache")}

    @property
    def repository(self) -> Path:
        """The repository under test."""
        return self.base / "server/org/hello"

    @property
    def sha(self) -> str:
        """Its newest commit."""
        return git(self.repository, "rev-parse", "HEAD")

    @property
    def terminal(self) -> Terminal:
        """The runner's home, to look at what is left in it."""
        return Terminal(self.repository, self.base / "home")

    def kept(self) -> list[RunRecord]:
        """The records in the history, oldest first."""
        return [
            RunRecord.model_validate_json(path.read_bytes())
            for path in sorted((self.terminal.state / "history").glob("*/*"))
        ]


def ship(base: Path) -> None:
    """A copy of what we ship, below `base`, as `for_act` writes it."""
    for name in SHIPPED:
        shutil.copytree(ROOT / name, base / "accel-ci" / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("action.yml", ".github/workflows/test.yml"):
        (base / "accel-ci" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, base / "accel-ci" / name)
    for path in (base / "accel-ci").rglob("*.yml"):
        path.write_text(for_act(path.read_text(encoding="utf-8")), encoding="utf-8")


def for_act(text: str) -> str:
    """An action or workflow in act's words: it does not know `$/`, and tells actions nothing of the matrix.

    `$/` means the same repository and commit. What a matrix is, a job may say to its actions by MATRIX and STRATEGY.
    """
    text = text.replace("${{ toJSON(matrix) }}", "${{ env.MATRIX }}")
    return manifest.tagged(text.replace("${{ toJSON(strategy) }}", "${{ env.STRATEGY }}"))


def git(directory: Path, *words: str) -> str:
    """What git says."""
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main")
    done = subprocess.run(["git", *identity, *words], cwd=directory, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def uses(name: str, given: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
    """A step that uses one of our actions."""
    return {"uses": f"org/accel-ci/{name}@v1", "with": given or {}, **more}


def composed(run: str) -> dict[str, Any]:
    """The jobs of the composed form."""
    steps = [
        uses("provision", {"accelerator": "local", "grant": "${{ needs.gate.outputs.grant }}"}),
        uses("run-remote", {"run": run}),
        uses("collect", {"paths": "*.txt"}, **ALWAYS),
        uses("cleanup", **ALWAYS),
        uses("report", **ALWAYS),
    ]
    gate = {
        "runs-on": "ubuntu-latest",
        "outputs": {name: f"${{{{ steps.gate.outputs.{name} }}}}" for name in ("allowed", "grant")},
        "steps": [uses("gate", {"branches": "main, master"}, id="gate")],
    }
    test = {
        "needs": "gate",
        "if": "needs.gate.outputs.allowed == 'true'",
        "runs-on": "ubuntu-latest",
        "steps": steps,
    }
    last = {"needs": ["gate", "tpu"], **ALWAYS, "runs-on": "ubuntu-latest", "steps": [uses("cleanup", {"for": "tpu"})]}
    return {"gate": gate, "tpu": test, "cleanup": last}


def results(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """How each job ended, by its id."""
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return {line["jobID"]: line["jobResult"] for line in lines if "jobResult" in line}


def told(done: subprocess.CompletedProcess[str]) -> str:
    """What the jobs' logs say at their end, to be read when a test fails."""
    return f"{_text(done.stdout)[-6000:]}\n{done.stderr[-2000:]}"


def _text(log: str | bytes | None) -> str:
    text = log.decode(errors="replace") if isinstance(log, bytes) else log or ""
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{") and line.endswith("}")]
    return "\n".join(f"{line.get('jobID', '')}| {str(line.get('msg', '')).rstrip()}" for line in lines)


def summaries(done: subprocess.CompletedProcess[str]) -> str:
    """What the steps' summaries say."""
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return "\n".join(str(line.get("content", "")) for line in lines if line.get("command") == "summary")
