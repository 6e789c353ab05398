"""`accel-ci ssh`: on this computer, and on a slice of the simulated cloud with OpenSSH itself."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.end_to_end.terminal import Terminal
from tests.servers.simulator import SimulatorProcess

ZONE = "us-central2-b"
SLICE = ("--backend", "tpu", "--accelerator", "v4-16", "--zones", ZONE)
READ_S = 60


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    """A simulated cloud for this module."""
    with closing(SimulatorProcess(tmp_path_factory.mktemp("sim"))) as running:
        yield running


@dataclass(frozen=True)
class InCloud(Terminal):
    """The terminal with the simulated cloud's settings."""

    exports: Mapping[str, str]

    def environ(self) -> dict[str, str]:
        return {**super().environ(), **self.exports}


@pytest.fixture(scope="module")
def leased(tmp_path_factory: pytest.TempPathFactory, simulator: SimulatorProcess) -> Iterator[InCloud]:
    """A person at a terminal who leased a slice of two workers and sent the code."""
    project = tmp_path_factory.mktemp("project")
    (project / "code.txt").write_text("code")
    at = InCloud(project, tmp_path_factory.mktemp("home"), simulator.exports)
    for step in (("provision", *SLICE), ("run-remote", "--", "echo made > by-the-run.txt")):
        done = at(*step)
        assert done.returncode == 0, done.stdout + done.stderr
    yield at
    simulator.turn()
    done = at("cleanup")
    assert done.returncode == 0, done.stdout + done.stderr


def _typed(terminal: Terminal, *words: str, keys: bytes) -> tuple[int, str]:
    """Exit code and screen of accel-ci on a terminal of its own, where somebody types these keys."""
    ours, theirs = os.openpty()
    command = terminal.command(*words)
    process = subprocess.Popen(
        command,
        cwd=terminal.project,
        env=terminal.environ() | {"TERM": "dumb", "PS1": "$ "},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    os.write(ours, keys)
    screen = bytearray()
    try:
        while chunk := os.read(ours, 65536):
            screen += chunk
    except OSError:  # EIO: the last process let go
        pass
    finally:
        os.close(ours)
    return process.wait(READ_S), screen.decode(errors="replace")


def test_on_this_computer(terminal: Terminal) -> None:
    """A command on a local machine begins where the code is, with our stdin, and its exit code is ours."""
    assert terminal("provision", "--backend", "local").returncode == 0
    assert terminal("run-remote", "--", "echo made > by-the-run.txt").returncode == 0
    done = terminal("ssh", "--", "cat by-the-run.txt; echo $ACCEL_CI_MACHINE; exit 7")
    assert (done.returncode, done.stdout.split()[0]) == (7, "made"), done.stdout + done.stderr
    assert done.stdout.split()[1].startswith("accel-my-")
    code, screen = _typed(terminal, "ssh", keys=b"tty && cat by-*.txt\nexit 5\n")
    assert code == 5 and "/dev/" in screen and "made" in screen
    assert terminal("cleanup").returncode == 0
    gone = terminal("ssh", "--", "true")
    assert gone.returncode == 3 and "was given back at" in gone.stderr


@pytest.mark.judge("ssh")
def test_a_command_on_a_worker(leased: InCloud) -> None:
    """Bytes pass unchanged both ways, and the exit code is the command's."""
    blob = os.urandom(300_000)
    command = leased.command("ssh", "--worker", "1", "--", "cat > ../blob; cat by-the-run.txt ../blob; exit 9")
    done = subprocess.run(
        command, cwd=leased.project, env=leased.environ(), input=blob, capture_output=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (9, b"made\n" + blob), done.stderr


@pytest.mark.judge("ssh")
def test_a_shell_on_a_terminal(leased: InCloud) -> None:
    """Where a person types they get a login shell with a terminal over there, in the code's directory."""
    code, screen = _typed(leased, "ssh", "--worker", "1", keys=b"tty; pwd; echo $((6*7)) w1\nexit 4\n")
    assert code == 4 and "42 w1" in screen and "/dev/pts/" in screen, screen
    assert "/w1/home/accel-ci/source" in screen


@pytest.mark.judge("ssh")
def test_on_all_workers_at_once(leased: InCloud) -> None:
    """Each line has its worker's name; the failing worker is named, and its exit code is ours."""
    done = leased("ssh", "--worker", "all", "--", "case $PWD in */w1/*) echo no >&2; exit 6;; *) echo yes; esac")
    assert done.returncode == 6
    assert sorted(done.stdout.splitlines()) == ["[w0] yes", "[w1] no"]
    assert "w1 ended with exit code 6" in done.stderr


@pytest.mark.judge("ssh")
def test_a_machine_named_from_elsewhere(leased: InCloud, tmp_path: Path) -> None:
    """A handle, a machine's name or a run's name find the machine and its key from any directory."""
    elsewhere = InCloud(tmp_path, leased.home, leased.exports)
    (run,) = leased.runs()
    handle = leased.record().machine.handle  # type: ignore[union-attr]
    for name in (handle, handle.rpartition("/")[2], run.name):
        done = elsewhere("ssh", name, "--", "cat by-the-run.txt")
        assert (done.returncode, done.stdout) == (0, "made\n"), done.stderr
    stranger = elsewhere("ssh", "tpu://sim-project/us-central2-b/other", "--", "true")
    assert stranger.returncode == 2 and handle in stranger.stderr
    nowhere = elsewhere("ssh", "--", "true")
    assert nowhere.returncode == 2 and "no leased machine" in nowhere.stderr


@pytest.mark.judge("ssh")
def test_interrupted(leased: InCloud) -> None:
    """SIGTERM ends our ssh with us: no process of ours is left, and the exit code is 130."""
    client = leased.start("ssh", "--", "echo begun; sleep 50")
    assert client.stdout is not None and client.stdout.readline() == "begun\n"
    client.send_signal(signal.SIGTERM)
    text, _ = client.communicate(timeout=READ_S)
    assert client.returncode == 130, text
    deadline = time.monotonic() + READ_S  # who was ended is still seen for a moment
    while (left := _ssh_of(leased.runs()[0].name.encode())) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert left == []


def _ssh_of(run: bytes) -> list[bytes]:
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes()
        except OSError:
            continue
        if words.startswith(b"ssh\0") and run in words:
            found.append(words)
    return found


@pytest.mark.judge("ssh")
def test_a_preempted_machine_is_said_to_be_gone(leased: InCloud, simulator: SimulatorProcess) -> None:
    """When ssh cannot get through, the cloud is asked, and its word is the message: exit code 3."""
    simulator.turn(preempt_after_s=0.01)
    time.sleep(0.2)
    for words in (("--", "true"), ("--worker", "all", "--", "true")):
        done = leased("ssh", *words)
        assert done.returncode == 3 and "is gone: preempted" in done.stderr, done.stderr
