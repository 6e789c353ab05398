"""The doors, tried by a real program: shut for a user without rights, and each found when it really is open."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator

import pytest

from tests.on_machine import worker_root
from tests.on_machine.worker_root import ON_MACHINE

NOBODY = 65534
# Drops root where tests run as root; nothing else is given up there.
AS_NOBODY = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--no-new-privs")


class Machine:
    """The program in a directory that every user may read; `change` edits its constants."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        self.environment = {"PATH": f"{path}/bin:{os.environ['PATH']}", "HOME": str(path / "home")}
        for folder in (path / "bin", path / "home/.ssh", path / "etc/ssh", path / "dev"):
            folder.mkdir(parents=True)
        for program in ("doors.py", "process_tree.py"):
            shutil.copy(ON_MACHINE / program, path)
        self.change("doors.py", METADATA="()", SOCKETS="()", ETC=f"{str(path / 'etc')!r}", DEV=f"{str(path / 'dev')!r}")
        self.change("doors.py", DOCKER=f"('127.0.0.1', {closed_port()})")

    def change(self, program: str, **constants: str) -> None:
        """Give the constants of the program these values."""
        text = (self.path / program).read_text()
        (self.path / program).write_text(
            text.replace(
                '\n\nif __name__ == "__main__"',
                "".join(f"\n{n} = {v}" for n, v in constants.items()) + '\n\nif __name__ == "__main__"',
            )
        )

    def program(self, name: str, text: str) -> None:
        """A program that comes before the computer's own."""
        (self.path / "bin" / name).write_text(f"#!/bin/sh\n{text}\n")
        (self.path / "bin" / name).chmod(0o755)

    def open(self, *, python: str = sys.executable, root: bool = False, **environment: str) -> dict[str, str]:
        """What stands open for a user without rights."""
        drop = () if root or os.geteuid() != 0 else AS_NOBODY
        done = subprocess.run(
            [*drop, python, "-IS", str(self.path / "doors.py")],
            env={**self.environment, **environment},
            capture_output=True,
            timeout=60,
            check=True,
        )
        told = json.loads(done.stdout)
        found: dict[str, str] = told["open"]
        assert found.keys() <= set(told["tried"])
        return found


def closed_port() -> int:
    """A port of this computer on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def machine() -> Iterator[Machine]:
    """A machine with nothing on it; not below pytest's own directory, which only root may enter."""
    with tempfile.TemporaryDirectory(prefix="accel-ci-doors-") as folder:
        path = pathlib.Path(folder)
        path.chmod(0o755)
        made = Machine(path)
        # sudo of the computer that the tests run on is nobody's door here.
        made.program("sudo", "exit 1")
        made.program("doas", "exit 1")
        yield made


@pytest.fixture
def python(request: pytest.FixtureRequest) -> str:
    """An interpreter that every user may run: the system's."""
    found = shutil.which("python3", path="/usr/bin:/bin")
    return found or sys.executable


def test_all_is_shut_for_a_user_without_rights(machine: Machine, python: str) -> None:
    """No sudo, no metadata, no socket, no environment of others, no memory, no file of root's: nothing is open."""
    assert machine.open(python=python) == {}


def test_sudo_without_a_password(machine: Machine, python: str) -> None:
    """A sudo, or a doas, that asks for nothing is found; it is given -n, so that it never waits for a password."""
    for program in ("sudo", "doas"):
        machine.program(program, '[ "$1" = -n ] && exec "$2"')
        assert machine.open(python=python) == {"sudo": f"{program} works without a password"}
        machine.program(program, "exit 1")


def test_a_metadata_server_that_answers(machine: Machine, python: str) -> None:
    """Whoever takes a connection at the metadata's address, even without a word, is named with it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        machine.change("doors.py", METADATA=f"(('127.0.0.1', {closed_port()}), ('127.0.0.1', {port}))")
        assert machine.open(python=python) == {"metadata": f"somebody answers at 127.0.0.1 port {port}"}


def test_a_daemon_that_makes_root(machine: Machine, python: str) -> None:
    """A socket of docker's kind that this user may speak to is found; one that is closed to it is not."""
    path = machine.path / "docker.sock"
    machine.change("doors.py", SOCKETS=f"('/nowhere', {str(path)!r})")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        path.chmod(0o777)
        assert machine.open(python=python) == {"sockets": f"{path} takes connections"}
    path.unlink()
    assert machine.open(python=python) == {}


def test_docker_over_the_network(machine: Machine, python: str) -> None:
    """A daemon that answers a ping is docker; another service at that port is none."""
    for answer, found in ((b"HTTP/1.0 200 OK\r\n\r\nOK", True), (b"SSH-2.0-x\r\n", False)):
        with socket.create_server(("127.0.0.1", 0)) as server:
            machine.change("doors.py", DOCKER=f"('127.0.0.1', {server.getsockname()[1]})")
            thread = threading.Thread(target=_answer, args=(server, answer))
            thread.start()
            assert ("sockets" in machine.open(python=python)) is found
            thread.join()


def _answer(server: socket.socket, answer: bytes) -> None:
    client, _ = server.accept()
    with client:
        client.recv(1000)
        client.sendall(answer)


def test_hidden_memory_that_can_be_read(machine: Machine, python: str) -> None:
    """Where hiding does not work, the process is looked into: so could be our supervisor, and its secret."""
    text = (machine.path / "process_tree.py").read_text()
    assert "def hide_memory() -> None:" in text
    (machine.path / "process_tree.py").write_text(text + "\n\ndef hide_memory() -> None:\n    pass\n")
    found = machine.open(python=python)
    assert found.keys() == {"memory"} and "can be opened" in found["memory"]


@pytest.mark.parametrize(
    ("name", "mode", "word"),
    [
        ("etc/shadow", 0o444, "read"),
        ("etc/ssh/ssh_host_ed25519_key", 0o644, "read"),
        ("etc/passwd", 0o666, "changed"),
        ("etc/sudoers.d", 0o777, "changed"),
        ("dev/mem", 0o444, "read"),
    ],
)
def test_a_file_of_roots(machine: Machine, python: str, name: str, mode: int, word: str) -> None:
    """Secrets of root that can be read, and files that make root that can be changed, are found one at a time."""
    path = machine.path / name
    path.mkdir() if name.endswith(".d") else path.write_text("x")
    path.chmod(0o400)
    if os.geteuid() == 0:  # else all of it is the user's own
        assert machine.open(python=python) == {}
    path.chmod(mode)
    assert machine.open(python=python) == {"files": f"{path} can be {word}"}


def test_another_key_to_the_account(machine: Machine, python: str) -> None:
    """One key, however often and with whatever comments, is the run's own; a second one is somebody else's."""
    authorized = machine.path / "home/.ssh/authorized_keys"
    authorized.write_text("# Added by Google\nssh-ed25519 AAAA ours\n\nssh-ed25519 AAAA ours\n")
    assert machine.open(python=python) == {}
    authorized.write_text("ssh-ed25519 AAAA ours\nssh-rsa BBBB theirs\n")
    assert machine.open(python=python)["logins"].startswith("2 keys open")


def test_root_finds_every_door(machine: Machine) -> None:
    """Who runs tests as root is told; a user without rights is not taken for root."""
    found = machine.open(root=True)
    assert ("root" in found) is (os.geteuid() == 0)


def test_the_environment_of_somebody_elses_process(machine: Machine) -> None:
    """Root, who can read it, finds it; where tests have no rights there is nothing to be found."""
    drop = AS_NOBODY if os.geteuid() == 0 else ()
    with subprocess.Popen([*drop, "sleep", "60"]) as other:
        found = machine.open(root=True)
        other.kill()
    assert ("processes" in found) is (os.geteuid() == 0)


def test_a_door_that_cannot_be_tried_counts_as_open(machine: Machine, python: str) -> None:
    """What went wrong is told in a word; the other doors are tried all the same."""
    machine.change("doors.py", PROC="'/nowhere'")
    found = machine.open(python=python)
    assert found["root"] == "it could not be tried: FileNotFoundError" and "sudo" not in found


def test_only_the_named_doors_are_tried(machine: Machine, python: str) -> None:
    """A machine on which not all doors make sense names those that do; none at all is an answer, too."""
    machine.program("sudo", "exit 0")
    machine.change("doors.py", PROC="'/nowhere'")
    assert machine.open(python=python, ACCEL_CI_DOORS="sudo,logins").keys() == {"sudo"}
    assert machine.open(python=python, ACCEL_CI_DOORS="") == {}


@pytest.mark.parametrize("version", sorted(worker_root.interpreters()))
def test_every_python_tries_them(machine: Machine, version: str) -> None:
    """On the oldest Python that machines may have as well; nothing is written but one line."""
    found = machine.open(python=worker_root.interpreters()[version], root=True)
    assert "sudo" not in found and "sockets" not in found
