"""What the Remote port makes of machines that lie, fall silent or talk without end."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import shlex
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType

import pytest

from accel_ci.adapters import supervised, transport
from accel_ci.adapters.local_exec import LocalExec
from accel_ci.adapters.supervised import Deadlines, SupervisedRemote
from accel_ci.adapters.transport import Invocation, Session, Stdin
from accel_ci.domain.errors import CancelledError, CloudError, ConfigurationError, ConnectionLostError
from accel_ci.domain.machine import Machine, Worker
from accel_ci.domain.workload import Caps, Package, Phase
from accel_ci.ports.remote import Ended, Event, Lost, Output, Quiet
from tests.contracts import remote_worlds

DEADLINES = Deadlines(call_s=2, transfer_s=2, silence_s=1)
RECORD = {
    "version": 1,
    "key": "k",
    "nonce": "n",
    "phase": "run",
    "reason": "exited",
    "exit_code": 0,
    "signal": None,
    "started_at": 1.0,
    "ended_at": 2.0,
    "output_bytes": 0,
    "output_dropped_bytes": 0,
    "peak_memory_bytes": 0,
    "detail": "",
}


class Liar:
    """A transport whose workers run a shell text of ours, whatever they are asked."""

    def __init__(self, text: str) -> None:
        self._text = text

    async def open(self, machine: Machine, worker: Worker, argv: Sequence[str], *, stdin: Stdin) -> Session:
        return await transport.spawn(["sh", "-c", self._text], stdin=stdin)

    def shell(self, machine: Machine, worker: Worker, text: str, *, on_terminal: bool) -> Invocation:
        return Invocation(argv=("sh", "-c", self._text))

    async def close(self) -> None:
        pass

    def public_key(self) -> str:
        return ""


@contextlib.contextmanager
def lying(text: str, *, workers: int = 1) -> Iterator[tuple[SupervisedRemote, Machine]]:
    """A remote and a machine whose workers all run the shell text."""
    listed = tuple(Worker(index=index, address=f"host{index}") for index in range(workers))
    machine = remote_worlds.machine("liar", listed)
    with SupervisedRemote(Liar(text), DEADLINES) as remote:
        yield remote, machine


def saying(data: bytes) -> str:
    """The shell text that writes these bytes (at most 90,000), and then waits for its stdin to end."""
    return f"echo {base64.b64encode(data).decode()} | base64 -d; cat >/dev/null"


def events(text: str, *, phase: Phase | None = None) -> list[Event]:
    """What an attachment to such a worker yields."""
    with lying(text) as (remote, machine):
        return [*remote.attach(machine, phase or remote_worlds.phase("true"), {0: 0})]


def framed(kind: str, data: bytes) -> bytes:
    """An E or X frame."""
    return b"%s %d\n%s" % (kind.encode(), len(data), data)


def test_end_record_is_read() -> None:
    """A proper record arrives as one; whether it is ours is for the verdict to say."""
    (ended,) = events(saying(framed("E", json.dumps(RECORD).encode())))
    assert isinstance(ended, Ended)
    assert ended.record is not None
    assert (ended.record.exit_code, ended.record.nonce) == (0, "n")


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        (b"welcome to this host\n", "welcome to this host"),
        (b"O 5 1\nx", "expected at 0"),
        (b"O 0 1\nxO 0 1\nx", "expected at 1"),
        (b"E 99999999\n", "99999999 bytes"),
        (framed("E", b"[]"), "no object"),
        (framed("E", b"[" * 60_000), "nested"),
        (framed("X", b"the supervisor died"), "the supervisor died"),
        (framed("X", b"##[error]\x1b[31m\n::add-mask::"), "add-mask"),
        (b"##[group]x\n", "no frame"),
    ],
)
def test_broken_protocol_is_an_end_without_record(sent: bytes, why: str) -> None:
    """Whatever else a worker sends ends its phase without a record, with a reason that is safe to print."""
    ended = events(saying(sent))[-1]
    assert isinstance(ended, Ended)
    assert ended.record is None
    assert why in ended.detail
    assert "##[" not in ended.detail
    assert ended.detail.isprintable()


def test_forged_record_of_another_shape_is_none() -> None:
    """An E frame whose document is not exactly a record ends the phase without one."""
    (ended,) = events(saying(framed("E", json.dumps({**RECORD, "exit_code": "0"}).encode())))
    assert ended == Ended(0, None)


def test_output_beyond_the_agreed_limit_ends_the_phase() -> None:
    """A worker that sends more than the phase's output limit is not listened to any further."""
    phase = remote_worlds.phase("true", output_limit_bytes=3)
    ended = events(saying(b"O 0 2\nabO 2 2\ncd"), phase=phase)[-1]
    assert isinstance(ended, Ended)
    assert ended.record is None


def test_last_words_tell_why_it_was_lost() -> None:
    """When the connection ends without an end, the last of stderr says why, as one safe line."""
    (lost,) = events("echo '##[error]Connection reset by peer' >&2; exit 255")
    assert isinstance(lost, Lost)
    assert "Connection reset by peer" in lost.reason
    assert "##[" not in lost.reason


def test_silence_is_lost_in_time() -> None:
    """A worker without any frame is Lost after the agreed silence; meanwhile the caller gets its Quiet."""
    begun = time.monotonic()
    got = events("exec sleep 30")
    assert [type(event) for event in got] == [Quiet, Lost]
    assert time.monotonic() - begun < 10


def test_slow_reader_slows_the_machine_down() -> None:
    """While nobody takes events, a worker that sends without end gets nowhere, and our memory stays small."""
    endless = "i=0; while :; do echo O $i 262144; head -c 262144 /dev/zero; i=$((i + 262144)); done"
    with lying(endless) as (remote, machine):
        attachment = remote.attach(machine, remote_worlds.phase("true", output_limit_bytes=2**40), {0: 0})
        assert isinstance(next(attachment), Output)
        before = _resident_bytes()
        time.sleep(1)
        assert _resident_bytes() - before < 64 * 1024 * 1024
        attachment.close()


def test_flood_on_stderr_is_drained() -> None:
    """What a worker writes to stderr without end neither blocks its output nor fills our memory."""
    before = _resident_bytes()
    (ended,) = events(f"head -c 50000000 /dev/zero >&2; {saying(framed('X', b'over'))}")
    assert isinstance(ended, Ended)
    assert _resident_bytes() - before < 32 * 1024 * 1024


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('cat >/dev/null; echo \'{"error": "no space left"}\'; exit 1', "w0 refuses: no space left"),
        ('cat >/dev/null; echo \'{"error": "##[error]x"}\'; exit 3', r"w0 refuses: .*error\]x"),
    ],
)
def test_refusal_is_told(text: str, why: str) -> None:
    """An answer with an error is a refusal that repeating does not help, told in the worker's cleaned words."""
    with lying(text) as (remote, machine), pytest.raises(CloudError, match=why) as caught:
        remote.start(machine, remote_worlds.phase("true"))
    assert not isinstance(caught.value, ConnectionLostError)
    assert "##[" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("cat >/dev/null; echo python3: not found >&2; exit 127", "python3: not found"),
        ("exit 9", "exit code 9"),
        ("cat >/dev/null", "accept"),
        ("cat >/dev/null; echo '{\"other\": true}'", "does not say"),
        ("cat >/dev/null; echo nonsense", "accept"),
        ("cat /dev/zero", "more than"),
        ("exec sleep 30", "no answer within 2 s"),
    ],
)
def test_useless_answer_names_the_worker(text: str, why: str) -> None:
    """No answer, a wrong one, an endless one, or none in time: a ConnectionLostError that names the worker and why."""
    with lying(text) as (remote, machine), pytest.raises(ConnectionLostError, match=rf"w0 \(host0\): .*{why}"):
        remote.start(machine, remote_worlds.phase("true"))


@pytest.mark.parametrize(
    "text", ["cat /dev/zero", "yes", "exec sleep 30", "printf 'F {}\\n'", saying(b"F " + b"[" * 9000)]
)
def test_hostile_courier_ends_in_an_error(text: str, tmp_path: Path) -> None:
    """Whatever a courier sends instead of files, get raises ConnectionLostError and leaves no file."""
    with lying(text) as (remote, machine), pytest.raises(ConnectionLostError, match="w0"):
        remote.get(machine, ["**"], caps=Caps(), into=str(tmp_path))
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_all_workers_in_trouble_are_named() -> None:
    """One error names every worker that failed, but not a hundred of them."""
    with lying("exit 9", workers=7) as (remote, machine), pytest.raises(ConnectionLostError) as caught:
        remote.prepare(machine)
    assert "w0 (host0)" in str(caught.value)
    assert "w4 (host4)" in str(caught.value)
    assert "and 2 more" in str(caught.value)


def test_missing_program_is_a_configuration_error() -> None:
    """When this computer lacks the program that a transport needs, the error says which to install."""
    with pytest.raises(ConfigurationError, match="no-such-program"):
        asyncio.run(transport.spawn(["no-such-program"], stdin=asyncio.subprocess.DEVNULL))


def test_cancelling_interrupts_a_wait() -> None:
    """An exception that a signal handler raises comes out of a waiting call at once, and closing cleans up."""

    def cancel(number: int, frame: FrameType | None) -> None:
        raise CancelledError("asked to stop")

    earlier = signal.signal(signal.SIGALRM, cancel)
    try:
        with lying("exec sleep 30") as (remote, machine):
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            begun = time.monotonic()
            with pytest.raises(CancelledError):
                remote.prepare(machine)
            assert time.monotonic() - begun < 1.5
    finally:
        signal.signal(signal.SIGALRM, earlier)


def test_package_is_streamed_from_the_file(tmp_path: Path) -> None:
    """Every worker reads the whole package, from its beginning, by itself."""
    package = tmp_path / "package"
    package.write_bytes(os.urandom(300_000))
    (tmp_path / "got").mkdir()
    text = f"cat > {shlex.quote(str(tmp_path))}/got/$$; echo '{{\"ok\": true}}'"
    with lying(text, workers=3) as (remote, machine):
        remote.put(machine, Package(path=str(package), kind="tar", sha=None, size_bytes=300_000))
    assert [path.read_bytes() for path in (tmp_path / "got").iterdir()] == [package.read_bytes()] * 3


def test_our_files_are_what_runs_there() -> None:
    """The supervisor, the courier and the pytest plugin are sent; the keeper of local machines is not."""
    files = supervised.our_files()
    assert {"supervisor.py", "courier.py", "plugin/accel_ci_pytest.py"} <= files.keys()
    assert any(name.startswith("plugin/accel_ci_pytest-") for name in files)
    assert "keeper.py" not in files
    assert all(text for text in files.values())


def test_start_spec_says_all_that_the_supervisor_needs() -> None:
    """The spec is the phase, and where it runs."""
    machine = remote_worlds.machine("m", (Worker(index=0, address="a"), Worker(index=1, address="b")))
    phase = remote_worlds.phase("true", environment={"A": "b"})
    spec = json.loads(supervised.start_spec(machine, machine.workers[1], phase))
    assert spec["version"] == 1
    assert (spec["machine"], spec["worker"], spec["workers"]) == ("m", 1, 2)
    assert (spec["phase"], spec["command"]) == ("run", "true")
    assert spec["environment"] == {"NNODES": "2", "NODE_RANK": "1", "A": "b"}
    assert (spec["key"], spec["nonce"], spec["limit_s"]) == (phase.key, phase.nonce, 60.0)
    assert spec["lease_expires_at"] == phase.lease_expires_at and abs(spec["sent_at"] - time.time()) < 60


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Recording(LocalExec):
    """The transport to this computer, which remembers the program of each command."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        super().__init__(environment)
        self.programs: list[str] = []

    async def open(self, machine: Machine, worker: Worker, argv: Sequence[str], *, stdin: Stdin) -> Session:
        self.programs.append(argv[0])
        return await super().open(machine, worker, argv, stdin=stdin)


def test_the_python_that_prepare_found_runs_the_rest(tmp_path: Path) -> None:
    """`python3` is looked up once: where it is a version manager's script, that costs more than what it runs."""
    over = Recording({"PATH": os.environ["PATH"]})
    with SupervisedRemote(over, DEADLINES) as remote:
        machine = remote_worlds.machine("m", [Worker(index=0, address=str(tmp_path))])
        remote.prepare(machine)
        (tmp_path / "source").mkdir()
        assert remote.get(machine, ["*"], caps=Caps(), into=str(tmp_path / "got")) == []
    assert over.programs == ["python3", sys.executable]


@pytest.mark.parametrize("python", ["", "rm", "-c", "~/python"])
def test_a_machine_cannot_choose_what_runs_here(tmp_path: Path, python: str) -> None:
    """A path is all that prepare takes from a machine; with anything else `python3` stays what is asked for there."""
    over = Recording({"PATH": os.environ["PATH"]})
    with SupervisedRemote(over, DEADLINES) as remote:
        machine = remote_worlds.machine("m", [Worker(index=0, address=str(tmp_path))])
        remote._pythons[machine.handle, 0] = python
        with contextlib.suppress(CloudError):
            remote.get(machine, ["*"], caps=Caps(), into=str(tmp_path / "got"))
    assert over.programs == ["python3"]


def test_a_command_on_all_workers_gives_every_exit_code(tmp_path: Path) -> None:
    """Output and errors of each worker arrive with its index, stdin is empty, and the command begins where the code is."""
    places = [tmp_path / f"w{index}" for index in range(2)]
    for place in places:
        (place / "source").mkdir(parents=True)
    (places[1] / "source/only-here").touch()
    heard: dict[int, bytes] = {0: b"", 1: b""}

    def deliver(worker: int, data: bytes) -> None:
        heard[worker] += data

    listed = [Worker(index=index, address=str(place)) for index, place in enumerate(places)]
    machine = remote_worlds.machine("m", listed)
    with SupervisedRemote(LocalExec({"PATH": os.environ["PATH"]}), DEADLINES) as remote:
        command = "ls only-here; code=$?; cat; echo done; exit $code"
        codes = remote.broadcast(machine, listed, command, deliver=deliver)
    assert codes[0] != 0 and codes[1] == 0
    assert b"only-here" in heard[0] and b"done\n" in heard[0] and heard[1] == b"only-here\ndone\n"


def test_a_worker_that_is_lost_while_all_are_told(tmp_path: Path) -> None:
    """The others' output has come when the lost worker is named."""
    (tmp_path / "w0").mkdir()
    heard: list[bytes] = []
    listed = [Worker(index=0, address=str(tmp_path / "w0")), Worker(index=1, address=str(tmp_path / "gone"))]
    machine = remote_worlds.machine("m", listed)
    with (
        SupervisedRemote(LocalExec({"PATH": os.environ["PATH"]}), DEADLINES) as remote,
        pytest.raises(ConnectionLostError, match="w1"),
    ):
        remote.broadcast(machine, listed, "echo here", deliver=lambda worker, data: heard.append(data))
    assert b"".join(heard) == b"here\n"
