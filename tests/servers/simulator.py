"""The simulated cloud as users start it: a process of its own, and what leads clients to it."""

from __future__ import annotations

import http.client
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from accel_ci_sim.wire import processes

START_S = 60.0
BASE = ("PATH", "LANG")


class SimulatorProcess:
    """Serves until `close`. `exports` is what its env file says; `environ` adds a bare environment and a HOME to that.

    `path` is a directory of programs that its machines have beside the usual ones, "" for none.
    """

    def __init__(self, directory: Path, *options: str, path: str = "") -> None:
        self.state = directory / "state"
        self.home = directory / "home"
        self.home.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "accel_ci", "sim", "serve", "--state", str(self.state), *options]
        started = os.environ | {"PATH": os.pathsep.join(filter(None, (path, os.environ["PATH"])))}
        self.process = subprocess.Popen(
            command, env=started, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
        )
        self.exports = self._await_exports()
        self.environ = {name: os.environ[name] for name in BASE if name in os.environ} | {"HOME": str(self.home)}
        self.environ |= self.exports

    @property
    def url(self) -> str:
        """Where it is, without a slash at the end."""
        return self.exports["ACCEL_CI_SIM"]

    @property
    def ssh_port(self) -> int:
        """Where its machines' sshd listen."""
        return int(self.exports["ACCEL_CI_SIM_SSH_PORT"])

    def call(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any]:
        """Status and document of one HTTP call."""
        host = urlsplit(self.url)
        connection = http.client.HTTPConnection(host.hostname or "", host.port, timeout=60)
        try:
            encoded = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
            connection.request(method, path, encoded, {"Content-Type": "application/json", **(headers or {})})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def turn(self, **knobs: Any) -> None:
        """Turn these knobs, and all others back."""
        status, document = self.call("PUT", "/sim/knobs", knobs)
        assert status == 200, document

    def machines(self) -> list[dict[str, Any]]:
        """Every node there ever was."""
        found: list[dict[str, Any]] = self.call("GET", "/sim/machines")[1]["machines"]
        return found

    def log(self) -> str:
        """What it did."""
        return (self.state / "log").read_text()

    def close(self, number: int = signal.SIGINT) -> None:
        """End it as a person would; nothing of it may be left."""
        self.process.send_signal(number)
        output, _ = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, output
        assert not processes.belonging(self.state), "processes of machines are left"
        assert not (self.state / "machines").exists()
        assert not (self.state / "env").exists()

    def kill(self) -> None:
        """End it without a chance to clean up, when it still runs."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()
        (self.state / "env").unlink(missing_ok=True)

    def _await_exports(self) -> dict[str, str]:
        deadline = time.monotonic() + START_S
        file = self.state / "env"
        while not file.exists():
            assert self.process.poll() is None, (
                f"the simulator ended: {self.process.stdout and self.process.stdout.read()}"
            )
            assert time.monotonic() < deadline, "the simulator does not start"
            time.sleep(0.01)
        return exported(file)


def exported(file: Path) -> dict[str, str]:
    """The variables that the shell has after reading the file and lacks before."""
    command = f". {shlex.quote(str(file))}; env -0"
    bare = {"PATH": os.environ["PATH"]}
    lines = subprocess.run(["sh", "-c", command], env=bare, capture_output=True, text=True, check=True).stdout
    found = dict(line.split("=", 1) for line in lines.split("\0") if line)
    return {name: value for name, value in found.items() if name not in ("PWD", "OLDPWD", "SHLVL", "_")}
