"""The real gcloud with nothing but the simulator's exports and a HOME of its own."""

from __future__ import annotations

import json
import subprocess
from typing import Any

from tests import judges
from tests.servers.simulator import SimulatorProcess

LIMIT_S = 120.0  # gcloud tries ssh ten times before it gives up


class Gcloud:
    """`gcloud compute <group>`: each call takes about half a second."""

    def __init__(self, simulator: SimulatorProcess, group: str = "") -> None:
        self._environ = simulator.environ
        self._group = group.split()
        key = simulator.home / ".ssh" / "google_compute_engine"
        if not key.exists():  # gcloud would make one, larger and slower
            key.parent.mkdir(mode=0o700, exist_ok=True)
            command = [judges.require("ssh-keygen"), "-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", str(key)]
            subprocess.run(command, stdin=subprocess.DEVNULL, check=True)

    def run(self, words: str, *more: str) -> subprocess.CompletedProcess[str]:
        """What `gcloud compute <group> <words> <more>` did."""
        command = [judges.require("gcloud"), "compute", *self._group, *words.split(), *more, "--quiet"]
        return subprocess.run(
            command,
            env=self._environ,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    def said(self, words: str, *more: str) -> str:
        """What it printed; it must succeed."""
        done = self.run(words, *more)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def json(self, words: str, *more: str) -> Any:
        """What it printed, in full."""
        return json.loads(self.said(words, *more, "--format=json"))
