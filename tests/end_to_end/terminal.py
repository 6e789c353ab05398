"""The command line as a person runs it: a process of its own, with a home directory of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from accel_ci.domain.record import RunRecord

DROPPED = ("GITHUB_", "ACTIONS_", "RUNNER_", "ACCEL_CI", "XDG_", "CLOUDSDK_", "GOOGLE_")


@dataclass(frozen=True)
class Terminal:
    """A project directory and an empty home beside it."""

    project: Path
    home: Path

    def environ(self) -> dict[str, str]:
        """The environment of a person whose home is `home`, with this suite's Python first on PATH."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(DROPPED)}
        path = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
        return kept | {"HOME": str(self.home), "PATH": path, "PYTHONUNBUFFERED": "1"}

    def command(self, *words: str) -> list[str]:
        """accel-ci as a list of words."""
        return [sys.executable, "-m", "accel_ci", *words]

    def __call__(self, *words: str, timeout: float = 120, **more: str) -> subprocess.CompletedProcess[str]:
        """Run it to its end."""
        return subprocess.run(
            self.command(*words),
            cwd=self.project,
            env=self.environ() | more,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def start(self, *words: str, **more: str) -> subprocess.Popen[str]:
        """Start it and go on."""
        return subprocess.Popen(
            self.command(*words),
            cwd=self.project,
            env=self.environ() | more,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    @property
    def state(self) -> Path:
        """Where accel-ci keeps its state for this person."""
        return self.home / ".local/state/accel-ci"

    def runs(self) -> list[Path]:
        """The directories of the runs begun so far."""
        return sorted(path.parent for path in (self.state / "runs").glob("*/context.json"))

    def record(self) -> RunRecord:
        """The record of the only run."""
        (run,) = self.runs()
        return RunRecord.model_validate_json((run / "main/record.json").read_bytes())

    def machines(self) -> list[str]:
        """What is left of machines on this computer."""
        return [path.name for path in (self.state / "local/machines").glob("*")]


def processes_with(text: str) -> list[str]:
    """The command lines of living processes whose environment holds `text`."""
    found = []
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            if text.encode() in (directory / "environ").read_bytes():
                found.append((directory / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found


def outputs(path: Path) -> dict[str, str]:
    """What a step wrote to its GITHUB_OUTPUT file, by name."""
    found: dict[str, str] = {}
    lines = iter(path.read_text().splitlines())
    for line in lines:
        name, _, delimiter = line.partition("<<")
        value = []
        for part in lines:
            if part == delimiter:
                break
            value.append(part)
        found[name] = "\n".join(value)
    return found


def payload(path: Path, document: object) -> Path:
    """A JSON file."""
    path.write_text(json.dumps(document))
    return path
