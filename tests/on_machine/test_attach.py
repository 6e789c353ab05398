"""What clients are told: frames from any offset, to any number of them, until a last word that is true."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable

import pytest

from accel_ci.domain.verdict import Reason
from tests.on_machine import worker_root
from tests.on_machine.worker_root import KEY, NONCE, Followed, WorkerRoot


def test_output_comes_while_the_command_runs(root: WorkerRoot) -> None:
    """The first line arrives before the command may end; the rest follows, and then the end."""
    root.start("echo first; while [ ! -e go ]; do sleep 0.02; done; echo second")
    with root.attach() as attached:
        attached.until(lambda followed: followed.output == b"first\n")
        (root.path / "source" / "go").touch()
        followed = attached.to_the_end()
    assert (followed.output, followed.code, followed.end.exit_code) == (b"first\nsecond\n", 0, 0)


def test_several_clients_see_the_same(root: WorkerRoot) -> None:
    """Five clients at once, from different offsets, each get their part of the one output and the same end."""
    root.start("seq 100000; sleep 0.3; seq 100000")
    offsets = [0, 1, 1000, 0, 500_000]
    worker_root.eventually(lambda: (root.folder() / "output").stat().st_size >= 500_000)
    clients = [root.attach(offset=offset) for offset in offsets]
    told = []
    for client in clients:
        with client:
            told.append(client.to_the_end())
    whole = told[0].output
    assert len(whole) == told[0].end.output_bytes == 2 * 588_895
    assert [followed.output for followed in told] == [whole[offset:] for offset in offsets]
    assert all(followed.record == told[0].record for followed in told)


def test_a_client_that_comes_back_misses_nothing(root: WorkerRoot) -> None:
    """Killed in the middle again and again, and attached at the offset reached, clients have every byte once."""
    root.start("for n in $(seq 300); do echo $n; sleep 0.003; done; exit 3")
    visits: list[Followed] = []
    while not visits or not visits[-1].record:
        with root.attach(offset=sum(len(visit.output) for visit in visits)) as attached:
            visits.append(attached.until(lambda followed: len(followed.output) > 100 or bool(followed.record)))
    assert len(visits) > 3
    assert b"".join(visit.output for visit in visits) == b"".join(b"%d\n" % number for number in range(1, 301))
    assert visits[-1].end.exit_code == 3


@pytest.mark.parametrize(("offset", "rest"), [(0, b"0123456789"), (4, b"456789"), (9, b"9"), (10, b"")])
def test_any_offset_of_an_ended_phase_can_be_read(root: WorkerRoot, offset: int, rest: bytes) -> None:
    """After the end, too, the output from the offset comes before the end record, up to the very last byte."""
    root.run("printf 0123456789")
    followed = root.follow(offset=offset)
    assert (followed.output, followed.code, followed.end.exit_code) == (rest, 0, 0)


@pytest.mark.parametrize("offset", [-1, 11, 2**63, -(2**70), 10**30])
def test_an_offset_outside_of_the_output_is_a_clean_error(root: WorkerRoot, offset: int) -> None:
    """An impossible offset is told in a last frame, and exit 4."""
    root.run("printf 0123456789")
    followed = root.follow(offset=offset)
    assert (followed.output, followed.code, followed.record) == (b"", 4, {})
    assert "10 bytes" in followed.lost


def test_a_phase_that_never_was_is_told_at_once(any_root: WorkerRoot) -> None:
    """Attaching to nothing gives one frame that says so, and exit 4."""
    followed = any_root.follow("missing")
    assert (followed.code, followed.beats) == (4, 0)
    assert "never started" in followed.lost


@pytest.mark.parametrize("phase", ["", "..", "a/b", "A", "x" * 41, ".run", "run\n"])
@pytest.mark.parametrize("verb", ["attach", "stop"])
def test_phases_have_plain_names(root: WorkerRoot, verb: str, phase: str) -> None:
    """A name that could lead elsewhere is refused."""
    refused = root.call("supervisor.py", verb, "--phase", phase)
    assert refused.returncode == 1
    assert json.loads(refused.stdout).keys() == {"error"}


def test_beats_come_when_there_is_nothing_else(root: WorkerRoot) -> None:
    """A silent command is told to be alive again and again, until there is something to tell."""
    root.start("while [ ! -e go ]; do sleep 0.02; done; echo over")
    with root.attach() as attached:
        attached.until(lambda followed: followed.beats == 4)
        (root.path / "source" / "go").touch()
        followed = attached.to_the_end()
    assert (followed.output, followed.end.exit_code) == (b"over\n", 0)


def close_stdin(client: subprocess.Popen[bytes]) -> None:
    """What a client does when it ends, one half of it."""
    assert client.stdin is not None
    client.stdin.close()


def close_stdout(client: subprocess.Popen[bytes]) -> None:
    """The other half."""
    assert client.stdout is not None
    client.stdout.close()


@pytest.mark.parametrize("leave", [close_stdin, close_stdout])
@pytest.mark.parametrize("command", ["sleep 30", "yes"])
def test_an_attachment_ends_with_its_client(
    root: WorkerRoot, leave: Callable[[subprocess.Popen[bytes]], None], command: str
) -> None:
    """When the client closes either pipe, the attachment ends, in silence and under a flood; the command goes on."""
    root.start(command, output_limit_bytes=10_000_000)
    with root.attach() as attached:
        attached.followed.take(attached.stdout)
        leave(attached.process)
        assert attached.process.wait(worker_root.PATIENCE_S) == 1
    assert not (root.folder() / "end.json").exists()


def test_an_attachment_without_stdin_works(root: WorkerRoot) -> None:
    """/dev/null as stdin is no client that left."""
    root.start("sleep 0.3; echo here")
    told = subprocess.run(
        root.command("supervisor.py", "attach", "--phase", "run"),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
    )
    assert b"\nhere\nE " in told.stdout


def test_the_end_of_a_client_is_not_the_end_of_another(root: WorkerRoot) -> None:
    """One client goes, the other sees the phase to its end."""
    root.start("while [ ! -e go ]; do sleep 0.02; done; exit 2")
    with root.attach() as stays:
        with root.attach() as goes:
            goes.until(lambda followed: followed.beats == 1)
        (root.path / "source" / "go").touch()
        assert stays.to_the_end().end.exit_code == 2


def test_a_dead_supervisor_is_told_after_all_output(root: WorkerRoot) -> None:
    """After kill -9 of the supervisor the client gets what was spooled, then the word that no end can come."""
    root.start("echo spooled; sleep 60")
    with root.attach() as attached:
        attached.until(lambda followed: followed.output == b"spooled\n")
        os.kill(root.state()["supervisor"], signal.SIGKILL)
        followed = attached.to_the_end()
    assert (followed.code, followed.record) == (4, {})
    assert "died" in followed.lost
    again = root.follow()
    assert (again.output, again.lost, again.code) == (b"spooled\n", followed.lost, 4)


def test_a_record_without_the_nonce_ends_nothing(root: WorkerRoot) -> None:
    """After the supervisor's death an end record by somebody else is not passed on."""
    root.start("sleep 60")
    os.kill(root.state()["supervisor"], signal.SIGKILL)
    forged = {"version": 1, "key": KEY, "nonce": "guess", "phase": "run", "reason": Reason.EXITED, "exit_code": 0}
    (root.folder() / "end.json").write_text(json.dumps(forged))
    assert "died" in root.follow().lost


@pytest.mark.parametrize(
    "replace",
    [
        "rm {0}; mkfifo {0}",
        "rm {0}; mkdir {0}",
        "rm {0}; ln -s /etc/passwd {0}",
        "rm {0}",
        "rm {0}; ln -s {0} {0}",
    ],
)
@pytest.mark.parametrize("name", ["output", "spec.json", "attached"])
def test_replaced_files_are_refused(root: WorkerRoot, name: str, replace: str) -> None:
    """A pipe, directory or link where a file of ours was neither hangs a client nor leads it elsewhere."""
    root.run("true")
    subprocess.run(["sh", "-c", replace.format(name)], cwd=root.folder(), check=True)
    followed = root.follow()
    assert (followed.code, followed.output) == (4, b"")


@pytest.mark.parametrize("replace", ["mkfifo {0}", "mkdir {0}", "ln -s /dev/zero {0}", "cp ../../source/deep {0}"])
def test_a_false_end_record_of_any_kind_is_passed_over(root: WorkerRoot, replace: str) -> None:
    """Whatever the command puts where the end record will be does not hold the attachment up."""
    (root.path / "source" / "deep").write_text("[" * 60_000)
    root.start(f"cd ../phases/run; {replace.format('end.json')}; sleep 0.3; rm -rf end.json; echo gone")
    followed = root.follow()
    assert (followed.output, followed.end.exit_code, followed.end.nonce) == (b"gone\n", 0, NONCE)


def test_output_that_was_cut_off_does_not_hide_the_end(root: WorkerRoot) -> None:
    """A command that empties the spool harms its own log, not its verdict."""
    root.start("echo before; while [ ! -e go ]; do sleep 0.02; done; : > ../phases/run/output; sleep 0.2; exit 4")
    with root.attach() as attached:
        attached.until(lambda followed: followed.output == b"before\n")
        (root.path / "source" / "go").touch()
        assert attached.to_the_end().end.exit_code == 4
