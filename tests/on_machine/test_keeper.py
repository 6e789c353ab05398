"""The keeper's parts that a machine's life on this computer does not show."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from accel_ci.on_machine import keeper


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """The directory of a machine with one worker, in a state directory of its own."""
    directory = tmp_path / "machines" / "accel-x"
    (directory / "worker-0" / "phases" / "run").mkdir(parents=True)
    return directory


@pytest.fixture
def leader(machine: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The leader of a living session of two processes, which the supervisor wrote down."""
    process = subprocess.Popen(["sh", "-c", "sleep 600 & sleep 600"], start_new_session=True)
    state = {"supervisor": 2**22 + 1, "command": process.pid, "started_at": 1.5}
    (machine / "worker-0" / "phases" / "run" / "state.json").write_text(json.dumps(state))
    yield process
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_recorded_groups(machine: Path, leader: subprocess.Popen[bytes]) -> None:
    """Where no /proc tells marks, the living groups are those that the supervisor wrote down."""
    assert keeper.recorded(str(machine)) == {-leader.pid}


def test_recorded_groups_are_ended_whole(
    machine: Path, leader: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without /proc a stop ends the recorded groups, children included."""

    def processes(directory: str) -> set[int]:
        leader.poll()  # reaps it, as the supervisor does on a machine
        return keeper.recorded(directory)

    monkeypatch.setattr(keeper, "processes", processes)
    keeper.stop(str(machine))
    with pytest.raises(ProcessLookupError):
        os.killpg(leader.pid, 0)


@pytest.mark.parametrize("state", ["", "[]", "{", '{"command": "1"}', '{"command": 1, "supervisor": -5}', "[" * 50000])
def test_hostile_records(machine: Path, state: str) -> None:
    """A record that names no process, or everybody's, names nothing."""
    (machine / "worker-0" / "phases" / "run" / "state.json").write_text(state)
    assert keeper.recorded(str(machine)) == set()


def test_marked_processes(machine: Path) -> None:
    """A process is the machine's by its environment, and so is its child that has none; a stranger is not."""
    script = "env -i sleep 600 & echo; wait"
    with subprocess.Popen(
        ["sh", "-c", script], env={"ACCEL_CI_MACHINE": "accel-x", "PATH": os.defpath}, stdout=subprocess.PIPE
    ) as mine:
        assert mine.stdout is not None
        mine.stdout.readline()
        with subprocess.Popen(["sleep", "600"], env={"ACCEL_CI_MACHINE": "accel-y"}) as other:
            found = keeper.marked(str(machine))
            assert mine.pid in found
            assert len(found) == 2
            assert other.pid not in found
            other.kill()
        for pid in found:
            os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 60  # who was killed is still seen for a moment
    while keeper.marked(str(machine)) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert keeper.marked(str(machine)) == set()


def test_tombstones_are_bounded(machine: Path) -> None:
    """However many machines expire, only the newest hundred notes of it stay."""
    tombs = machine.parent.parent / "ended"
    tombs.mkdir()
    for number in range(150):
        (tombs / f"old-{number}").write_text("x")
        os.utime(tombs / f"old-{number}", (number, number))
    keeper.end(str(machine), keeper.LIFETIME_LIMIT)
    left = {path.name for path in tombs.iterdir()}
    assert len(left) == keeper.TOMBSTONES
    assert {"accel-x", "old-149"} <= left
    assert "old-0" not in left
    assert (tombs / "accel-x").read_text() == "lifetime limit reached"
    assert not machine.exists()


def test_a_note_that_cannot_be_written_stops_nothing(machine: Path) -> None:
    """A full disk, or a file where the notes should lie, does not keep a machine alive."""
    (machine.parent.parent / "ended").write_text("in the way")
    keeper.end(str(machine), keeper.LIFETIME_LIMIT)
    assert not machine.exists()


def test_ending_nothing(machine: Path) -> None:
    """A machine that never was is ended."""
    keeper.end(str(machine.parent / "accel-y"))


def test_keeping_nothing(machine: Path) -> None:
    """A keeper of a machine that never was says so and fails."""
    command = ["python3", keeper.__file__, "keep", str(machine.parent / "accel-y")]
    done = subprocess.run(command, capture_output=True, check=False, timeout=30)
    assert done.returncode == 3
    assert b"No such file" in done.stderr


def test_a_machine_without_a_lease_ends_at_once(machine: Path) -> None:
    """A machine.json that tells no expiry keeps nobody alive: the machine is over, and the keeper leaves."""
    (machine / "machine.json").write_text("{}")
    subprocess.run(["python3", keeper.__file__, "keep", str(machine)], check=True, timeout=30)
    deadline = time.monotonic() + 60
    while machine.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_clear_spares_names(machine: Path) -> None:
    """Everything goes but the spared names, which stay as they are."""
    (machine / "machine.json").write_text("{}")
    (machine / "file").write_text("x")
    keeper.clear(str(machine), spare=("machine.json",))
    assert [path.name for path in machine.iterdir()] == ["machine.json"]
    assert (machine / "machine.json").read_text() == "{}"
