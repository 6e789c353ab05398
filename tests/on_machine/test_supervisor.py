"""What a phase's command is given, what comes out of it, and what its end record says."""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import resource
import signal
import subprocess
import time
from typing import Any

import pytest

from accel_ci.domain import verdict
from accel_ci.domain.verdict import EndRecord, Reason, Verdict
from tests.on_machine import worker_root
from tests.on_machine.worker_root import KEY, NONCE, WorkerRoot


def verdict_of(record: EndRecord) -> Verdict:
    """The verdict that the program gives."""
    return verdict.of_worker(record, key=KEY, nonce=NONCE, phase="run")


@pytest.mark.parametrize("code", [0, 1, 7, 126, 255])
def test_exit_codes_come_back_exactly(root: WorkerRoot, code: int) -> None:
    """The end record has the command's own exit code, and only 0 is a pass."""
    end = root.run(f"exit {code}").end
    assert (end.reason, end.exit_code, end.signal) == (Reason.EXITED, code, None)
    assert verdict_of(end) is (Verdict.PASSED if code == 0 else Verdict.FAILED)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
def test_a_signal_that_ends_the_command_is_told(root: WorkerRoot, number: signal.Signals) -> None:
    """A command that a signal ended has no exit code, and is no pass."""
    end = root.run(f"kill -{int(number)} $$").end
    assert (end.reason, end.exit_code, end.signal) == (Reason.EXITED, None, number)
    assert verdict_of(end) is Verdict.FAILED


def test_a_phase_works_from_start_to_end(any_root: WorkerRoot) -> None:
    """On every Python from 3.8 on: start, output from both streams, exit code, attach again in the middle, stop."""
    followed = any_root.run("echo one; echo two >&2; printf 'a\\0b'; exit 7")
    assert (followed.output, followed.code, followed.end.exit_code) == (b"one\ntwo\na\0b", 0, 7)
    again = any_root.follow(offset=4)
    assert (again.offset, again.output, again.record) == (4, b"two\na\0b", followed.record)
    assert any_root.start("sleep 60", phase="setup") == {"started": True}
    assert any_root.stop("setup").returncode == 0
    assert any_root.follow("setup").end.reason is Reason.CANCELLED


def test_a_script_of_many_lines_runs_as_written(root: WorkerRoot) -> None:
    """Quotes, here documents, loops and a failing line in the middle mean what they mean to bash; nothing is added."""
    followed = root.run("""cat <<'END'
it's "quoted" $HOME
END
false
for n in 1 2; do
  echo "line $n"
done
[[ $BASH_VERSION ]] && echo bash""")
    assert followed.output == b'it\'s "quoted" $HOME\nline 1\nline 2\nbash\n'
    assert followed.end.exit_code == 0


def test_output_is_bytes(root: WorkerRoot) -> None:
    """All 256 values, text that looks like our own frames, and a missing newline come through unchanged."""
    data = bytes(range(256)) * 3 + b"\nE 2\n{}\nO 0 5\nB\nX 1\nx"
    (root.path / "source" / "data").write_bytes(data)
    followed = root.run("cat data; cat data >&2")
    assert followed.output == data + data
    assert followed.end.output_bytes == 2 * len(data)


def test_large_output_is_complete(root: WorkerRoot) -> None:
    """50 MB arrive byte for byte, whoever reads them late."""
    followed = root.run("head -c 50000000 /dev/urandom | tee data")
    assert len(followed.output) == followed.end.output_bytes == 50_000_000
    assert followed.output == (root.path / "source" / "data").read_bytes()


def test_no_output_is_no_problem(root: WorkerRoot) -> None:
    """A silent command has an end record, and no output frame."""
    followed = root.run("true")
    assert (followed.offset, followed.end.output_bytes, followed.end.exit_code) == (None, 0, 0)


def test_the_command_finds_no_input(root: WorkerRoot) -> None:
    """Reading stdin ends at once, and descriptors of the caller are not handed on."""
    followed = root.run("cat; ls /proc/self/fd | tr '\\n' ' '")
    assert followed.output == b"0 1 2 3 "  # 3 is ls reading the directory


def test_a_descriptor_of_the_caller_is_let_go(root: WorkerRoot) -> None:
    """A pipe that the caller forgot to close ends when `start` has answered, not when the command has ended."""
    reader, writer = os.pipe()
    with open(reader, "rb") as pipe:
        assert root.ask_to_start(root.spec("sleep 30"), pass_fds=(writer,)).returncode == 0
        os.close(writer)
        assert pipe.read() == b""


def test_the_command_is_told_where_it_runs(root: WorkerRoot) -> None:
    """Machine, worker, phase, results directory, plugin path and the phase's own environment reach the command."""
    names = "ACCEL_CI ACCEL_CI_MACHINE ACCEL_CI_WORKER ACCEL_CI_WORKERS ACCEL_CI_PHASE ACCEL_CI_RESULTS PYTHONUNBUFFERED MINE"
    followed = root.run(
        f'for name in {names}; do echo "${{!name}}"; done; echo "$PYTHONPATH"; pwd; test -d "$ACCEL_CI_RESULTS"',
        environment={"MINE": "my value", "PYTHONPATH": "/theirs", "ACCEL_CI_WORKER": "99"},
        worker=2,
        workers=4,
        phase="setup",
    )
    results, source = root.path / "results", root.path / "source"
    assert followed.output.decode().splitlines() == [
        *("1", "accel-test-1", "2", "4", "setup", str(results), "1", "my value"),
        *(f"{root.path}/plugin:/theirs", str(source)),
    ]
    assert followed.end.exit_code == 0


def test_the_terminal_is_dumb_unless_told_otherwise(root: WorkerRoot) -> None:
    """TERM is set where the login has none, and left alone where it has one."""
    bare = {"PATH": os.environ["PATH"]}
    for phase, environment in (("a", bare), ("b", {**bare, "TERM": "vt100"})):
        root.ask_to_start(root.spec("echo $TERM", phase=phase), env=environment)
    assert (root.follow("a").output, root.follow("b").output) == (b"dumb\n", b"vt100\n")


def test_the_command_runs_in_its_directory(root: WorkerRoot) -> None:
    """`directory` is taken below source/."""
    (root.path / "source" / "deep er").mkdir()
    assert root.run("pwd", directory="deep er").output.decode() == f"{root.path}/source/deep er\n"


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"directory": "missing"}, "No such file or directory"),
        ({"environment": {"PATH": "/nonexistent"}}, "neither bash nor sh"),
        ({"environment": {"a=b": "c"}}, "environment variable name"),
        ({"command": "echo \0"}, "null byte"),
        ({"command": "x" * 200_000}, "Argument list too long"),
    ],
)
def test_a_command_that_cannot_start_has_an_end_record(root: WorkerRoot, changes: Any, detail: str) -> None:
    """What hinders the start is told in an end record with reason not-started, which is an infrastructure verdict."""
    end = root.run(**{"command": "true", **changes}).end
    assert (end.reason, end.exit_code, end.signal) == (Reason.NOT_STARTED, None, None)
    assert detail in end.detail
    assert verdict_of(end) is Verdict.INFRA_ERROR


def test_sh_serves_where_bash_is_missing(root: WorkerRoot, tmp_path: pathlib.Path) -> None:
    """With only sh in PATH the command runs in sh."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "sh").symlink_to("/bin/sh")
    end = root.run("exit 9", environment={"PATH": str(tmp_path / "bin")}).end
    assert end.exit_code == 9


def test_output_beyond_the_limit_is_counted_and_dropped(root: WorkerRoot) -> None:
    """The command neither blocks nor fails; the spool has the first bytes, and the record says how many are missing."""
    followed = root.run("head -c 3000000 /dev/zero; exit 4", output_limit_bytes=1_000_000)
    assert (followed.end.output_bytes, followed.end.output_dropped_bytes) == (1_000_000, 2_000_000)
    assert (len(followed.output), followed.end.exit_code) == (1_000_000, 4)


def test_a_full_disk_costs_output_and_nothing_else(root: WorkerRoot) -> None:
    """When the spool cannot grow, the rest is dropped with a word in the detail, and the end record is still written."""

    def little_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))

    root.ask_to_start(root.spec("head -c 300000 /dev/zero; exit 3"), preexec_fn=little_room)
    followed = root.follow()
    assert (followed.end.output_bytes, followed.end.output_dropped_bytes) == (100_000, 200_000)
    assert (len(followed.output), followed.end.exit_code) == (100_000, 3)
    assert "output was lost" in followed.end.detail


def test_the_end_record_has_exactly_the_fields_that_are_read(root: WorkerRoot) -> None:
    """Key, nonce and phase bind it; times are this machine's seconds since 1970; nothing else is in it."""
    before = time.time()
    followed = root.run("sleep 0.2")
    end = followed.end
    assert followed.record.keys() == {"version", *EndRecord.__dataclass_fields__}
    assert (end.key, end.nonce, end.phase, end.detail) == (KEY, NONCE, "run", "")
    assert before <= end.started_at <= end.started_at + 0.2 <= end.ended_at <= time.time()
    assert json.loads((root.folder() / "end.json").read_text()) == followed.record


def test_peak_memory_covers_the_tree(root: WorkerRoot) -> None:
    """Two processes of 60 MB at the same time count as 120 MB or more, one short-lived one as its own 60 MB."""
    hold = f"{root.python} -c \"import time; x = b'x' * 60_000_000; time.sleep(%s)\""
    both = root.run(f"{hold % 1.3} & {hold % 1.3}; wait").end
    assert 120_000_000 <= both.peak_memory_bytes < 400_000_000
    assert 60_000_000 <= root.run(hold % 0, phase="b").end.peak_memory_bytes < 120_000_000


def test_the_nonce_is_nowhere_while_the_command_runs(root: WorkerRoot) -> None:
    """No file below the root, no argument and no environment holds it, and spec.json its hash only."""
    pattern = root.path.parent / "pattern"
    pattern.write_text(NONCE)
    script = f"grep -rlf '{pattern}' '{root.path}' /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2> /dev/null"
    assert root.run(script).output == b""
    assert NONCE in (root.folder() / "end.json").read_text()
    known = json.loads((root.folder() / "spec.json").read_text())
    assert known["nonce_sha256"] == hashlib.sha256(NONCE.encode()).hexdigest()


def test_secrets_of_the_environment_are_not_written(root: WorkerRoot) -> None:
    """The phase's environment reaches the command, and no file of ours."""
    assert root.run("test ${#TOKEN} = 12", environment={"TOKEN": "s3cr3t-value"}).end.exit_code == 0
    found = subprocess.run(["grep", "-r", "s3cr3t-value", root.path], capture_output=True, check=False)
    assert found.stdout == b""


def test_the_supervisors_memory_is_closed_to_its_user(root: WorkerRoot) -> None:
    """The command cannot look into the supervisor, though both are the same user's; nor into the supervisor's parent."""
    script = """for pid in $PPID $(cut -d' ' -f4 /proc/$PPID/stat); do head -c 1 /proc/$pid/mem; done"""
    root.ask_to_start(root.spec(script), preexec_fn=worker_root.without_privileges)
    lines = root.follow().output.decode().splitlines()
    assert len(lines) == 2
    assert all(line.endswith("Permission denied") for line in lines)


@pytest.mark.parametrize("forged", ["{nonce}", "0" * 32])
def test_an_end_record_of_the_command_is_not_believed(root: WorkerRoot, forged: str) -> None:
    """What the command writes as end.json ends no attachment; the supervisor's own record replaces it."""
    record = {"version": 1, "key": KEY, "nonce": forged, "phase": "run", "reason": "exited", "exit_code": 0}
    (root.path / "source" / "forged").write_text(json.dumps(record))
    followed = root.run('cp forged "$ACCEL_CI_RESULTS/../phases/run/end.json"; sleep 0.5; echo late; exit 5')
    assert (followed.end.exit_code, followed.output) == (5, b"late\n")


def test_a_wall_clock_that_jumps_changes_nothing(root: WorkerRoot) -> None:
    """With the clock a day ahead after the start, limits, lease and durations stay what they were."""
    lie = (
        "import runpy, sys, time; real = time.time; calls = []\n"
        "time.time = lambda: calls.append(1) or real() + (86400 if len(calls) > 1 else 0)\n"
        f"sys.argv = ['supervisor.py', 'start']; runpy.run_path({str(root.path / 'supervisor.py')!r}, run_name='__main__')"
    )
    spec = root.spec("sleep 0.5; exit 6", limit_s=30.0, lease_expires_at=time.time() + 30)
    subprocess.run([root.python, "-c", lie], input=json.dumps(spec).encode(), check=True, capture_output=True)
    end = root.follow().end
    assert (end.reason, end.exit_code) == (Reason.EXITED, 6)
    assert 0.5 <= end.ended_at - end.started_at < 20


def test_signals_are_as_after_a_login(root: WorkerRoot) -> None:
    """The command ignores and blocks no signal, even when `start` was called with some ignored.

    Only the signals that have a name: the C library keeps the first ones after them for itself, and hands them down.
    """

    def deaf() -> None:
        for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGUSR1})

    root.ask_to_start(root.spec("grep -E 'Sig(Blk|Ign)' /proc/self/status"), preexec_fn=deaf)
    masks = [int(line.split()[1], 16) for line in root.follow().output.splitlines()]
    assert [mask & 0x7FFFFFFF for mask in masks] == [0, 0]


def test_several_phases_run_on_one_root(root: WorkerRoot) -> None:
    """Each phase has its own directory, output and end."""
    assert root.run("echo setup > made; echo a", phase="setup").output == b"a\n"
    assert root.run("cat made; echo b", phase="run").output == b"setup\nb\n"
    assert root.follow("setup").output == b"a\n"
