"""The shipped actions, unchanged, in a real runner (act, host mode): set-up, machine, tests, report, nothing left."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from accel_ci.domain.record import RunRecord
from accel_ci.domain.verdict import Verdict
from tests.end_to_end.conftest import TESTS
from tests.end_to_end.terminal import Terminal

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ("src", "requirements", "actions", "gate", "provision", "run-remote", "collect", "cleanup", "report")
ALWAYS: dict[str, Any] = {"if": "always()"}


@dataclass(frozen=True)
class Runner:
    """A repository on a server that is a directory, and a runner with an empty home."""

    base: Path

    def run(self, jobs: dict[str, Any]) -> subprocess.CompletedProcess[str]:
        """The workflow's whole run on a push of the repository's newest commit."""
        work = self.base / "work"
        _git(self.base, "clone", "-q", str(self.repository), str(work))
        (work / ".github/workflows").mkdir(parents=True)
        (work / ".github/workflows/test.yml").write_text(yaml.safe_dump({"on": "push", "jobs": jobs}))
        act = [
            *(f"{Path(sys.executable).parent}/act", "push", "--platform", "ubuntu-latest=-self-hosted", "--json"),
            *("--action-offline-mode", "--pull=false", "--no-cache-server"),
            *("--local-repository", f"{self.base / 'server'}/org/accel-ci@v1={self.base / 'accel-ci'}"),
            *("--env", f"GITHUB_SERVER_URL={self.base / 'server'}", "--env", "GITHUB_REPOSITORY=org/hello"),
            *("--env", "GITHUB_RUN_ID=77", "--env", "GITHUB_REPOSITORY_ID=4711"),
        ]
        kept = ("PATH", "LANG", "PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_FIND_LINKS", "PIP_INDEX_URL")
        environ = {name: os.environ[name] for name in kept if name in os.environ}
        environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environ['PATH']}"
        environ |= {"HOME": str(self.base / "home"), "XDG_CACHE_HOME": str(self.base / "cache")}
        return subprocess.run(act, cwd=work, env=environ, capture_output=True, text=True, timeout=300, check=False)

    @property
    def repository(self) -> Path:
        """The repository under test."""
        return self.base / "server/org/hello"

    @property
    def sha(self) -> str:
        """Its newest commit."""
        return _git(self.repository, "rev-parse", "HEAD")

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


def _git(directory: Path, *words: str) -> str:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main")
    done = subprocess.run(["git", *identity, *words], cwd=directory, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    """A repository with three tests (pass, fail, skip) in two commits, and a copy of what we ship."""
    repository = tmp_path / "server/org/hello"
    repository.mkdir(parents=True)
    (tmp_path / "home").mkdir()
    _git(repository, "init", "-q")
    (repository / "test_three.py").write_text(TESTS)
    _git(repository, "add", "-A")
    _git(repository, "commit", "-qm", "three tests")
    for name in SHIPPED:
        shutil.copytree(ROOT / name, tmp_path / "accel-ci" / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "action.yml", tmp_path / "accel-ci/action.yml")
    return Runner(tmp_path)


def _uses(name: str, given: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
    return {"uses": f"org/accel-ci/{name}@v1", "with": given or {}, **more}


def _composed(run: str) -> dict[str, Any]:
    steps = [
        _uses("provision", {"accelerator": "local", "grant": "${{ needs.gate.outputs.grant }}"}),
        _uses("run-remote", {"run": run}),
        _uses("collect", {"paths": "*.txt"}, **ALWAYS),
        _uses("cleanup", **ALWAYS),
        _uses("report", **ALWAYS),
    ]
    gate = {
        "runs-on": "ubuntu-latest",
        "outputs": {name: f"${{{{ steps.gate.outputs.{name} }}}}" for name in ("allowed", "grant")},
        "steps": [_uses("gate", {"branches": "main, master"}, id="gate")],
    }
    test = {
        "needs": "gate",
        "if": "needs.gate.outputs.allowed == 'true'",
        "runs-on": "ubuntu-latest",
        "steps": steps,
    }
    last = {"needs": ["gate", "tpu"], **ALWAYS, "runs-on": "ubuntu-latest", "steps": [_uses("cleanup", {"for": "tpu"})]}
    return {"gate": gate, "tpu": test, "cleanup": last}


def _results(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """How each job ended, by its id."""
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return {line["jobID"]: line["jobResult"] for line in lines if "jobResult" in line}


def _summaries(done: subprocess.CompletedProcess[str]) -> str:
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return "\n".join(str(line.get("content", "")) for line in lines if line.get("command") == "summary")


def test_the_composed_form_tests_exactly_the_commit(runner: Runner) -> None:
    """Gate, machine, tests of the pushed commit, files, cleanup, report: job red for the failing test, machine gone."""
    (runner.repository / "test_three.py").write_text("def test_of_the_worktree(): assert False\n")
    done = runner.run(_composed("git describe --always > version.txt; python -m pytest -q -p no:cacheprovider"))
    results = _results(done)
    assert (results["gate"], results["tpu"], results["cleanup"]) == ("success", "failure", "success"), done.stdout[
        -6000:
    ]
    (record,) = runner.kept()
    assert (record.verdict, record.identity.sha) == (Verdict.FAILED, runner.sha)
    assert record.tests is not None and record.tests.counts == {"passed": 1, "failed": 1, "skipped": 1}
    assert [artifact.name for artifact in record.artifacts] == ["version.txt"]
    assert record.cleanup is not None and record.cleanup.left == []
    assert "test_fail" in _summaries(done)
    assert runner.terminal.machines() == []


def test_the_root_action_is_the_journey_in_one_step(runner: Runner) -> None:
    """One step leases, runs, brings back and gives back; its outputs tell the verdict."""
    show = {"run": 'echo "seen: $VERDICT $TESTS"', "env": {"VERDICT": "${{ steps.all.outputs.verdict }}"}}
    show["env"]["TESTS"] = "${{ steps.all.outputs.tests }}"  # type: ignore[index]
    whole = {"uses": "org/accel-ci@v1", "id": "all"}
    whole["with"] = {"accelerator": "local", "run": "python -m pytest -q -p no:cacheprovider -k 'pass or skip'"}  # type: ignore[assignment]
    done = runner.run({"tpu": {"runs-on": "ubuntu-latest", "steps": [whole, show]}})
    assert _results(done)["tpu"] == "success", done.stdout[-6000:]
    assert 'seen: passed {\\"passed\\": 1, \\"skipped\\": 1}' in done.stdout
    assert runner.terminal.machines() == []


def test_an_event_that_gate_does_not_know_costs_nothing(runner: Runner) -> None:
    """A refusal of the gate ends before any machine is asked for."""
    jobs = _composed("true")
    jobs["gate"]["steps"][0]["with"] = {"branches": "release"}
    done = runner.run(jobs)
    assert _results(done)["gate"] == "failure"
    assert "may not use an accelerator" in done.stdout
    assert runner.kept() == []
