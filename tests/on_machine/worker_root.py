"""A worker root on this computer, with our files in it as they lie on a machine, and clients that talk to them."""

from __future__ import annotations

import ctypes
import functools
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO, Any

from accel_ci.domain import verdict
from accel_ci.domain.verdict import EndRecord

ON_MACHINE = pathlib.Path(__file__).parents[2] / "src/accel_ci/on_machine"
PROGRAMS = ("supervisor.py", "attach.py", "process_tree.py", "secret_files.py", "courier.py", "checkout.py", "doors.py")
NONCE = "5f0c2ad1b7c94f6f9f6de1c2a3b4c5d6"
KEY = "0123456789abcdef"
PATIENCE_S = 60.0


@functools.cache
def interpreters() -> dict[str, str]:
    """Version -> interpreter: ours, and Python 3.8 where there is one that really works."""
    found = {"{}.{}".format(*sys.version_info): sys.executable}
    shim = shutil.which("python3.8")
    behind = sorted(pathlib.Path(shim).parent.parent.glob("versions/3.8*/bin/python3.8")) if shim else []
    for candidate in filter(None, (shim, *map(str, behind))):
        asked = subprocess.run([candidate, "--version"], capture_output=True, text=True, check=False)
        if asked.stdout.startswith("Python 3.8"):
            found.setdefault("3.8", candidate)
    return found


def eventually(happens: Callable[[], Any], patience_s: float = PATIENCE_S) -> Any:
    """What `happens` returns as soon as that is true; AssertionError when it never is."""
    deadline = time.monotonic() + patience_s
    while not (result := happens()):
        assert time.monotonic() < deadline, f"{happens} never was"
        time.sleep(0.01)
    return result


@dataclass
class Followed:
    """What an attachment told: all output in a row, its offset, how it ended, and how many beats there were."""

    pieces: bytearray = field(default_factory=bytearray)
    offset: int | None = None
    record: dict[str, Any] = field(default_factory=dict)
    lost: str = ""
    beats: int = 0
    code: int | None = None

    @property
    def output(self) -> bytes:
        """All that came."""
        return bytes(self.pieces)

    @property
    def end(self) -> EndRecord:
        """The end record as the program reads it."""
        read = verdict.end_record(self.record)
        assert read is not None, self.record or self.lost
        return read

    def take(self, stream: IO[bytes]) -> str:
        """Read one frame, check its form, and return its kind; "" at the stream's end."""
        kind, *numbers = stream.readline().split() or [b""]
        if kind == b"O":
            offset, length = map(int, numbers)
            assert 0 < length <= 256 * 1024
            assert self.offset is None or offset == self.offset + len(self.pieces)
            self.offset = offset if self.offset is None else self.offset
            self.pieces += stream.read(length)
        elif kind == b"E":
            self.record = json.loads(stream.read(int(numbers[0])))
        elif kind == b"X":
            self.lost = stream.read(int(numbers[0])).decode()
        else:
            assert kind in (b"B", b"")
            self.beats += kind == b"B"
        return kind.decode()


class Attached:
    """A client that stays attached until it is left."""

    def __init__(self, command: list[str]) -> None:
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.followed = Followed()

    def __enter__(self) -> Attached:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()
        self.process.wait()

    @property
    def stdout(self) -> IO[bytes]:
        """The frames."""
        assert self.process.stdout is not None
        return self.process.stdout

    def until(self, enough: Callable[[Followed], bool]) -> Followed:
        """Read frames until `enough` says so."""
        while not enough(self.followed):
            assert self.followed.take(self.stdout), self.followed
        return self.followed

    def to_the_end(self) -> Followed:
        """Read all frames, and see that nothing comes after the last one."""
        while (kind := self.followed.take(self.stdout)) not in ("E", "X"):
            assert kind, self.followed
        assert self.stdout.read() == b""
        self.followed.code = self.process.wait(PATIENCE_S)
        return self.followed


class WorkerRoot:
    """A worker root below `path`, its programs run by `python`."""

    def __init__(self, path: pathlib.Path, python: str = sys.executable) -> None:
        self.path = path
        self.python = python
        (path / "source").mkdir(parents=True)
        for program in PROGRAMS:
            shutil.copy(ON_MACHINE / program, path)

    def command(self, program: str, *arguments: str) -> list[str]:
        """The command line of one of our programs."""
        return [self.python, "-IS", str(self.path / program), *arguments]

    def call(
        self, program: str, *arguments: str, data: bytes = b"", **options: Any
    ) -> subprocess.CompletedProcess[bytes]:
        """Run one of our programs to its end."""
        command = self.command(program, *arguments)
        return subprocess.run(command, input=data, capture_output=True, timeout=PATIENCE_S * 3, check=False, **options)

    @staticmethod
    def usual(command: str) -> dict[str, Any]:
        """A spec that `start` takes."""
        return {
            "version": 1,
            "key": KEY,
            "nonce": NONCE,
            "phase": "run",
            "command": command,
            "environment": {},
            "secrets": {},
            "directory": ".",
            "limit_s": 60.0,
            "grace_s": 5.0,
            "unattended_s": 60.0,
            "lease_expires_at": time.time() + 600,
            "sent_at": time.time(),
            "output_limit_bytes": 1024**3,
            "worker": 0,
            "workers": 1,
            "machine": "accel-test-1",
        }

    def spec(self, command: str, **changes: Any) -> dict[str, Any]:
        """What `start` reads."""
        return {**self.usual(command), **changes}

    def start(self, command: str, **changes: Any) -> dict[str, Any]:
        """Start a phase; the answer, which must come with exit 0."""
        answer = self.ask_to_start(self.spec(command, **changes))
        assert answer.returncode == 0, answer
        parsed: dict[str, Any] = json.loads(answer.stdout)
        return parsed

    def ask_to_start(self, spec: Mapping[str, Any], **options: Any) -> subprocess.CompletedProcess[bytes]:
        """Start a phase, whatever comes of it."""
        return self.call("supervisor.py", "start", data=json.dumps(spec).encode(), **options)

    def attach(self, phase: str = "run", offset: int = 0) -> Attached:
        """Attach to a phase; a context manager."""
        return Attached(self.command("supervisor.py", "attach", "--phase", phase, "--offset", str(offset)))

    def follow(self, phase: str = "run", offset: int = 0) -> Followed:
        """Attach to a phase until its end."""
        with self.attach(phase, offset) as attached:
            return attached.to_the_end()

    def run(self, command: str, **changes: Any) -> Followed:
        """Start a phase, and follow it to its end."""
        assert self.start(command, **changes) == {"started": True}
        return self.follow(changes.get("phase", "run"))

    def stop(self, phase: str = "run") -> subprocess.CompletedProcess[bytes]:
        """Ask for a polite end."""
        return self.call("supervisor.py", "stop", "--phase", phase)

    def folder(self, phase: str = "run") -> pathlib.Path:
        """The phase's directory."""
        return self.path / "phases" / phase

    def state(self, phase: str = "run") -> dict[str, Any]:
        """state.json, as soon as it is there."""
        state: dict[str, Any] = json.loads(eventually(lambda: read_or_nothing(self.folder(phase) / "state.json")))
        return state

    def said(self, name: str) -> str:
        """What the command wrote to a file in source/, as soon as it is a whole line."""
        path = self.path / "source" / name
        return str(eventually(lambda: text if (text := read_or_nothing(path)).endswith("\n") else "")).strip()

    def processes(self) -> dict[int, str]:
        """Every process that we or a command of ours started, by pid: the root's path marks their environment."""
        return dict(marked_by(str(self.path)))

    def clean_up(self) -> None:
        """End everything; AssertionError names what was still alive after each phase had ended."""
        for folder in (self.path / "phases").glob("[a-z]*"):
            if not (folder / "end.json").exists():
                self.stop(folder.name)
        try:
            eventually(lambda: not self.processes(), patience_s=15)
        except AssertionError:
            alive = self.processes()
            for pid in alive:
                os.kill(pid, signal.SIGKILL)
            raise AssertionError(f"left alive: {alive}") from None


def read_or_nothing(path: pathlib.Path) -> str:
    """The file's text, "" as long as there is none."""
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def marked_by(mark: str) -> Iterator[tuple[int, str]]:
    """The processes with the mark in their command line or environment, and their command lines."""
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        command = read_or_nothing(folder / "cmdline")
        if mark in command or mark in read_or_nothing(folder / "environ"):
            yield int(folder.name), command.replace("\0", " ")


def without_privileges() -> None:
    """For a child of a test that may run as root: it may read only what its user may read."""
    for capability in (1, 2, 19):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_SYS_PTRACE
        ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP, effective from the exec on


def alive(pid: int) -> bool:
    """True while the process runs (a zombie does not)."""
    return read_or_nothing(pathlib.Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()[:1] not in ([], ["Z"])
