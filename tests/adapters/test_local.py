"""Machines on this computer: made whole, leased once, gone with all they were."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from accel_ci.adapters.local import LocalMachines
from accel_ci.domain.errors import BootError, CloudError, ConfigurationError
from accel_ci.domain.machine import Creation, Machine, State
from tests.adapters import local_machines
from tests.adapters.local_machines import ALL, HANDLE, KEY, SPEC


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state directory that does not exist yet."""
    return tmp_path / "state"


@pytest.fixture
def machines(state: Path) -> Iterator[LocalMachines]:
    """The backend, empty."""
    with local_machines.opened(state) as opened:
        yield opened


def test_workers_are_directories(machines: LocalMachines, state: Path) -> None:
    """Four workers are four private, empty directories of the machine's."""
    machine = local_machines.create(machines, spec=replace(SPEC, accelerator="local-4", workers=4))
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
        local_machines.create(machines, spec=replace(SPEC, accelerator=accelerator, workers=workers))
    assert not state.exists()


def test_one_keeper(machines: LocalMachines) -> None:
    """However often a creation is repeated, one keeper watches; it knows nothing of our environment."""
    machine = local_machines.create(machines)
    for _ in range(3):
        local_machines.create_again(machines, machine)
    (keeper,) = local_machines.keepers(local_machines.where(machine))
    assert Path(f"/proc/{keeper}/environ").read_bytes() == b""
    assert os.getsid(keeper) != os.getsid(0)


def test_the_keeper_leaves_with_the_machine(machines: LocalMachines) -> None:
    """After a release nothing of us is left: no directory, no keeper."""
    machine = local_machines.create(machines)
    machines.release(machine.handle)
    assert machines.released(machine.handle)
    local_machines.soon(lambda: not local_machines.keepers(local_machines.where(machine)), limit_s=5)
    assert os.listdir(local_machines.where(machine).parent) == []


def test_a_lease_that_was_over_before(machines: LocalMachines) -> None:
    """A machine whose lease is over when it is made does not stay, and polling it says why."""
    try:
        local_machines.create(machines, seconds=-5)
    except BootError:
        pass
    local_machines.soon(lambda: machines.released(HANDLE))
    with pytest.raises(BootError, match="lifetime limit reached"):
        machines.poll(Creation(handle=HANDLE, stage=""))


def test_a_new_machine_has_no_past(machines: LocalMachines) -> None:
    """A machine that is made anew under an expired one's name does not count as interrupted."""
    local_machines.create(machines, seconds=1)
    local_machines.soon(lambda: machines.released(HANDLE))
    assert machines.interruption(HANDLE)
    local_machines.create(machines)
    assert machines.interruption(HANDLE) == ""


def test_adoption_brings_the_keeper_back(machines: LocalMachines) -> None:
    """Asking again for a machine whose keeper was killed gives it a new one."""
    machine = local_machines.create(machines)
    (keeper,) = local_machines.keepers(local_machines.where(machine))
    os.kill(keeper, signal.SIGKILL)
    local_machines.soon(lambda: not local_machines.keepers(local_machines.where(machine)))
    local_machines.create_again(machines, machine)
    assert len(local_machines.keepers(local_machines.where(machine))) == 1


def test_other_files_are_no_machines(machines: LocalMachines, state: Path) -> None:
    """Files and half-made machines beside the machines are never listed."""
    machine = local_machines.create(machines)
    (state / "machines" / "accel-file").write_text("x")
    (state / "machines" / ".new-half").mkdir()
    assert [each.name for each in machines.list_owned(ALL)] == [machine.name]


def test_leftovers_of_crashed_creations_go(machines: LocalMachines, state: Path) -> None:
    """What a creation left that crashed an hour ago goes with the next creation; a fresh one is somebody's work."""
    for name, age_s in (("old", 3600), ("fresh", 1)):
        half = state / "machines" / f".new-{name}"
        half.mkdir(parents=True)
        os.utime(half, (time.time() - age_s, time.time() - age_s))
    local_machines.create(machines)
    assert sorted(os.listdir(state / "machines")) == [".new-fresh", KEY.name]
    (state / "machines" / ".new-fresh").rmdir()


def test_two_creations_at_once(machines: LocalMachines) -> None:
    """Of many equal creations at once all get the one machine, which has one keeper."""
    expires_at = int(time.time() + 600)
    together = threading.Barrier(6)

    def create(_: int) -> Machine:
        together.wait()
        return local_machines.create_until(machines, expires_at)

    with ThreadPoolExecutor(6) as pool:
        made = list(pool.map(create, range(6)))
    assert made == [made[0]] * 6
    assert len(local_machines.keepers(local_machines.where(made[0]))) == 1
    assert os.listdir(local_machines.where(made[0]).parent) == [KEY.name]


def test_two_leases_at_once(machines: LocalMachines) -> None:
    """Of different leases for one name at once exactly one wins, and the others are told."""
    together = threading.Barrier(6)

    def create(number: int) -> bool:
        together.wait()
        try:
            local_machines.create(machines, seconds=600 + number)
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
            local_machines.create_until(machines, expires_at)
        except CloudError:
            pass

    with ThreadPoolExecutor(2) as pool:
        for _ in range(12):
            list(pool.map(lambda act: act(0), (create, lambda _: machines.release(HANDLE))))
            for left in machines.list_owned(ALL):
                assert left.state is State.READY
                # The keeper of a machine that is gone sees that at its next look.
                place = local_machines.where(left)
                local_machines.soon(lambda place=place: len(local_machines.keepers(place)) == 1)  # type: ignore[misc]
    machines.release(HANDLE)
    assert machines.released(HANDLE)
    assert os.listdir(state / "machines") == []
