"""What every Remote must do: the fake, this computer, OpenSSH to OpenSSH, OpenSSH to asyncssh."""

from __future__ import annotations

import contextlib
import hashlib
import io
import itertools
import os
import pickle
import random
import shlex
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import pytest

from accel_ci.adapters.supervised import Deadlines, SupervisedRemote
from accel_ci.domain.errors import CloudError, ConnectionLostError
from accel_ci.domain.machine import Machine
from accel_ci.domain.verdict import EndRecord, Reason
from accel_ci.domain.workload import Caps, Package, Phase
from accel_ci.ports.remote import Base, Beat, Ended, Event, Lost, Output, Quiet, Remote
from tests.contracts import remote_worlds as worlds
from tests.contracts.remote_worlds import FakeWorld, LocalWorld, SshWorld
from tests.fakes.remote import Script
from tests.servers import sshd

FAKE, LOCAL = pytest.param("fake"), pytest.param("local")
SSHD = pytest.param("sshd", marks=[pytest.mark.judge("sshd"), pytest.mark.judge("ssh")])
PYTHON_SSH = pytest.param("asyncssh", marks=pytest.mark.judge("ssh"))
everywhere = pytest.mark.parametrize("world", [FAKE, LOCAL, SSHD, PYTHON_SSH], indirect=True)
for_real = pytest.mark.parametrize("world", [LOCAL, SSHD, PYTHON_SSH], indirect=True)
over_ssh = pytest.mark.parametrize("world", [SSHD, PYTHON_SSH], indirect=True)

AnyWorld = FakeWorld | LocalWorld | SshWorld
PYTHON = shlex.quote(sys.executable)
COUNTING = "for i in $(seq 1 300); do echo line $i; sleep 0.005; done"
COUNTED = "".join(f"line {number}\n" for number in range(1, 301)).encode()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], AnyWorld]]:
    """The worlds, each made once, when it is first wanted."""
    kinds: Mapping[str, Callable[[Path], AnyWorld]] = {
        "fake": lambda _: FakeWorld(),
        "local": LocalWorld,
        "sshd": worlds.SshdWorld,
        "asyncssh": worlds.PythonSshWorld,
    }
    by_kind: dict[str, AnyWorld] = {}

    def world(kind: str) -> AnyWorld:
        if kind not in by_kind:
            by_kind[kind] = kinds[kind](tmp_path_factory.mktemp(kind))
        return by_kind[kind]

    yield world
    for each in by_kind.values():
        each.close()


@pytest.fixture
def world(made: Callable[[str], AnyWorld], request: pytest.FixtureRequest) -> AnyWorld:
    """The world that the test is parametrized with."""
    return made(request.param)


@dataclass
class Site:
    """A world's Remote under test, and what tests do with it again and again."""

    world: AnyWorld
    remote: Remote
    directory: Path

    def plan(self, script: Script) -> None:
        """Tell the fake what the phase `run` does; real worlds know it from the command."""
        if isinstance(self.world, FakeWorld):
            self.world.fake.scripts["run"] = script

    def ready(self, workers: int = 1, files: Mapping[str, bytes] | None = None) -> Machine:
        """A prepared machine with the files as its source."""
        machine = self.world.machine(workers)
        self.remote.prepare(machine)
        self.remote.put(machine, tar(self.directory / "source.tar", files or {}))
        if isinstance(self.world, FakeWorld):
            self.world.fake.files = dict(files or {})
        return machine

    def run(self, machine: Machine, phase: Phase) -> Followed:
        """Start the phase and follow it to its end."""
        self.remote.start(machine, phase)
        return self.follow(machine, phase, {worker.index: 0 for worker in machine.workers})

    def follow(
        self,
        machine: Machine,
        phase: Phase,
        offsets: Mapping[int, int],
        until: Callable[[Followed], bool] | None = None,
    ) -> Followed:
        """What happens from these offsets on, to the end or until enough is seen."""
        seen = Followed()
        with contextlib.closing(self.remote.attach(machine, phase, offsets)) as events:
            for event in events:
                seen.take(event)
                if until is not None and until(seen):
                    break
        return seen


@dataclass
class Followed:
    """What an attachment told."""

    output: dict[int, bytearray] = field(default_factory=dict)
    ended: dict[int, Ended] = field(default_factory=dict)
    lost: dict[int, str] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)

    def take(self, event: Event) -> None:
        """Remember the event."""
        match event:
            case Output():
                self.output.setdefault(event.worker, bytearray()).extend(event.data)
            case Ended():
                self.ended[event.worker] = event
            case Lost():
                self.lost[event.worker] = event.reason
            case Beat() | Quiet():
                self.events.append(event)

    def text(self, worker: int = 0) -> bytes:
        """The worker's output."""
        return bytes(self.output.get(worker, b""))

    def record(self, worker: int = 0) -> EndRecord:
        """The worker's end record."""
        record = self.ended[worker].record
        assert record is not None, self.ended[worker].detail
        return record


@pytest.fixture
def site(world: AnyWorld, tmp_path: Path) -> Iterator[Site]:
    """A Remote in the world, closed in the end."""
    remote = world.remote()
    yield Site(world, remote, tmp_path)
    if isinstance(remote, SupervisedRemote):
        remote.close()


def tar(path: Path, files: Mapping[str, bytes]) -> Package:
    """A package with these files."""
    with tarfile.open(path, "w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return Package(path=str(path), kind="tar", sha=None, size_bytes=path.stat().st_size)


def bundle(directory: Path) -> Package:
    """A package with a repository of one commit."""
    settings = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "init.defaultBranch=main"]
    for arguments in (
        ["init", "-q"],
        ["commit", "-q", "--allow-empty", "-m", "one"],
        ["bundle", "create", "-q", "b", "HEAD"],
    ):
        subprocess.run(["git", *settings, *arguments], cwd=directory, check=True)
    sha = subprocess.run(["git", "rev-parse", "HEAD"], cwd=directory, check=True, capture_output=True, text=True).stdout
    path = directory / "b"
    return Package(path=str(path), kind="bundle", sha=sha.strip(), size_bytes=path.stat().st_size)


@everywhere
@pytest.mark.parametrize("code", [0, 7, 255])
def test_exit_code_is_exact(site: Site, code: int) -> None:
    """The end record carries the command's own exit code, also 255, which ssh uses for itself."""
    site.plan(Script(exit_code=code))
    phase = worlds.phase(f"exit {code}")
    record = site.run(site.ready(), phase).record()
    assert (record.reason, record.exit_code, record.signal) == (Reason.EXITED, code, None)
    assert (record.key, record.nonce, record.phase) == (phase.key, phase.nonce, phase.name)


@everywhere
def test_signal_is_told(site: Site) -> None:
    """A command that a signal killed has that signal in its record, and no exit code."""
    site.plan(Script(exit_code=None, signal=signal.SIGKILL))
    record = site.run(site.ready(), worlds.phase("kill -KILL $$")).record()
    assert (record.exit_code, record.signal) == (None, signal.SIGKILL)


@everywhere
def test_binary_output_is_byte_identical(site: Site) -> None:
    """20 MB of arbitrary bytes arrive as they were written, in order, with consecutive offsets."""
    size, expected = 20_000_000, random.Random(1).randbytes(20_000_000)
    site.plan(Script(output=expected))
    command = f"{PYTHON} -c 'import random, sys; sys.stdout.buffer.write(random.Random(1).randbytes({size}))'"
    seen = site.run(site.ready(), worlds.phase(command))
    assert hashlib.sha256(seen.text()).digest() == hashlib.sha256(expected).digest()
    assert seen.record().output_bytes == size


@everywhere
def test_workers_are_kept_apart(site: Site) -> None:
    """Two workers run the same phase, each with its own number, output and exit code."""
    one = Script(output=b"1 of 2\n", exit_code=1)
    site.plan(Script(output=b"0 of 2\n", workers={1: one}))
    phase = worlds.phase("echo $ACCEL_CI_WORKER of $ACCEL_CI_WORKERS; exit $ACCEL_CI_WORKER")
    seen = site.run(site.ready(2), phase)
    assert (seen.text(0), seen.text(1)) == (b"0 of 2\n", b"1 of 2\n")
    assert (seen.record(0).exit_code, seen.record(1).exit_code) == (0, 1)


@everywhere
def test_attaching_goes_on_at_the_offset(site: Site) -> None:
    """An attachment delivers what lies behind its offset, also after the end, and nothing twice."""
    site.plan(Script(output=b"0123456789"))
    machine, phase = site.ready(), worlds.phase("printf 0123456789")
    site.run(machine, phase)
    for offset in (0, 4, 10):
        again = site.follow(machine, phase, {0: offset})
        assert again.text() == b"0123456789"[offset:]
        assert again.record().output_bytes == 10


@everywhere
def test_only_asked_workers_are_attached(site: Site) -> None:
    """An attachment to one worker of two ends with that one."""
    site.plan(Script(output=b"x"))
    machine, phase = site.ready(2), worlds.phase("printf x")
    site.remote.start(machine, phase)
    seen = site.follow(machine, phase, {1: 0})
    assert set(seen.ended) == set(seen.output) == {1}


@everywhere
def test_detaching_leaves_the_command_running(site: Site) -> None:
    """Closing the iterator in the middle ends nothing over there; the rest comes with the next attachment."""
    site.plan(Script(output=[b"one\n", b"two\n"]))
    machine, phase = site.ready(), worlds.phase("echo one; sleep 0.5; echo two")
    site.remote.start(machine, phase)
    first = site.follow(machine, phase, {0: 0}, until=lambda seen: bool(seen.text()))
    rest = site.follow(machine, phase, {0: len(first.text())})
    assert first.text() + rest.text() == b"one\ntwo\n"
    assert rest.record().exit_code == 0


@everywhere
def test_start_is_idempotent(site: Site) -> None:
    """Starting the same phase again, even after its end, runs nothing again."""
    site.plan(Script(output=b"once\n"))
    machine, phase = site.ready(), worlds.phase("echo once | tee -a log")
    site.remote.start(machine, phase)
    site.remote.start(machine, phase)
    assert site.follow(machine, phase, {0: 0}).text() == b"once\n"
    assert site.run(machine, phase).text() == b"once\n"


@everywhere
def test_start_with_another_key_is_refused(site: Site) -> None:
    """A phase that somebody else started is not taken for ours, and the error names the worker."""
    machine, phase = site.ready(), worlds.phase("true")
    site.run(machine, phase)
    with pytest.raises(CloudError, match="w0 refuses") as caught:
        site.remote.start(machine, replace(phase, nonce="6" * 32))
    assert not isinstance(caught.value, ConnectionLostError)


@everywhere
def test_start_needs_prepare(site: Site) -> None:
    """A machine without our files cannot start anything, and the error names the worker."""
    with pytest.raises(ConnectionLostError, match="w0"):
        site.remote.start(site.world.machine(), worlds.phase("true"))


@everywhere
def test_prepare_and_put_are_idempotent(site: Site) -> None:
    """Both may be repeated, as after a lost answer."""
    machine = site.ready(2, {"hello.txt": b"hello"})
    site.remote.prepare(machine)
    site.remote.put(machine, tar(site.directory / "again.tar", {"hello.txt": b"hello"}))
    site.plan(Script(output=b"hello"))
    assert site.run(machine, worlds.phase("cat hello.txt")).text(1) == b"hello"


@everywhere
@pytest.mark.judge("git")
def test_commit_is_proven(site: Site) -> None:
    """A bundle becomes the source at its commit, twice over the same; a package that claims another commit is refused."""
    machine = site.world.machine()
    site.remote.prepare(machine)
    package = bundle(site.directory)
    site.remote.put(machine, package)
    site.remote.put(machine, package)
    site.plan(Script(output=f"{package.sha}\n".encode()))
    assert site.run(machine, worlds.phase("git rev-parse HEAD")).text() == f"{package.sha}\n".encode()
    with pytest.raises(CloudError, match="w0 refuses"):
        site.remote.put(machine, replace(package, sha="0" * 40))


@everywhere
def test_phase_that_never_started_has_no_record(site: Site) -> None:
    """Attaching to a phase that nobody started ends at once, without a record and with a reason."""
    seen = site.follow(site.ready(), worlds.phase("true"), {0: 0})
    assert seen.ended[0].record is None
    assert seen.ended[0].detail


@everywhere
def test_silence_is_told_every_second(site: Site) -> None:
    """While a command says nothing, Quiet comes at least once a second, and Beat shows that its worker lives."""
    site.plan(Script(lasts_s=3))
    seen = site.run(site.ready(), worlds.phase("sleep 2.2"))
    assert sum(isinstance(event, Quiet) for event in seen.events) >= 2
    assert Beat(0) in seen.events


@everywhere
def test_stop_ends_the_phase_as_cancelled(site: Site) -> None:
    """A stopped phase ends with the reason `cancelled`; stopping it again is no error."""
    site.plan(Script(never_ends=True, output=b"ready\n"))
    machine, phase = site.ready(), worlds.phase("echo ready; sleep 60")
    site.remote.start(machine, phase)
    site.follow(machine, phase, {0: 0}, until=lambda seen: bool(seen.text()))
    site.remote.stop(machine, phase, [0])
    assert site.follow(machine, phase, {0: 6}).record().reason is Reason.CANCELLED
    site.remote.stop(machine, phase, [0])


@everywhere
def test_limit_ends_the_phase_as_timed_out(site: Site) -> None:
    """A phase beyond its limit ends by itself with the reason `timed-out`."""
    site.plan(Script(never_ends=True))
    seen = site.run(site.ready(), worlds.phase("sleep 60", limit_s=1))
    assert seen.record().reason is Reason.TIMED_OUT


@everywhere
def test_unreachable_worker_is_named(site: Site) -> None:
    """Of two workers the one that cannot be reached is named, within the deadline, whatever is asked of it."""
    good = site.ready(2)
    nobody = {"fake": "fake1", "local": "/dev/null/nobody"}.get(good.name.split("-")[0], "127.0.0.1")
    lost = replace(good.workers[1], address=nobody, port=sshd.free_port())
    machine = replace(good, workers=(good.workers[0], lost))
    if isinstance(site.world, FakeWorld):
        site.world.fake.unreachable.add(1)
    phase, package = worlds.phase("true"), tar(site.directory / "some.tar", {})
    for ask in (
        lambda: site.remote.prepare(machine),
        lambda: site.remote.put(machine, package),
        lambda: site.remote.start(machine, phase),
        lambda: site.remote.stop(machine, phase, [1]),
        lambda: site.remote.get(machine, ["**"], caps=Caps(), into=str(site.directory / "got")),
    ):
        with pytest.raises(ConnectionLostError, match=r"w1 \(") as caught:
            ask()
        assert "w0" not in str(caught.value)
    assert list(site.follow(machine, phase, {1: 0}).lost) == [1]
    if isinstance(site.world, FakeWorld):
        site.world.fake.unreachable.clear()


@everywhere
def test_files_come_back_by_name(site: Site) -> None:
    """Exactly the files that a pattern names come back from every worker, with true sizes and digests."""
    content = random.Random(2).randbytes(600_000)
    there = {"results/a.xml": b"<a/>", "results/deep/b.bin": content, "results/empty": b"", "other.txt": b"no"}
    machine = site.ready(2, there)
    got = site.remote.get(machine, ["results/**", "nothing/*"], caps=Caps(), into=str(site.directory / "got"))
    expected = {(worker, name) for worker in (0, 1) for name in there if name.startswith("results/")}
    assert {(file.worker, file.name) for file in got} == expected
    for file in got:
        landed = (site.directory / "got" / file.path).read_bytes()
        assert landed == there[file.name]
        assert (file.size_bytes, file.sha256) == (len(landed), hashlib.sha256(landed).hexdigest())
        assert file.path.startswith(f"w{file.worker}/")
        assert not file.refused


@everywhere
def test_single_star_stays_in_its_directory(site: Site) -> None:
    """`*` does not cross directories."""
    machine = site.ready(1, {"a.xml": b"a", "deep/b.xml": b"b"})
    got = site.remote.get(machine, ["*.xml"], caps=Caps(), into=str(site.directory / "got"))
    assert [file.name for file in got] == ["a.xml"]


@everywhere
def test_files_beyond_the_caps_are_refused(site: Site) -> None:
    """A file over the cap is named with the reason, has no path, and its neighbours come back."""
    machine = site.ready(1, {"big": b"x" * 2000, "small": b"x"})
    caps = Caps(file_bytes=1000, total_bytes=10_000, files=10)
    got = {file.name: file for file in site.remote.get(machine, ["*"], caps=caps, into=str(site.directory / "got"))}
    assert got["big"].refused
    assert not got["big"].path
    assert got["small"].size_bytes == 1
    assert len(list((site.directory / "got" / "w0").iterdir())) == 1


@everywhere
def test_getting_twice_replaces_nothing(site: Site) -> None:
    """A second call into the same directory gives its files other names."""
    machine = site.ready(1, {"a": b"1"})
    first, second = (
        site.remote.get(machine, ["a"], caps=Caps(), into=str(site.directory / place)) for place in ("one", "two")
    )
    assert [file.sha256 for file in first] == [file.sha256 for file in second]
    if site.world.real:
        third = site.remote.get(machine, ["a"], caps=Caps(), into=str(site.directory / "one"))
        assert third[0].path != first[0].path


@everywhere
def test_results_directory_can_be_asked(site: Site) -> None:
    """With the base `results`, what the command wrote to $ACCEL_CI_RESULTS comes back."""
    machine = site.ready()
    if isinstance(site.world, FakeWorld):
        site.world.fake.results = {"pytest-1.jsonl": b"{}"}
    site.plan(Script())
    assert site.run(machine, worlds.phase('printf {} > "$ACCEL_CI_RESULTS"/pytest-1.jsonl')).record().exit_code == 0
    into = str(site.directory / "got")
    got = site.remote.get(machine, ["pytest-*.jsonl"], caps=Caps(), into=into, base=Base.RESULTS)
    assert [(file.name, file.size_bytes) for file in got] == [("pytest-1.jsonl", 2)]


@for_real
def test_command_ends_politely(site: Site) -> None:
    """A stopped command gets TERM first, and what it says then still arrives."""
    machine = site.ready()
    phase = worlds.phase("trap 'echo bye; exit 5' TERM; echo ready; while :; do sleep 0.05; done")
    site.remote.start(machine, phase)
    site.follow(machine, phase, {0: 0}, until=lambda seen: bool(seen.text()))
    site.remote.stop(machine, phase, [0])
    seen = site.follow(machine, phase, {0: 6})
    assert seen.text().endswith(b"bye\n")
    assert (seen.record().reason, seen.record().exit_code) == (Reason.CANCELLED, 5)


@for_real
def test_output_beyond_the_limit_is_counted(site: Site) -> None:
    """Output beyond its limit is dropped and counted, and does not disturb the command."""
    seen = site.run(site.ready(), worlds.phase("head -c 100000 /dev/zero; exit 3", output_limit_bytes=1000))
    record = seen.record()
    assert (len(seen.text()), record.output_bytes, record.output_dropped_bytes) == (1000, 1000, 99_000)
    assert record.exit_code == 3


@for_real
def test_command_text_and_environment_arrive_unchanged(site: Site) -> None:
    """No quote, newline, dollar or non-ASCII letter of a command or a variable is changed on the way."""
    value = "a'b\"c $HOME `id`\n\\ü%h"
    phase = worlds.phase("printf '%s|' \"$VALUE\" 'it'\\''s' \"$(printf 'x\ny')\"", environment={"VALUE": value})
    assert site.run(site.ready(), phase).text() == f"{value}|it's|x\ny|".encode()


@for_real
def test_hostile_names_come_back_as_data(site: Site) -> None:
    """Whatever files are called, they land under safe names of ours; links, pipes and sockets do not come."""
    names = [b"-rf", b"new\nline", b'quo"te', "ü".encode(), b"..hidden", b"\xff\xfe", b"x" * 200, b"##[error]a", b"a b"]
    secret = site.directory / "secret"
    secret.write_text("secret")
    making = (
        f"import os\nos.mkdir('h')\nfor name in {names!r}: open(b'h/' + name, 'wb').write(name)\n"
        f"os.symlink({str(secret)!r}, 'h/link')\nos.symlink({str(site.directory)!r}, 'h/directory')\n"
        "os.mkfifo('h/pipe')"
    )
    machine = site.ready()
    assert site.run(machine, worlds.phase(f"{PYTHON} -c {shlex.quote(making)}")).record().exit_code == 0
    into = site.directory / "got"
    got = site.remote.get(machine, ["h/**", "h/.*"], caps=Caps(), into=str(into))
    landed = {file.path: (into / file.path).read_bytes() for file in got if not file.refused}
    assert sorted(landed.values()) == sorted(names)
    assert all(
        set(path) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/") for path in landed
    )
    assert {str(path.relative_to(into)) for path in into.rglob("*") if path.is_file()} == set(landed)
    assert all(file.name.encode() for file in got), "every name can be written down"


@for_real
def test_client_killed_in_the_middle(site: Site, request: pytest.FixtureRequest) -> None:
    """A client that SIGKILL ended is followed by another, which completes the log byte by byte; nothing of it stays."""
    assert not isinstance(site.world, FakeWorld)
    machine, phase, log = site.ready(), worlds.phase(COUNTING), site.directory / "log"
    client = subprocess.Popen([sys.executable, "-m", "tests.contracts.remote_client"], stdin=subprocess.PIPE)
    assert client.stdin is not None
    sockets = tempfile.mkdtemp(prefix="t", dir="/tmp")  # what SIGKILL leaves there goes with it
    request.addfinalizer(lambda: shutil.rmtree(sockets))
    pickle.dump((_recipe(site.world, sockets), machine, phase, str(log)), client.stdin)
    client.stdin.close()
    _await(lambda: log.exists() and log.stat().st_size > 500)
    family = [client.pid, *_descendants(client.pid)]
    client.kill()
    client.wait()
    kept = log.read_bytes()
    assert 500 < len(kept) < len(COUNTED)
    seen = site.follow(machine, phase, {0: len(kept)})
    assert kept + seen.text() == COUNTED
    assert seen.record().exit_code == 0
    _await(lambda: not any(_alive(pid) for pid in family))


@over_ssh
def test_broken_connection_is_lost_and_made_again(site: Site) -> None:
    """A cut connection is Lost at once, names no end, and attaching again goes on at the offset."""
    proxies = cast(SshWorld, site.world).proxies
    machine, phase = site.ready(2), worlds.phase(COUNTING)
    site.remote.start(machine, phase)
    first = Followed()
    with contextlib.closing(site.remote.attach(machine, phase, {0: 0, 1: 0})) as events:
        for event in events:
            first.take(event)
            if not first.lost and len(first.text(0)) > 500:
                proxies[0].cut()
    assert set(first.lost) == {0}
    assert first.text(1) == COUNTED
    rest = site.follow(machine, phase, {0: len(first.text(0))})
    assert first.text(0) + rest.text(0) == COUNTED


@over_ssh
def test_silent_connection_is_lost(site: Site) -> None:
    """A worker that falls silent without a word is Lost after the agreed silence, and a call to it fails in time."""
    world = cast(SshWorld, site.world)
    machine, phase = site.ready(), worlds.phase("echo ready; sleep 20")
    site.remote.start(machine, phase)
    with SupervisedRemote(world.transport(), Deadlines(call_s=1, silence_s=2)) as remote:
        seen = Followed()
        with contextlib.closing(remote.attach(machine, phase, {0: 0})) as events:
            for event in events:
                seen.take(event)
                if isinstance(event, Output):
                    world.proxies[0].freeze()
        assert "no sign of life for 2 s" in seen.lost[0]
        with pytest.raises(ConnectionLostError, match=r"w0 .* no answer within 1 s"):
            remote.stop(machine, phase, [0])
        world.proxies[0].thaw()
    site.remote.stop(machine, phase, [0])
    assert site.follow(machine, phase, {0: 6}).record().reason is Reason.CANCELLED


@over_ssh
def test_wrong_host_key_is_refused(site: Site) -> None:
    """A worker that shows another host key than the pinned one gets nothing, and one without a pin is never dialled."""
    machine, directory = site.world.machine(), site.directory
    other = sshd.host_key(directory / "other")
    for host_keys, why in (((other,), "[Hh]ost key verification failed"), ((), "host key is not known")):
        stranger = replace(machine, workers=(replace(machine.workers[0], host_keys=host_keys),))
        with pytest.raises(ConnectionLostError, match=rf"w0 .*{why}"):
            site.remote.prepare(stranger)
    site.remote.prepare(machine)


@for_real
def test_closing_leaves_no_process(world: AnyWorld, tmp_path: Path) -> None:
    """A closed Remote has no process left on this computer, even when it was closed during an attachment."""
    before = _descendants(os.getpid())
    remote = world.remote()
    site = Site(world, remote, tmp_path)
    machine, phase = site.ready(2 if isinstance(world, SshWorld) else 1), worlds.phase("echo ready; sleep 5")
    remote.start(machine, phase)
    events = remote.attach(machine, phase, {0: 0})
    assert any(isinstance(event, Output) for event in itertools.islice(events, 10))
    assert isinstance(remote, SupervisedRemote)
    remote.close()
    events.close()
    _await(lambda: _descendants(os.getpid()) <= before)
    with world.remote() as again:  # type: ignore[union-attr]
        again.stop(machine, phase, [0])


def _recipe(world: LocalWorld | SshWorld, sockets: str) -> tuple[str, dict[str, str]]:
    if isinstance(world, LocalWorld):
        return "local", dict(worlds.ENVIRONMENT)
    return "ssh", {"key_file": str(world.key_file), "directory": sockets}


def _await(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline, "it did not become true within 20 s"
        time.sleep(0.02)


def _descendants(parent: int) -> set[int]:
    texts = filter(None, map(_stat, Path("/proc").glob("[0-9]*/stat")))
    stats = [text.rsplit(")", 1) for text in texts]
    parents = {int(front.split()[0]): int(rest.split()[1]) for front, rest in stats if rest.split()[0] != "Z"}
    children = {pid for pid, of in parents.items() if of == parent}
    return children | {pid for child in children for pid in _descendants(child)}


def _stat(path: Path) -> str:
    """What the kernel says of a process; "" when it is gone already."""
    try:
        return path.read_text()
    except OSError:
        return ""


def _alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
