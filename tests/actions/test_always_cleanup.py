"""The post step of what leases, in a real node, with a stand-in for the program that it calls."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import judges

HERE = Path(__file__).resolve().parents[2] / "actions/internal/always-cleanup"
MATRIX = '{\n  "accelerator": "v6e-1"\n}'
PROGRAM = f"""#!{sys.executable}
import json, os, signal, sys, time
signal.signal(signal.SIGINT, lambda *_: open(os.environ["SEEN"] + ".signal", "w").close())
signal.signal(signal.SIGTERM, signal.SIG_IGN)
with open(os.environ["SEEN"], "w") as file:
    json.dump({{"argv": sys.argv[1:], "environ": dict(os.environ)}}, file)
print("::error title=cleanup::a machine", flush=True)
deadline = time.monotonic() + float(os.environ.get("SECONDS_", "0"))
while time.monotonic() < deadline and not os.path.exists(os.environ["SEEN"] + ".signal"):
    time.sleep(0.01)
sys.exit(int(os.environ.get("CODE", "0")))
"""
pytestmark = pytest.mark.judge("node")


class Post:
    """The action in a job of its own; `environ` is what the runner gives to its post step."""

    def __init__(self, directory: Path) -> None:
        self.seen = directory / "seen"
        self.program = directory / "temp/accel-ci/bin/accel-ci"
        self.environ = {"PATH": os.environ["PATH"], "RUNNER_TEMP": str(directory / "temp"), "SEEN": str(self.seen)}
        self.environ |= {"ACCEL_CI_INPUTS": '{"mode": "run"}', "GITHUB_OUTPUT": "/nowhere", "GITHUB_JOB": "tpu"}
        self._state = directory / "state"

    def set_up(self) -> None:
        """The program is there, as after the set-up of the first step."""
        self.program.parent.mkdir(parents=True)
        self.program.write_text(PROGRAM)
        self.program.chmod(0o700)

    def main(self) -> None:
        """The main step; what it keeps, the post step is given."""
        given = {"INPUT_MATRIX": MATRIX, "INPUT_STRATEGY": '{"job-index": 3}', "GITHUB_STATE": str(self._state)}
        done = self._node("main.js", given)
        assert done.returncode == 0, done.stderr
        lines = iter(self._state.read_text().splitlines())
        for line in lines:
            name, _, end = line.partition("<<")
            self.environ[f"STATE_{name}"] = "\n".join(iter(lambda: next(lines), end))

    def run(self, **more: str) -> subprocess.CompletedProcess[str]:
        """The post step."""
        return self._node("post.js", more)

    def begin(self, **more: str) -> subprocess.Popen[str]:
        """The post step, with its program at work."""
        command = [judges.require("node"), str(HERE / "post.js")]
        process = subprocess.Popen(command, env=self.environ | more, stdout=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 60
        while not self.seen.exists() or not self.seen.read_text():
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.01)
        return process

    def _node(self, script: str, more: dict[str, str]) -> subprocess.CompletedProcess[str]:
        command = [judges.require("node"), str(HERE / script)]
        return subprocess.run(command, env=self.environ | more, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def post(tmp_path: Path) -> Post:
    """The action in a job."""
    return Post(tmp_path)


def test_it_has_the_program_clean_up_the_jobs_own_machines(post: Post) -> None:
    """The program is asked to clean up, knowing the matrix instance from the main step and nothing of other steps."""
    post.set_up()
    post.main()
    done = post.run()
    seen = json.loads(post.seen.read_text())
    assert (done.returncode, seen["argv"]) == (0, ["cleanup"])
    assert seen["environ"]["ACCEL_CI_MATRIX"] == MATRIX
    assert json.loads(seen["environ"]["ACCEL_CI_STRATEGY"]) == {"job-index": 3}
    assert seen["environ"]["GITHUB_JOB"] == "tpu"
    assert "ACCEL_CI_INPUTS" not in seen["environ"] and "GITHUB_OUTPUT" not in seen["environ"]
    assert "::warning" not in done.stdout


def test_it_merely_warns(post: Post) -> None:
    """A cleanup that could not be proven keeps its own error in the log; the step itself succeeds with a warning."""
    post.set_up()
    done = post.run(CODE="5")
    assert done.returncode == 0
    assert done.stdout.splitlines()[0] == "::error title=cleanup::a machine"
    assert "::warning title=accel-ci always-cleanup::cleanup ended with exit code 5" in done.stdout


def test_without_the_program_it_says_so(post: Post) -> None:
    """Where the set-up never came to its end nothing can have been leased: a warning says so."""
    done = post.run()
    assert done.returncode == 0
    assert done.stdout.startswith("::warning title=accel-ci always-cleanup::the program is not on this runner")


def test_a_program_that_cannot_be_started_is_a_warning(post: Post) -> None:
    """A launcher that is no program is told, and the job does not fail for it."""
    post.set_up()
    post.program.write_text("#!/nonexistent/interpreter\n")
    done = post.run()
    assert done.returncode == 0 and "cleanup could not be started" in done.stdout


def test_it_keeps_to_its_own_deadline(post: Post) -> None:
    """A cleanup that hangs, and is deaf to SIGTERM, is ended at the deadline; the step says so."""
    post.set_up()
    done = post.run(SECONDS_="600", ACCEL_CI_POST_LIMIT_MS="200")
    assert done.returncode == 0
    assert "cleanup did not end in 0.2 s" in done.stdout and "ended with SIGKILL" in done.stdout


def test_signals_reach_the_program(post: Post) -> None:
    """The runner signals node alone: what it says reaches the program, for whose end node waits."""
    post.set_up()
    process = post.begin(SECONDS_="600")
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0 and Path(f"{post.seen}.signal").exists(), output
