"""`accel-ci run --backend local`: real processes, a real journey, nothing left."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest

from accel_ci.domain.verdict import Verdict
from tests.end_to_end import terminal as terminals
from tests.end_to_end.terminal import Terminal

RUN = ("run", "--backend", "local", "--")
SLOW = "for i in $(seq 40); do head -c 5000 /dev/urandom | base64; sleep 0.05; done; echo end"


def _nothing_left(terminal: Terminal) -> None:
    assert terminal.machines() == []
    deadline = time.monotonic() + 60
    while (alive := terminals.processes_with(str(terminal.home))) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert alive == []


def test_a_failing_project_ends_with_1_and_true_counts(terminal: Terminal) -> None:
    """One pass, one failure, one skip: counted as pytest counts, exit code 1, machine gone, page written."""
    done = terminal("run", "--backend", "local", "--html", "out/report.html", "--", "python", "-m", "pytest", "-q")
    record = terminal.record()
    assert (done.returncode, record.verdict, record.exit_code) == (1, Verdict.FAILED, 1), done.stdout + done.stderr
    assert record.tests is not None and record.tests.counts == {"passed": 1, "failed": 1, "skipped": 1}
    assert "arithmetic" in record.tests.failures[0].message
    assert "arithmetic" in (terminal.project / "out/report.html").read_text()
    _nothing_left(terminal)


def test_a_passing_command_ends_with_0(terminal: Terminal) -> None:
    """Exit code 0 with a positive end record is a pass; the words of the output are shown."""
    done = terminal(*RUN, "echo hello from the machine; exit 0")
    assert (done.returncode, terminal.record().verdict) == (0, Verdict.PASSED), done.stdout + done.stderr
    assert "hello from the machine" in done.stdout
    _nothing_left(terminal)


@pytest.mark.parametrize(("command", "code"), [("exit 7", 7), ("kill -9 $$", None), ("no-such-command-here", 127)])
def test_raw_exit_codes_are_kept(terminal: Terminal, command: str, code: int | None) -> None:
    """Whatever the command ends with stands in the record, and is a failure."""
    done = terminal(*RUN, command)
    assert (done.returncode, terminal.record().exit_code) == (1, code), done.stdout + done.stderr


def test_a_command_that_does_not_end_times_out(terminal: Terminal) -> None:
    """The time limit ends the whole tree politely; exit code 4."""
    (terminal.project / "hang.sh").write_text("trap 'echo asked politely; exit 1' TERM\nsleep 600 & wait\n")
    done = terminal("run", "--backend", "local", "--timeout", "1s", "--", "bash", "hang.sh")
    assert (done.returncode, terminal.record().verdict) == (4, Verdict.TIMED_OUT), done.stdout + done.stderr
    assert "asked politely" in done.stdout
    _nothing_left(terminal)


def test_several_workers_are_several_directories(terminal: Terminal) -> None:
    """local-3 runs the command three times, each with its index and prefix."""
    done = terminal("run", "--accelerator", "local-3", "--", "echo I am $ACCEL_CI_WORKER of $ACCEL_CI_WORKERS; pwd")
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(f"[w{index}] I am {index} of 3" in done.stdout for index in range(3))
    _nothing_left(terminal)


def test_named_files_come_back(terminal: Terminal) -> None:
    """A file that the run made is brought back with its digest, a symlink out of the tree is not."""
    script = "mkdir -p out && echo 42 > out/n.txt && ln -s /etc/passwd out/link.txt"
    done = terminal("run", "--backend", "local", "--paths", "out/**", "--", script)
    assert done.returncode == 0, done.stdout + done.stderr
    (run,) = terminal.runs()
    good = [artifact for artifact in terminal.record().artifacts if not artifact.refused]
    assert [artifact.name for artifact in good] == ["out/n.txt"]
    assert (run / good[0].path).read_text() == "42\n"


def test_the_tested_code_sees_no_credential(terminal: Terminal) -> None:
    """Variables that look like secrets, and those of a CI, do not reach the command."""
    done = terminal(*RUN, "env", GH_TOKEN="tok-secret", MY_API_KEY="key-secret", GITHUB_SHA="sha-secret", PLAIN="seen")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PLAIN=seen" in done.stdout
    assert "-secret" not in done.stdout


def _wait_for_output(terminal: Terminal, least: int) -> Path:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        logs = [log for run in terminal.runs() for log in run.glob("main/log/run-w0.log")]
        if logs and logs[0].stat().st_size >= least:
            return logs[0]
        time.sleep(0.02)
    raise AssertionError("no output came")


def test_a_killed_client_is_attached_again_byte_by_byte(terminal: Terminal) -> None:
    """SIGKILL of the client in the middle, then attach: the log is what the command wrote, the verdict is right."""
    (terminal.project / "slow.sh").write_text(f'{{ {SLOW}; }} | tee "$ACCEL_CI_RESULTS/../told"\nexit 3\n')
    client = terminal.start("run", "--backend", "local", "--", "bash", "slow.sh")
    log = _wait_for_output(terminal, least=20_000)
    client.kill()
    client.communicate()
    at_kill = log.stat().st_size
    (run,) = terminal.runs()
    told = next((terminal.state / "local/machines").glob("*/worker-0/told"))
    copy = terminal.home / "told"
    copy.hardlink_to(told)
    done = terminal("attach", run.name)
    assert done.returncode == 1, done.stdout + done.stderr
    assert log.read_bytes() == copy.read_bytes()
    assert at_kill < log.stat().st_size
    assert (terminal.record().verdict, terminal.record().exit_code) == (Verdict.FAILED, 3)
    _nothing_left(terminal)


def test_two_clients_of_one_run_are_refused(terminal: Terminal) -> None:
    """Attaching while the first client lives is a configuration error, and harms nothing."""
    client = terminal.start(*RUN, "echo begun; sleep 3; echo done")
    _wait_for_output(terminal, least=5)
    (run,) = terminal.runs()
    second = terminal("attach", run.name)
    assert second.returncode == 2 and "another accel-ci" in second.stdout + second.stderr
    client.communicate()
    assert client.returncode == 0
    _nothing_left(terminal)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_cancels_cleans_and_reports(terminal: Terminal, number: signal.Signals) -> None:
    """Ctrl-C or TERM ends the command politely, gives the machine back, reports, and exits 130."""
    client = terminal.start(*RUN, "trap 'echo polite; exit 1' TERM; echo begun; sleep 60 & wait")
    _wait_for_output(terminal, least=5)
    client.send_signal(number)
    text, _ = client.communicate(timeout=60)
    assert client.returncode == 130, text
    assert "polite" in text
    assert terminal.record().verdict is Verdict.CANCELLED
    _nothing_left(terminal)


def test_all_mistakes_are_told_at_once(terminal: Terminal) -> None:
    """Three wrong options give three lines with suggestions, exit code 2, and no machine."""
    done = terminal("run", "--backend", "locl", "--timeout", "30", "--zonez", "x", "--", "true")
    text = done.stdout + done.stderr
    assert done.returncode == 2
    assert "did you mean `local`" in text and "did you mean `zones`" in text and "timeout" in text
    assert terminal.runs() == []


def test_a_backend_of_a_later_version_is_said_plainly(terminal: Terminal) -> None:
    """An accelerator of a cloud that is not built in yet names what there is."""
    done = terminal("run", "--backend", "gke", "--accelerator", "l4-1", "--", "true")
    assert done.returncode == 2 and "not in this version" in done.stdout + done.stderr


def test_the_steps_one_by_one(terminal: Terminal) -> None:
    """provision, run-remote, collect, list, cleanup, report: separate processes share the run, as CI steps do."""
    assert terminal("provision", "--backend", "local").returncode == 0
    listed = terminal("list")
    assert "local://" in listed.stdout and "end it: accel-ci end local://" in listed.stderr
    done = terminal("run-remote", "--", "echo 1 > one.txt")
    assert done.returncode == 0 and f"sent {terminal.project} as it is now, " in done.stderr
    assert terminal("collect", "--paths", "*.txt").returncode == 0
    assert terminal("cleanup").returncode == 0
    assert "no machine" in terminal("list").stdout
    assert terminal("report").returncode == 0
    record = terminal.record()
    assert record.verdict is Verdict.PASSED and record.cleanup is not None and record.cleanup.left == []
    assert [artifact.name for artifact in record.artifacts] == ["one.txt"]
    _nothing_left(terminal)


def test_one_machine_is_ended_by_the_name_of_its_run(terminal: Terminal) -> None:
    """`end` asks for --force while the lease goes on, ends it from any directory, and twice is no mistake."""
    assert terminal("provision", "--backend", "local").returncode == 0
    (run,) = terminal.runs()
    refused = terminal("end")
    assert refused.returncode == 2 and "its lease goes on" in refused.stderr and terminal.machines() == [run.name]
    elsewhere = Terminal(terminal.home, terminal.home)
    ended = elsewhere("end", run.name, "--force")
    assert ended.returncode == 0 and f"local://{run.name} is gone" in ended.stderr and "cost: $0.00" in ended.stderr
    again = terminal("end")
    assert again.returncode == 0 and "is gone already" in again.stderr
    assert terminal("ssh", "--", "true").returncode == 3  # the run knows that it has no machine any more
    _nothing_left(terminal)


def test_inputs_arrive_as_one_json(terminal: Terminal) -> None:
    """ACCEL_CI_INPUTS holds what a workflow passed; the environment of the command does not."""
    done = terminal("run", ACCEL_CI_INPUTS=json.dumps({"backend": "local", "run": "env | grep -c ACCEL_CI_INPUTS"}))
    assert done.returncode == 1 and done.stdout == "0\n", done.stdout + done.stderr
