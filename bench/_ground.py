"""Where journeys are measured: a repository with one file, a simulated cloud, and its user."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.end_to_end.runner import git
from tests.servers.simulator import SimulatorProcess


class Ground:
    """The repository `project`, and the `cloud`. `stamps` is where commands write times: machines share this computer's

    files and clock.
    """

    def __init__(self, directory: Path, *, name: str, text: str, limit_s: float) -> None:
        self.project = directory / "project"
        self.project.mkdir()
        self.stamps = directory / "stamps"
        (self.project / name).write_text(text)
        git(self.project, "init", "-q")
        git(self.project, "add", "-A")
        git(self.project, "commit", "-qm", name)
        self.cloud = SimulatorProcess(directory)
        self._limit_s = limit_s

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """The program, as the user of the cloud."""
        return subprocess.run(
            words,
            cwd=self.project,
            env=self.cloud.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=self._limit_s,
            check=False,
        )

    def call(self, *words: str) -> str:
        """What the program printed; it must succeed."""
        done = self.run(*words)
        assert done.returncode == 0, done.stdout
        return done.stdout
