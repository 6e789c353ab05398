"""Machines on this computer: the lease is enforced, nothing is left running, nothing else is touched."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from accel_ci.adapters.local import LocalMachines
from accel_ci.domain import lease
from accel_ci.domain.errors import BootError, CloudError, ConfigurationError, TransientError
from accel_ci.domain.lease import Lease, Owner
from accel_ci.domain.machine import Creation, Machine, MachineSpec, State
from accel_ci.domain.runkey import RunKey

KEY = RunKey(repository_id=1, repository="org/repo", run_id=42, job="local")
SPEC = MachineSpec(backend="local", accelerator="local")
ALL = Owner(repository_id=1, run_prefix=KEY.run_prefix)
HANDLE = f"local://{KEY.name}"
HOSTILE = ["", ".", "..", "../x", "a/b", "/etc", "A", "a b", "a\n", "-a", "a" * 64, "ä", ".new-x", "a\0"]
Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state directory that does not exist yet."""
    return tmp_path / "state"


@pytest.fixture
def machines(state: Path) -> Iterator[LocalMachines]:
    """The backend; its machines are ended after the test."""
    local = LocalMachines(str(state))
    yield local
    for name in os.listdir(state / "machines") if (state / "machines").exists() else []:
        try:
            local.release(f"local://{name}")
        except (CloudError, ConfigurationError):
            pass


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a shell script as a machine's command would be; every one is reaped after the test."""
    started: list[subprocess.Popen[bytes]] = []

    def begin(machine: Machine, script: str, **environment: str) -> subprocess.Popen[bytes]:
        place = machine.workers[0].address
        marks = {"ACCEL_CI_MACHINE": machine.name, "ACCEL_CI_RESULTS": f"{place}/results", "PATH": os.defpath}
        process = subprocess.Popen(
            ["bash", "-c", script],
            cwd=place,
            env=marks | environment,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        return process

    yield begin
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def _create(machines: LocalMachines, seconds: float = 600, key: RunKey = KEY, spec: MachineSpec = SPEC) -> Machine:
    wanted = Lease(key=key, expires_at=int(time.time() + seconds))
    creation = machines.begin_create(spec, wanted, machines.candidates(spec)[0], public_key="")
    assert creation.machine is not None
    return creation.machine


def _soon(true: Callable[[], bool], limit_s: float = 20.0) -> None:
    deadline = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def _keepers(directory: Path) -> list[int]:
    """The keepers that watch a machine now."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            argv = Path(f"/proc/{name}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"keep" in argv and os.fsencode(directory) in argv:
            found.append(int(name))
    return found


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def _where(machine: Machine) -> Path:
    return Path(machine.workers[0].address).parent


def test_workers_are_directories(machines: LocalMachines, state: Path) -> None:
    """Four workers are four private, empty directories of the machine's."""
    machine = _create(machines, spec=replace(SPEC, accelerator="local-4", workers=4))
    places = [Path(worker.address) for worker in machine.workers]
    assert places == [state / "machines" / KEY.name / f"worker-{index}" for index in range(4)]
    assert all(place.is_dir() and not os.listdir(place) and place.stat().st_mode & 0o777 == 0o700 for place in places)
    assert state.stat().st_mode & 0o777 in (0o700, 0o755)
    assert (state / "machines").stat().st_mode & 0o777 == 0o700
    document = json.loads((state / "machines" / KEY.name / "machine.json").read_text())
    assert (document["labels"], document["workers"]) == (dict(machine.labels), 4)


@pytest.mark.parametrize(
    ("accelerator", "workers"), [("v6e-1", 1), ("local-0", 1), ("local-100", 1), ("local", 0), ("local", 65), ("", 1)]
)
def test_unknown_accelerators(machines: LocalMachines, state: Path, accelerator: str, workers: int) -> None:
    """What this computer cannot be is refused before anything is made."""
    with pytest.raises(ConfigurationError, match="this computer has no accelerator"):
        _create(machines, spec=replace(SPEC, accelerator=accelerator, workers=workers))
    assert not state.exists()


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names(machines: LocalMachines, state: Path, name: str) -> None:
    """No handle leads out of the state directory, whatever is done with it."""
    victim = state / "victim"
    victim.mkdir(parents=True)
    handle = f"local://{name}"
    for use in (machines.release, machines.released, machines.release_command, machines.interruption):
        with pytest.raises(ConfigurationError):
            use(handle)
    with pytest.raises(ConfigurationError):
        machines.annotate(handle, "accel-ci-keep-until", "1")
    with pytest.raises(ConfigurationError):
        machines.poll(Creation(handle=handle, stage=""))
    assert victim.is_dir()


@pytest.mark.parametrize("handle", ["gce://project/zone/x", KEY.name, "", "local:x", f"tpu://{KEY.name}"])
def test_handles_of_other_backends(machines: LocalMachines, handle: str) -> None:
    """A handle of another backend is refused."""
    with pytest.raises(ConfigurationError, match="not a handle"):
        machines.release(handle)


@pytest.mark.parametrize(
    ("name", "value"), [("../x", "1"), ("a/b", "1"), ("A", "1"), ("a", "1\n2"), ("a", "x" * 64), ("", "1")]
)
def test_hostile_labels(machines: LocalMachines, name: str, value: str) -> None:
    """A label that no cloud would take is refused, and none leads to another file."""
    machine = _create(machines)
    with pytest.raises(ConfigurationError, match="not a label"):
        machines.annotate(machine.handle, name, value)
    assert _create_again(machines, machine) == machine


def _create_again(machines: LocalMachines, machine: Machine) -> Machine:
    expires_at = int(machine.labels["accel-ci-expires"])
    candidate = machines.candidates(SPEC)[0]
    creation = machines.begin_create(SPEC, Lease(key=KEY, expires_at=expires_at), candidate, public_key="")
    assert creation.machine is not None
    return creation.machine


def test_one_keeper(machines: LocalMachines) -> None:
    """However often a creation is repeated, one keeper watches; it knows nothing of our environment."""
    machine = _create(machines)
    for _ in range(3):
        _create_again(machines, machine)
    (keeper,) = _keepers(_where(machine))
    assert Path(f"/proc/{keeper}/environ").read_bytes() == b""
    assert os.getsid(keeper) != os.getsid(0)


def test_the_keeper_leaves_with_the_machine(machines: LocalMachines) -> None:
    """After a release nothing of us is left: no directory, no keeper."""
    machine = _create(machines)
    machines.release(machine.handle)
    assert machines.released(machine.handle)
    _soon(lambda: not _keepers(_where(machine)), limit_s=5)
    assert os.listdir(_where(machine).parent) == []


def test_release_ends_the_processes(machines: LocalMachines, start: Start) -> None:
    """A release ends the command and its children, those included that hid their environment."""
    machine = _create(machines)
    process = start(machine, "env -i setsid sleep 600 & (sleep 600 & echo up; sleep 600); :")
    family = _family(process.pid)
    assert len(family) >= 3
    machines.release(machine.handle)
    assert machines.released(machine.handle)
    assert not any(map(_lives, family))
    assert process.wait() == -signal.SIGTERM


def _family(pid: int) -> set[int]:
    family = {pid}
    for _ in range(5):
        for name in filter(str.isdigit, os.listdir("/proc")):
            try:
                parent = int(Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            if parent in family:
                family.add(int(name))
    return family


def test_the_end_is_polite(machines: LocalMachines, start: Start, tmp_path: Path) -> None:
    """A process gets TERM and the time to say goodbye, and its directory is there until it did."""
    machine = _create(machines)
    goodbye = f"sleep 0.3; pwd -P > {tmp_path}/goodbye; ls >> {tmp_path}/goodbye; exit 7"
    process = start(machine, f"touch file; trap '{goodbye}' TERM; echo up; while :; do sleep 0.05; done")
    machines.release(machine.handle)
    assert process.wait() == 7
    assert (tmp_path / "goodbye").read_text() == f"{machine.workers[0].address}\nfile\n"
    _soon(lambda: machines.released(machine.handle))


def test_who_ignores_term(machines: LocalMachines, start: Start) -> None:
    """A release does not wait for a stubborn process: it returns, says RELEASING, and KILL comes after the grace."""
    machine = _create(machines)
    process = start(machine, "trap '' TERM; echo up; while :; do sleep 0.05; done")
    machines.release(machine.handle)
    assert _lives(process.pid)
    assert not machines.released(machine.handle)
    assert [each.state for each in machines.list_owned(ALL)] == [State.RELEASING]
    with pytest.raises(TransientError):
        _create_again(machines, machine)
    with pytest.raises(BootError):
        machines.poll(Creation(handle=machine.handle, stage=""))
    machines.release(machine.handle)
    assert process.wait(timeout=20) == -signal.SIGKILL
    _soon(lambda: machines.released(machine.handle))


def test_expiry_ends_the_processes(machines: LocalMachines, start: Start) -> None:
    """When the lease is over, processes and directory go, though nobody asks."""
    machine = _create(machines, seconds=2)
    process = start(machine, "echo up; exec sleep 600")
    assert process.wait(timeout=20) == -signal.SIGTERM
    assert time.time() >= int(machine.labels["accel-ci-expires"])
    _soon(lambda: machines.released(machine.handle))
    assert machines.interruption(machine.handle) == "lifetime limit reached"


def test_a_lease_that_was_over_before(machines: LocalMachines) -> None:
    """A machine whose lease is over when it is made does not stay, and polling it says why."""
    try:
        _create(machines, seconds=-5)
    except BootError:
        pass
    _soon(lambda: machines.released(HANDLE))
    with pytest.raises(BootError, match="lifetime limit reached"):
        machines.poll(Creation(handle=HANDLE, stage=""))


def test_a_new_machine_has_no_past(machines: LocalMachines) -> None:
    """A machine that is made anew under an expired one's name does not count as interrupted."""
    _create(machines, seconds=1)
    _soon(lambda: machines.released(HANDLE))
    assert machines.interruption(HANDLE)
    _create(machines)
    assert machines.interruption(HANDLE) == ""


def test_killed_keeper(machines: LocalMachines, start: Start) -> None:
    """Without its keeper a machine outlives its lease, but still lists with its expiry, and a release ends it."""
    machine = _create(machines, seconds=2)
    process = start(machine, "echo up; exec sleep 600")
    for keeper in _keepers(_where(machine)):
        os.kill(keeper, signal.SIGKILL)
    _soon(lambda: time.time() > int(machine.labels["accel-ci-expires"]) + 1)
    (left,) = machines.list_owned(Owner(repository_id=1))
    assert lease.expires_at(left.labels) == int(machine.labels["accel-ci-expires"])
    machines.release(left.handle)
    assert machines.released(left.handle)
    assert process.wait() == -signal.SIGTERM


def test_adoption_brings_the_keeper_back(machines: LocalMachines) -> None:
    """Asking again for a machine whose keeper was killed gives it a new one."""
    machine = _create(machines)
    (keeper,) = _keepers(_where(machine))
    os.kill(keeper, signal.SIGKILL)
    _soon(lambda: not _keepers(_where(machine)))
    _create_again(machines, machine)
    assert len(_keepers(_where(machine))) == 1


def test_directory_removed_by_hand(machines: LocalMachines, start: Start) -> None:
    """When somebody deletes the directory, the keeper ends what would run on unseen, and leaves."""
    machine = _create(machines)
    process = start(machine, "echo up; exec sleep 600")
    for path in sorted(_where(machine).rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    _where(machine).rmdir()
    assert process.wait(timeout=20) == -signal.SIGTERM
    _soon(lambda: not _keepers(_where(machine)))


def test_process_without_directory(machines: LocalMachines, start: Start) -> None:
    """A machine with a living process does not count as released, though its directory is gone; release ends it."""
    machine = _create(machines)
    machines.release(machine.handle)
    Path(machine.workers[0].address).mkdir(parents=True)
    process = start(machine, "echo up; exec sleep 600")
    Path(machine.workers[0].address).rmdir()
    _where(machine).rmdir()
    assert not machines.released(machine.handle)
    machines.release(machine.handle)
    assert machines.released(machine.handle)
    assert process.wait() == -signal.SIGTERM


def test_others_are_left_alone(machines: LocalMachines, start: Start, tmp_path: Path) -> None:
    """A machine of the same name in another state directory, and one with a longer name, keep their processes."""
    elsewhere = LocalMachines(str(tmp_path / "elsewhere"))
    machine, twin = _create(machines), _create(elsewhere)
    spared = [
        start(twin, "echo up; exec sleep 600"),
        start(twin, "echo up; exec sleep 600", ACCEL_CI_MACHINE=f"{KEY.name}-longer"),
    ]
    ended = start(machine, "echo up; exec sleep 600")
    machines.release(machine.handle)
    assert ended.wait() == -signal.SIGTERM
    assert [process.poll() for process in spared] == [None, None]
    assert machines.released(machine.handle)
    elsewhere.release(twin.handle)


def test_linked_state_directory(tmp_path: Path, start: Start) -> None:
    """A state directory that is reached through a link works: marks and paths agree."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    machines = LocalMachines(str(tmp_path / "link"))
    machine = _create(machines)
    assert machine.workers[0].address == str(tmp_path / "real" / "machines" / KEY.name / "worker-0")
    process = start(machine, "echo up; exec sleep 600")
    machines.release(machine.handle)
    assert process.wait() == -signal.SIGTERM
    assert machines.released(machine.handle)


def test_hostile_trees_are_removed(machines: LocalMachines, start: Start) -> None:
    """What a command leaves goes, however deep, odd, closed or linked it is; what a link points to stays."""
    machine = _create(machines)
    deep = f'{sys.executable} -c \'import os; [(os.mkdir("d"), os.chdir("d")) for _ in range(1500)]\''
    odd = r"ln -s / root; ln -s ../../.. up; mkfifo pipe; touch $'new\nline' $'\xff\xfe' -- -rf"
    closed = "mkdir closed; touch closed/file; chmod 000 closed; mkdir -p many/{a,b}/{c,d}/{e,f}; chmod 555 many/a"
    start(machine, f"{deep}; {odd}; {closed}; echo up").wait()
    machines.release(machine.handle)
    _soon(lambda: machines.released(machine.handle))
    assert Path("/etc").is_dir()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"labels": 1}',
        b'{"labels": {}, "workers": "x", "accelerator": ""}',
        b"\xff",
        b"[" * 60000,
    ],
)
def test_destroyed_document(machines: LocalMachines, content: bytes) -> None:
    """A machine.json that the code under test destroyed hides no machine from its run, and stops no release."""
    machine = _create(machines)
    (_where(machine) / "machine.json").write_bytes(content)
    (found,) = machines.list_owned(lease.of_run(KEY))
    assert (found.handle, found.state, found.workers) == (machine.handle, State.FAILED, ())
    with pytest.raises(ConfigurationError, match="another lease"):
        _create_again(machines, machine)
    machines.release(machine.handle)
    assert machines.released(machine.handle)


def test_absurd_number_of_workers(machines: LocalMachines) -> None:
    """A machine.json with a billion workers does not fill our memory."""
    machine = _create(machines)
    document = _where(machine) / "machine.json"
    document.write_text(json.dumps({**json.loads(document.read_text()), "workers": 10**9}))
    (found,) = machines.list_owned(ALL)
    assert len(found.workers) == 64


def test_hostile_annotations(machines: LocalMachines) -> None:
    """Files that a command puts among the annotations are labels only when they look like labels."""
    machine = _create(machines)
    annotations = _where(machine) / "annotations"
    (annotations / "Not-A-Label").write_text("1")
    (annotations / "long").write_text("x" * 100)
    (annotations / "binary").write_bytes(b"\xff")
    (annotations / "folder").mkdir()
    (annotations / "fine").write_text("1")
    (found,) = machines.list_owned(ALL)
    assert dict(found.labels) == {**machine.labels, "fine": "1"}


def test_planted_link(machines: LocalMachines, state: Path, tmp_path: Path) -> None:
    """A link that bears a machine's name is no machine, and a release does not follow it."""
    victim = tmp_path / "victim"
    (victim / "worker-0").mkdir(parents=True)
    (state / "machines").mkdir(parents=True)
    (state / "machines" / KEY.name).symlink_to(victim)
    assert machines.list_owned(ALL) == machines.find(KEY, ()) == []
    with pytest.raises(CloudError):
        machines.release(HANDLE)
    assert (victim / "worker-0").is_dir()
    (state / "machines" / KEY.name).unlink()


def test_other_files_are_no_machines(machines: LocalMachines, state: Path) -> None:
    """Files and half-made machines beside the machines are never listed."""
    machine = _create(machines)
    (state / "machines" / "accel-file").write_text("x")
    (state / "machines" / ".new-half").mkdir()
    assert [each.name for each in machines.list_owned(ALL)] == [machine.name]


def test_leftovers_of_crashed_creations_go(machines: LocalMachines, state: Path) -> None:
    """What a creation left that crashed an hour ago goes with the next creation; a fresh one is somebody's work."""
    for name, age_s in (("old", 3600), ("fresh", 1)):
        half = state / "machines" / f".new-{name}"
        half.mkdir(parents=True)
        os.utime(half, (time.time() - age_s, time.time() - age_s))
    _create(machines)
    assert sorted(os.listdir(state / "machines")) == [".new-fresh", KEY.name]
    (state / "machines" / ".new-fresh").rmdir()


def test_two_creations_at_once(machines: LocalMachines) -> None:
    """Of many equal creations at once all get the one machine, which has one keeper."""
    expires_at = int(time.time() + 600)
    together = threading.Barrier(6)

    def create(_: int) -> Machine | None:
        together.wait()
        candidate = machines.candidates(SPEC)[0]
        return machines.begin_create(SPEC, Lease(key=KEY, expires_at=expires_at), candidate, public_key="").machine

    with ThreadPoolExecutor(6) as pool:
        made = list(pool.map(create, range(6)))
    assert made[0] is not None
    assert made == [made[0]] * 6
    assert len(_keepers(_where(made[0]))) == 1
    assert os.listdir(_where(made[0]).parent) == [KEY.name]


def test_two_leases_at_once(machines: LocalMachines) -> None:
    """Of different leases for one name at once exactly one wins, and the others are told."""
    together = threading.Barrier(6)

    def create(number: int) -> bool:
        together.wait()
        try:
            _create(machines, seconds=600 + number)
        except ConfigurationError:
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(create, range(6))) == 1
    assert len(machines.list_owned(ALL)) == 1


def test_creation_against_release(machines: LocalMachines, state: Path) -> None:
    """Creating and releasing one name at once ends in a whole machine or in none, never in a part of one."""
    expires_at = int(time.time() + 600)

    def create(_: int) -> None:
        try:
            candidate = machines.candidates(SPEC)[0]
            machines.begin_create(SPEC, Lease(key=KEY, expires_at=expires_at), candidate, public_key="")
        except CloudError:
            pass

    with ThreadPoolExecutor(2) as pool:
        for _ in range(12):
            list(pool.map(lambda act: act(0), (create, lambda _: machines.release(HANDLE))))
            for left in machines.list_owned(ALL):
                assert left.state is State.READY
                assert len(_keepers(_where(left))) == 1
    machines.release(HANDLE)
    assert machines.released(HANDLE)
    assert os.listdir(state / "machines") == []


def test_release_command_works(machines: LocalMachines, start: Start) -> None:
    """The command for a person's own hands ends the machine, from any directory and without our environment."""
    machine = _create(machines)
    process = start(machine, "echo up; exec sleep 600")
    subprocess.run(["sh", "-c", machines.release_command(machine.handle)], check=True, cwd="/", env={})
    assert machines.released(machine.handle)
    assert process.wait() == -signal.SIGTERM


def test_release_survives_the_client(machines: LocalMachines, start: Start) -> None:
    """A release that was asked for is finished though the asking process group is killed right after."""
    machine = _create(machines)
    process = start(machine, "trap '' TERM; echo up; while :; do sleep 0.05; done")
    command = shlex.split(machines.release_command(machine.handle))
    with subprocess.Popen(command, start_new_session=True) as client:
        _soon(lambda: [each.state for each in machines.list_owned(ALL)] == [State.RELEASING])
        os.killpg(client.pid, signal.SIGKILL)
    assert process.wait(timeout=20) == -signal.SIGKILL
    _soon(lambda: machines.released(machine.handle))
