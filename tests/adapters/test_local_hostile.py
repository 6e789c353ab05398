"""Names, labels and files that would lead the local backend astray."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from accel_ci.adapters.local import LocalMachines
from accel_ci.domain import lease
from accel_ci.domain.errors import CloudError, ConfigurationError
from accel_ci.domain.machine import Creation, State
from tests.adapters import local_machines
from tests.adapters.local_machines import ALL, HANDLE, KEY, Start

HOSTILE = ["", ".", "..", "../x", "a/b", "/etc", "A", "a b", "a\n", "-a", "a" * 64, "ä", ".new-x", "a\0"]


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
    machine = local_machines.create(machines)
    with pytest.raises(ConfigurationError, match="not a label"):
        machines.annotate(machine.handle, name, value)
    assert local_machines.create_again(machines, machine) == machine


def test_hostile_trees_are_removed(machines: LocalMachines, start: Start) -> None:
    """What a command leaves goes, however deep, odd, closed or linked it is; what a link points to stays."""
    machine = local_machines.create(machines)
    deep = f'{sys.executable} -c \'import os; [(os.mkdir("d"), os.chdir("d")) for _ in range(1500)]\''
    odd = r"ln -s / root; ln -s ../../.. up; mkfifo pipe; touch $'new\nline' $'\xff\xfe' -- -rf"
    closed = "mkdir closed; touch closed/file; chmod 000 closed; mkdir -p many/{a,b}/{c,d}/{e,f}; chmod 555 many/a"
    start(machine, f"{deep}; {odd}; {closed}; echo up").wait()
    machines.release(machine.handle)
    local_machines.soon(lambda: machines.released(machine.handle))
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
    machine = local_machines.create(machines)
    (local_machines.where(machine) / "machine.json").write_bytes(content)
    (found,) = machines.list_owned(lease.of_run(KEY))
    assert (found.handle, found.state, found.workers) == (machine.handle, State.FAILED, ())
    with pytest.raises(ConfigurationError, match="another lease"):
        local_machines.create_again(machines, machine)
    machines.release(machine.handle)
    assert machines.released(machine.handle)


def test_absurd_number_of_workers(machines: LocalMachines) -> None:
    """A machine.json with a billion workers does not fill our memory."""
    machine = local_machines.create(machines)
    document = local_machines.where(machine) / "machine.json"
    document.write_text(json.dumps({**json.loads(document.read_text()), "workers": 10**9}))
    (found,) = machines.list_owned(ALL)
    assert len(found.workers) == 64


def test_hostile_annotations(machines: LocalMachines) -> None:
    """Files that a command puts among the annotations are labels only when they look like labels."""
    machine = local_machines.create(machines)
    annotations = local_machines.where(machine) / "annotations"
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
