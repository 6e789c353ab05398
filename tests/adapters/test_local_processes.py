"""A local machine's processes: all of its own are ended politely, and nobody else's."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from accel_ci.adapters.local import LocalMachines
from accel_ci.domain import lease
from accel_ci.domain.errors import BootError, TransientError
from accel_ci.domain.lease import Owner
from accel_ci.domain.machine import Creation, State
from tests.adapters import local_machines
from tests.adapters.local_machines import ALL, KEY, Start


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state directory that does not exist yet."""
    return tmp_path / "state"


@pytest.fixture
def machines(state: Path) -> Iterator[LocalMachines]:
    """The backend, empty."""
    with local_machines.opened(state) as opened:
        yield opened


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a command on a machine."""
    with local_machines.commands() as start:
        yield start


def test_release_ends_the_processes(machines: LocalMachines, start: Start) -> None:
    """A release ends the command and its children, those included that hid their environment."""
    machine = local_machines.create(machines)
    process = start(machine, "env -i setsid sleep 600 & (sleep 600 & echo up; sleep 600); :")
    family = local_machines.family(process.pid)
    assert len(family) >= 3
    machines.release(machine.handle)
    assert machines.released(machine.handle)
    assert not any(map(local_machines.lives, family))
    assert process.wait() == -signal.SIGTERM


def test_the_end_is_polite(machines: LocalMachines, start: Start, tmp_path: Path) -> None:
    """A process gets TERM and the time to say goodbye, and its directory is there until it did."""
    machine = local_machines.create(machines)
    goodbye = f"sleep 0.3; pwd -P > {tmp_path}/goodbye; ls >> {tmp_path}/goodbye; exit 7"
    process = start(machine, f"touch file; trap '{goodbye}' TERM; echo up; while :; do sleep 0.05; done")
    machines.release(machine.handle)
    assert process.wait() == 7
    assert (tmp_path / "goodbye").read_text() == f"{machine.workers[0].address}\nfile\n"
    local_machines.soon(lambda: machines.released(machine.handle))


def test_who_ignores_term(machines: LocalMachines, start: Start) -> None:
    """A release does not wait for a stubborn process: it returns, says RELEASING, and KILL comes after the grace."""
    machine = local_machines.create(machines)
    process = start(machine, "trap '' TERM; echo up; while :; do sleep 0.05; done")
    machines.release(machine.handle)
    assert local_machines.lives(process.pid)
    assert not machines.released(machine.handle)
    assert [each.state for each in machines.list_owned(ALL)] == [State.RELEASING]
    with pytest.raises(TransientError):
        local_machines.create_again(machines, machine)
    with pytest.raises(BootError):
        machines.poll(Creation(handle=machine.handle, stage=""))
    machines.release(machine.handle)
    assert process.wait(timeout=60) == -signal.SIGKILL
    local_machines.soon(lambda: machines.released(machine.handle))


def test_expiry_ends_the_processes(machines: LocalMachines, start: Start) -> None:
    """When the lease is over, processes and directory go, though nobody asks."""
    machine = local_machines.create(machines, seconds=2)
    process = start(machine, "echo up; exec sleep 600")
    assert process.wait(timeout=60) == -signal.SIGTERM
    assert time.time() >= int(machine.labels["accel-ci-expires"])
    local_machines.soon(lambda: machines.released(machine.handle))
    assert machines.interruption(machine.handle) == "lifetime limit reached"


def test_killed_keeper(machines: LocalMachines, start: Start) -> None:
    """Without its keeper a machine outlives its lease, but still lists with its expiry, and a release ends it."""
    machine = local_machines.create(machines, seconds=2)
    process = start(machine, "echo up; exec sleep 600")
    for keeper in local_machines.keepers(local_machines.where(machine)):
        os.kill(keeper, signal.SIGKILL)
    local_machines.soon(lambda: time.time() > int(machine.labels["accel-ci-expires"]) + 1)
    (left,) = machines.list_owned(Owner(repository_id=1))
    assert lease.expires_at(left.labels) == int(machine.labels["accel-ci-expires"])
    machines.release(left.handle)
    assert machines.released(left.handle)
    assert process.wait() == -signal.SIGTERM


def test_directory_removed_by_hand(machines: LocalMachines, start: Start) -> None:
    """When somebody deletes the directory, the keeper ends what would run on unseen, and leaves."""
    machine = local_machines.create(machines)
    process = start(machine, "echo up; exec sleep 600")
    for path in sorted(local_machines.where(machine).rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    local_machines.where(machine).rmdir()
    assert process.wait(timeout=60) == -signal.SIGTERM
    local_machines.soon(lambda: not local_machines.keepers(local_machines.where(machine)))


def test_process_without_directory(machines: LocalMachines, start: Start) -> None:
    """A machine with a living process does not count as released, though its directory is gone; release ends it."""
    machine = local_machines.create(machines)
    machines.release(machine.handle)
    Path(machine.workers[0].address).mkdir(parents=True)
    process = start(machine, "echo up; exec sleep 600")
    Path(machine.workers[0].address).rmdir()
    local_machines.where(machine).rmdir()
    assert not machines.released(machine.handle)
    machines.release(machine.handle)
    assert machines.released(machine.handle)
    assert process.wait() == -signal.SIGTERM


def test_others_are_left_alone(machines: LocalMachines, start: Start, tmp_path: Path) -> None:
    """A machine of the same name in another state directory, and one with a longer name, keep their processes."""
    elsewhere = LocalMachines(str(tmp_path / "elsewhere"))
    machine, twin = local_machines.create(machines), local_machines.create(elsewhere)
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
    machine = local_machines.create(machines)
    assert machine.workers[0].address == str(tmp_path / "real" / "machines" / KEY.name / "worker-0")
    process = start(machine, "echo up; exec sleep 600")
    machines.release(machine.handle)
    assert process.wait() == -signal.SIGTERM
    assert machines.released(machine.handle)


def test_release_command_works(machines: LocalMachines, start: Start) -> None:
    """The command for a person's own hands ends the machine, from any directory and without our environment."""
    machine = local_machines.create(machines)
    process = start(machine, "echo up; exec sleep 600")
    subprocess.run(["sh", "-c", machines.release_command(machine.handle)], check=True, cwd="/", env={})
    assert machines.released(machine.handle)
    assert process.wait() == -signal.SIGTERM


def test_release_survives_the_client(machines: LocalMachines, start: Start) -> None:
    """A release that was asked for is finished though the asking process group is killed right after."""
    machine = local_machines.create(machines)
    process = start(machine, "trap '' TERM; echo up; while :; do sleep 0.05; done")
    command = shlex.split(machines.release_command(machine.handle))
    with subprocess.Popen(command, start_new_session=True) as client:
        local_machines.soon(lambda: [each.state for each in machines.list_owned(ALL)] == [State.RELEASING])
        os.killpg(client.pid, signal.SIGKILL)
    assert process.wait(timeout=60) == -signal.SIGKILL
    local_machines.soon(lambda: machines.released(machine.handle))
