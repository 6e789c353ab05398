"""How a phase ends: by itself, by a limit, by request; and that nothing of it lives afterwards."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess
import threading
import time
from typing import Any

import pytest

from accel_ci.domain import verdict
from accel_ci.domain.verdict import Reason, Verdict
from tests.on_machine import worker_root
from tests.on_machine.worker_root import KEY, NONCE, PROGRAMS, WorkerRoot

STUBBORN = "import signal, time; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"


def nothing_lives(root: WorkerRoot) -> bool:
    """True when of all that has the root's mark only the supervisor is left, which wrote the end record last."""
    return all(program in command for command in root.processes().values() for program in PROGRAMS[:1])


def test_the_time_limit_ends_the_command(any_root: WorkerRoot) -> None:
    """A command that runs into its limit gets TERM, and the verdict is timed-out."""
    end = any_root.run("echo begun; sleep 60", limit_s=0.4).end
    assert (end.reason, end.exit_code, end.signal) == (Reason.TIMED_OUT, None, signal.SIGTERM)
    assert verdict.of_worker(end, key=KEY, nonce=NONCE, phase="run") is Verdict.TIMED_OUT
    assert nothing_lives(any_root)


def test_term_comes_before_kill(root: WorkerRoot) -> None:
    """On TERM the command may put its things in order; it need not be killed."""
    followed = root.run(
        "exec 2>&-; trap 'echo tidy; exit 3' TERM; echo ready; while :; do sleep 0.1; done", limit_s=0.5
    )
    assert (followed.output, followed.end.exit_code, followed.end.signal) == (b"ready\ntidy\n", 3, None)
    assert followed.end.reason is Reason.TIMED_OUT


def test_every_process_gets_term_before_anyone_is_killed(root: WorkerRoot) -> None:
    """A deaf process is killed after the grace; all of them had heard TERM, one born during the grace as well."""
    (root.path / "source" / "hears.py").write_text(
        "import os, signal, subprocess, sys, time\n"
        "def term(*_):\n"
        "    open('told', 'a').write(sys.argv[1] + '\\n')\n"
        "    if sys.argv[1] == 'mother':\n"
        "        subprocess.Popen([sys.executable, __file__, 'late'], start_new_session=True)\n"
        "signal.signal(signal.SIGTERM, term)\n"
        "os.write(1, sys.argv[1].encode() + b'\\n')\n"
        "while True: time.sleep(60)\n"
    )
    run = f"{root.python} hears.py"
    root.start(f"{run} child & setsid {run} own-session & exec {run} mother", grace_s=1.0)
    with root.attach() as attached:
        attached.until(lambda followed: len(followed.output.split()) == 3)
        root.stop()
        end = attached.to_the_end().end
    assert (end.reason, end.signal) == (Reason.CANCELLED, signal.SIGKILL)
    told = (root.path / "source" / "told").read_text().split()
    assert sorted(told) == ["child", "late", "mother", "own-session"]
    assert nothing_lives(root)


def test_the_grace_is_given_in_full(root: WorkerRoot) -> None:
    """A command that needs most of its grace ends by itself."""
    script = "trap 'sleep 1; echo saved; exit 0' TERM; echo ready; while :; do sleep 0.1; done"
    followed = root.run(script, limit_s=0.4, grace_s=20.0)
    assert followed.output.endswith(b"saved\n")
    assert (followed.end.reason, followed.end.exit_code) == (Reason.TIMED_OUT, 0)
    assert verdict.of_worker(followed.end, key=KEY, nonce=NONCE, phase="run") is Verdict.TIMED_OUT


def test_a_deaf_command_is_killed_after_the_grace(root: WorkerRoot) -> None:
    """Who ignores TERM gets KILL, and the end is told as what it was."""
    end = root.run(f'exec {root.python} -c "{STUBBORN}"', limit_s=0.4, grace_s=0.3).end
    assert (end.reason, end.signal) == (Reason.TIMED_OUT, signal.SIGKILL)


def test_a_stopped_command_hears_term(root: WorkerRoot) -> None:
    """A process under SIGSTOP is woken to hear TERM, so that it need not be killed."""
    script = "trap 'echo woken; exit 5' TERM; echo ready; kill -STOP $$; while :; do sleep 0.1; done"
    end = root.run(script, limit_s=0.5, grace_s=20.0)
    assert (end.output, end.end.exit_code) == (b"ready\nwoken\n", 5)


ESCAPES = {
    "background": "sleep 60 & sleep 60 & exit 0",
    "nohup": "nohup sleep 60 > /dev/null 2>&1 & exit 0",
    "own session": "setsid sleep 60 & exit 0",
    "double fork": "(setsid sh -c 'sleep 60 & sleep 60 &' > /dev/null 2>&1 < /dev/null &) ; exit 0",
    "deaf": '{python} -c "{stubborn}" & while [ $(wc -c < ../phases/run/output) = 0 ]; do sleep 0.05; done; exit 0',
    "stopped": "sleep 60 & kill -STOP $!; exit 0",
    "forks on": "(trap '' TERM; while :; do (exec sleep 60) & sleep 0.02; done) & sleep 0.3; exit 0",
    "new name": "{python} hop.py & sleep 0.3; exit 0",
    "threads only": "{python} headless.py & sleep 0.3; exit 0",
}
HOP = """import os, signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
while True:
    if os.fork():
        os._exit(0)
    os.setsid()
"""
HEADLESS = """import ctypes, threading, time
threading.Thread(target=time.sleep, args=(60,)).start()
ctypes.CDLL(None).pthread_exit(None)
"""


@pytest.mark.parametrize("escape", ESCAPES)
def test_nothing_outlives_the_command(root: WorkerRoot, escape: str) -> None:
    """Whatever the command leaves behind is gone when the end record exists; the exit code is the command's."""
    (root.path / "source" / "hop.py").write_text(HOP)
    (root.path / "source" / "headless.py").write_text(HEADLESS)
    end = root.run(ESCAPES[escape].replace("{python}", root.python).replace("{stubborn}", STUBBORN), grace_s=0.5).end
    assert nothing_lives(root), root.processes()
    assert (end.reason, end.exit_code) == (Reason.EXITED, 0)
    assert end.detail == "processes that the command left behind were ended"


@pytest.mark.parametrize("escape", ["own session", "deaf", "forks on", "new name"])
def test_nothing_outlives_a_stop(root: WorkerRoot, escape: str) -> None:
    """The same holds for a command that is ended from outside while all that is going on."""
    (root.path / "source" / "hop.py").write_text(HOP)
    (root.path / "source" / "headless.py").write_text(HEADLESS)
    script = ESCAPES[escape].replace("{python}", root.python).replace("{stubborn}", STUBBORN)
    end = root.run(script.replace("exit 0", "sleep 60"), limit_s=1.0, grace_s=0.3).end
    assert nothing_lives(root), root.processes()
    assert end.reason is Reason.TIMED_OUT


def test_a_clean_command_ends_without_delay_or_remark(root: WorkerRoot) -> None:
    """Where nothing was left behind, the detail is empty."""
    assert root.run("sleep 0.1 & wait").end.detail == ""


def test_late_output_of_a_child_is_kept(root: WorkerRoot) -> None:
    """What a background process says after the command's end, as it ends by itself or on TERM, is in the output."""
    script = (
        "(sleep 0.3; echo by itself) & (trap 'echo on term; exit' TERM; while :; do sleep 60 & wait; done) & exit 4"
    )
    followed = root.run(script)
    assert sorted(followed.output.splitlines()) == [b"by itself", b"on term"]
    assert followed.end.exit_code == 4


def test_a_log_writer_can_finish(root: WorkerRoot) -> None:
    """`exec > >(tee log)`, which bash does not wait for, loses nothing."""
    followed = root.run("exec > >(tee log) 2>&1; seq 200000")
    assert followed.output == b"".join(b"%d\n" % number for number in range(1, 200_001))
    assert followed.end.detail == ""


def test_a_command_may_close_its_output(root: WorkerRoot) -> None:
    """The end of the output is not the end of the command."""
    followed = root.run("echo last words; exec >&- 2>&-; sleep 0.5; exit 6")
    assert (followed.output, followed.end.exit_code) == (b"last words\n", 6)


def test_a_stolen_output_does_not_hang_us(root: WorkerRoot) -> None:
    """A command that reads its own stdout's pipe empty, and fills it on the way out, ends like any other."""
    followed = root.run(
        "timeout 0.5 cat /proc/self/fd/1 > stolen & for n in $(seq 300); do echo $n; done; wait; exit 8"
    )
    assert followed.end.exit_code == 8
    stolen = (root.path / "source" / "stolen").read_bytes()
    assert len(stolen) + len(followed.output) == sum(len(str(number)) + 1 for number in range(1, 301))


def test_the_lease_ends_the_command(root: WorkerRoot) -> None:
    """At the end of the lease the supervisor ends the phase by itself, whatever the limit."""
    end = root.run("echo; sleep 60", lease_expires_at=time.time() + 0.5).end
    assert (end.reason, end.signal) == (Reason.LEASE_EXPIRED, signal.SIGTERM)


@pytest.mark.parametrize("ahead_s", [600.0, -600.0])
def test_another_clock_ends_no_command_early_or_late(root: WorkerRoot, ahead_s: float) -> None:
    """The lease was made by the runner's clock, which may be minutes off: what counts is how much of it was left."""
    theirs = time.time() + ahead_s
    assert root.run("exit 6", lease_expires_at=theirs + 30, sent_at=theirs).end.exit_code == 6
    end = root.run("echo; sleep 60", phase="setup", lease_expires_at=theirs + 0.5, sent_at=theirs).end
    assert end.reason is Reason.LEASE_EXPIRED


def test_nothing_starts_after_the_lease(root: WorkerRoot) -> None:
    """A phase that comes too late ends before it began."""
    end = root.run("echo no", lease_expires_at=time.time() - 1).end
    assert (end.reason, end.exit_code, end.output_bytes) == (Reason.LEASE_EXPIRED, None, 0)


def reason_without_attending(root: WorkerRoot) -> str:
    """The end record's reason, waited for without any attachment."""
    record = worker_root.eventually(lambda: worker_root.read_or_nothing(root.folder() / "end.json"))
    return str(json.loads(record)["reason"])


def test_a_phase_that_nobody_attends_ends(root: WorkerRoot) -> None:
    """Without any attachment the phase ends by itself after unattended_s."""
    root.start("sleep 60", unattended_s=0.6)
    assert reason_without_attending(root) == "unattended"


def test_an_attended_phase_goes_on(root: WorkerRoot) -> None:
    """Somebody who is attached keeps even a silent phase alive; it ends when they have left."""
    root.start("sleep 60", unattended_s=1.3)
    with root.attach() as attached:
        attached.until(lambda followed: followed.beats == 4)
        assert not (root.folder() / "end.json").exists()
    assert reason_without_attending(root) == "unattended"


def test_attendance_is_any_change_of_the_mark(root: WorkerRoot) -> None:
    """Only that `attached` changes counts, not what its time says: clocks of machines jump."""
    root.start("sleep 60", unattended_s=0.7)
    mark = root.folder() / "attached"
    for second in range(10):
        os.utime(mark, (second, second))  # in 1970
        time.sleep(0.15)
    assert not (root.folder() / "end.json").exists()
    assert root.stop().returncode == 0


def test_stop_ends_the_phase_politely(root: WorkerRoot) -> None:
    """A stop request is TERM for the tree, and the record says cancelled."""
    root.start("exec 2>&-; trap 'echo bye; exit 2' TERM; echo ready; while :; do sleep 0.1; done")
    with root.attach() as attached:
        attached.until(lambda followed: followed.output == b"ready\n")
        assert root.stop().returncode == 0
        followed = attached.to_the_end()
    assert (followed.output, followed.end.reason, followed.end.exit_code) == (b"ready\nbye\n", Reason.CANCELLED, 2)
    assert verdict.of_worker(followed.end, key=KEY, nonce=NONCE, phase="run") is Verdict.CANCELLED


def test_stop_may_come_late_and_often(root: WorkerRoot) -> None:
    """Asking for the end of a phase that is over, was asked before, or never was, is no error and changes nothing."""
    assert json.loads(root.stop("never").stdout) == {"asked": False}
    before = root.run("exit 3").record
    assert [root.stop().returncode, root.stop().returncode] == [0, 0]
    assert root.follow().record == before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_supervisor_is_a_stop_request(root: WorkerRoot, number: signal.Signals) -> None:
    """TERM to the supervisor, as at a machine's shutdown, ends the phase politely and with an end record."""
    root.start("sleep 60")
    os.kill(root.state()["supervisor"], number)
    assert root.follow().end.reason is Reason.CANCELLED


def test_hangup_is_nothing(root: WorkerRoot) -> None:
    """The end of the connection that started it does not end the phase."""
    root.start("sleep 0.5; exit 3")
    os.kill(root.state()["supervisor"], signal.SIGHUP)
    assert root.follow().end.exit_code == 3


def test_a_killed_supervisor_leaves_nothing_running(root: WorkerRoot) -> None:
    """After kill -9 of the supervisor its parent ends the tree, politely first; no end record comes."""
    root.start("exec 2>&-; trap 'echo heard > told; exit' TERM; setsid sleep 60 & echo up; while :; do sleep 0.1; done")
    with root.attach() as attached:
        attached.until(lambda followed: followed.output == b"up\n")
        os.kill(root.state()["supervisor"], signal.SIGKILL)
        assert attached.to_the_end().lost
    assert root.said("told") == "heard"
    worker_root.eventually(lambda: not root.processes())
    assert not (root.folder() / "end.json").exists()


def test_the_command_hears_of_it_when_all_of_ours_are_killed(root: WorkerRoot) -> None:
    """With supervisor and parent killed at once, TERM still reaches the command from the kernel."""
    root.start("trap 'echo heard > told; exit' TERM; echo up; while :; do sleep 0.1; done")
    supervisor = root.state()["supervisor"]
    parent = int(pathlib.Path(f"/proc/{supervisor}/stat").read_text().rpartition(")")[2].split()[1])
    for pid in (parent, supervisor):
        os.kill(pid, signal.SIGKILL)
    assert root.said("told") == "heard"


def test_a_removed_phase_ends_quietly(root: WorkerRoot) -> None:
    """When somebody removes the phase's directory, the supervisor goes once the command is over."""
    root.start('rm -rf "$ACCEL_CI_RESULTS/../phases"; sleep 0.2')
    worker_root.eventually(lambda: not root.processes())
    assert "never started" in root.follow().lost


def test_a_second_start_changes_nothing(any_root: WorkerRoot) -> None:
    """Whose answer was lost asks again with the same spec: the command runs once, before and after its end."""
    spec = any_root.spec("echo ran >> runs; sleep 0.3")
    answers = [json.loads(any_root.ask_to_start(spec).stdout) for _ in range(2)]
    assert answers == [{"started": True}, {"started": False}]
    assert any_root.follow().end.exit_code == 0
    again = any_root.ask_to_start(spec)
    assert (again.returncode, json.loads(again.stdout)) == (0, {"started": False})
    assert (any_root.path / "source" / "runs").read_text() == "ran\n"


def test_a_start_that_was_interrupted_can_be_repeated(root: WorkerRoot) -> None:
    """Killed at any moment, `start` leaves either nothing or a running phase; asked again, the command has run once."""
    for delay_ms in (0, 20, 35, 50, 65, 90):
        phase = f"after-{delay_ms}"
        spec = json.dumps(root.spec(f"echo ran >> {phase}", phase=phase)).encode()
        with subprocess.Popen(
            root.command("supervisor.py", "start"), stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as first:
            assert first.stdin is not None
            first.stdin.write(spec)
            first.stdin.close()
            time.sleep(delay_ms / 1000)
            first.kill()
        assert root.call("supervisor.py", "start", data=spec).returncode == 0
        assert root.follow(phase).end.exit_code == 0
        assert (root.path / "source" / phase).read_text() == "ran\n"


def test_concurrent_starts_run_one_command(root: WorkerRoot) -> None:
    """Of eight starts at the same moment one starts the command; all are told so, and no draft is left."""
    spec = json.dumps(root.spec("echo ran >> runs; sleep 0.3")).encode()
    command = root.command("supervisor.py", "start")
    starts = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(8)]
    answers: list[dict[str, Any]] = []
    threads = [
        threading.Thread(target=lambda s: answers.append(json.loads(s.communicate(spec)[0])), args=(s,)) for s in starts
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [start.returncode for start in starts] == [0] * 8
    assert sorted(answer["started"] for answer in answers) == [False] * 7 + [True]
    assert root.follow().end.exit_code == 0
    assert (root.path / "source" / "runs").read_text() == "ran\n"
    assert os.listdir(root.path / "phases") == ["run"]


@pytest.mark.parametrize("changes", [{"key": "other"}, {"nonce": "f" * 32}])
def test_a_start_for_another_owner_is_refused(root: WorkerRoot, changes: dict[str, str]) -> None:
    """A phase that was started with another key or nonce is left alone: exit 3, and an error instead of an answer."""
    root.run("exit 0")
    refused = root.ask_to_start(root.spec("echo again", **changes))
    assert refused.returncode == 3
    assert json.loads(refused.stdout).keys() == {"error"}
    assert root.follow().end.key == KEY


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        *(
            json.dumps({**WorkerRoot.usual("true"), **changes}).encode()
            for changes in (
                {"version": 2},
                {"limit_s": float("nan")},
                {"lease_expires_at": float("inf")},
                {"sent_at": float("-inf")},
                {"limit_s": "60"},
                {"phase": "../x"},
                {"phase": ""},
                {"phase": 3},
                {"more": 1},
            )
        ),
    ],
)
def test_a_spec_that_is_none_is_refused(root: WorkerRoot, broken: bytes) -> None:
    """What is no spec starts nothing, is answered by an error, and is not repeated in it: it may hold secrets."""
    refused = root.call("supervisor.py", "start", data=broken)
    assert refused.returncode == 1
    assert NONCE not in refused.stdout.decode() + refused.stderr.decode()
    assert json.loads(refused.stdout).keys() == {"error"}
    assert not (root.path / "phases").exists()


def test_a_root_that_cannot_be_written_is_an_error(root: WorkerRoot) -> None:
    """When the phase's directory cannot be made, `start` says so at once, and nothing runs."""
    (root.path / "phases").write_text("a file")
    refused = root.ask_to_start(root.spec("true"))
    assert refused.returncode == 1
    assert "cannot be set up" in json.loads(refused.stdout)["error"]


def test_a_failure_of_ours_is_told(root: WorkerRoot) -> None:
    """When the supervisor itself fails, `start` says so, nothing is left running, and clients read its last words."""
    failed = root.ask_to_start(root.spec("sleep 60", environment={"A": 3}))
    assert (failed.returncode, "died" in json.loads(failed.stdout)["error"]) == (1, True)
    assert "TypeError" in root.follow().lost
    assert json.loads(root.ask_to_start(root.spec("sleep 60", environment={"A": "3"})).stdout) == {"started": False}


def test_without_proc_the_tree_is_found_by_ps(root: WorkerRoot) -> None:
    """Where there is no /proc, as on a Mac, limits end the command with its children, and memory is measured."""
    path = root.path / "process_tree.py"
    text = path.read_text()
    path.write_text(text.replace('PROC = "/proc"', f'PROC = "{root.path}/no-proc"'))
    assert path.read_text() != text
    end = root.run(f'setsid {root.python} -c "{STUBBORN}" & wait', limit_s=0.8, grace_s=0.2).end
    assert nothing_lives(root), root.processes()
    assert (end.reason, end.signal) == (Reason.TIMED_OUT, signal.SIGTERM)
    assert end.peak_memory_bytes > 5_000_000
