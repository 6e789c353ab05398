"""The command line on a computer that does not do its part: streams that are closed or full, a disk without room."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests import judges
from tests.end_to_end.terminal import Terminal

CLOSED = ("<&-", ">&-", "2>&-", "<&- >&- 2>&-")
FULL = ">/dev/full"


def _shell(terminal: Terminal, redirection: str, *words: str) -> subprocess.CompletedProcess[str]:
    """The command with its streams as the shell says."""
    return subprocess.run(
        ["bash", "-c", f'"$@" {redirection}', "bash", *terminal.command(*words)],
        cwd=terminal.project,
        env=terminal.environ(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("redirection", CLOSED)
@pytest.mark.parametrize(("command", "code"), [("true", 0), ("exit 3", 1)])
def test_closed_streams_change_no_verdict(terminal: Terminal, redirection: str, command: str, code: int) -> None:
    """Who reads nothing still gets the verdict's exit code, and no machine is left."""
    done = _shell(terminal, redirection, "run", "--backend", "local", "--", command, ";", "true")
    assert "Traceback" not in done.stdout + done.stderr
    done = _shell(terminal, redirection, "run", "--backend", "local", "--run", command)
    assert (done.returncode, terminal.machines()) == (code, [])


def test_no_file_of_ours_takes_a_closed_streams_number(terminal: Terminal) -> None:
    """What the command prints goes nowhere, and not into the record that happens to be open."""
    done = _shell(terminal, ">&- 2>&-", "run", "--backend", "local", "--run", "seq 1 5000")
    assert (done.returncode, terminal.record().exit_code) == (0, 0)


@pytest.mark.parametrize("words", [["list"], ["accelerators"], ["accelerators", "--json"]])
def test_half_an_answer_is_no_success(terminal: Terminal, words: list[str]) -> None:
    """An answer that finds no room ends with another code than 0, and says why in words."""
    done = _shell(terminal, FULL, *words)
    assert done.returncode != 0
    assert "No space left on device" in done.stderr and "Traceback" not in done.stderr


def test_output_without_room_ends_no_run(terminal: Terminal) -> None:
    """The run goes on to its report and its cleanup; only then the lost output is an error."""
    done = _shell(terminal, FULL, "run", "--backend", "local", "--run", "echo begun; sleep 0.5; echo done > ran")
    assert (done.returncode, terminal.machines()) == (3, [])
    assert "Passed on local" in done.stderr and "output is lost: No space left on device" in done.stderr


def test_a_disk_without_room_is_told_in_words(terminal: Terminal) -> None:
    """Where no file may grow nothing is leased, and the message names the file and what to do."""
    script = f"ulimit -f 0; exec {' '.join(map(_quoted, terminal.command('run', '--backend', 'local', '--', 'true')))}"
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=terminal.project,
        env=terminal.environ(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, terminal.machines()) == (3, [])
    assert "this computer: File too large: " in done.stderr and "What to do: make room" in done.stderr


def test_a_state_directory_that_is_none(terminal: Terminal, tmp_path: Path) -> None:
    """A place of one's own that is a file is named, with the variable that mends it."""
    (tmp_path / "state").write_text("")
    done = terminal("run", "--backend", "local", "--", "true", ACCEL_CI_STATE=str(tmp_path / "state"))
    assert done.returncode == 3 and "Traceback" not in done.stderr


def _quoted(word: str) -> str:
    return "'" + word.replace("'", "'\\''") + "'"


@pytest.mark.parametrize("document", ["context.json", "inputs.json", "main/record.json", "main/machine.json"])
def test_damaged_documents_are_told_and_hide_no_machine(terminal: Terminal, document: str) -> None:
    """Half a document, or another version's: each verb says so in words, and either cleanup or the list has the machine."""
    assert terminal("provision", "--backend", "local").returncode == 0
    (run,) = terminal.runs()
    (run / document).write_text("{")
    for words in (["run-remote", "--", "true"], ["ssh", "--", "true"], ["attach"], ["attach", "nonsense"], ["report"]):
        assert "Traceback" not in terminal(*words).stderr, words
    listed, cleaned = terminal("list"), terminal("cleanup")
    assert "local://" in listed.stdout and "Traceback" not in listed.stderr + cleaned.stderr
    assert terminal.machines() == [] or (cleaned.returncode == 3 and "`accel-ci list`" in cleaned.stderr)


def _without_git(terminal: Terminal, tmp_path: Path) -> dict[str, str]:
    """A PATH with all that a run on this computer needs but git."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("sh", "bash", "env", "ssh-keygen", "ssh"):
        (programs / name).symlink_to(judges.require(name))
    return {"PATH": str(programs)}


def _job(tmp_path: Path) -> dict[str, str]:
    """The variables of a job that tests the commit of a push."""
    facts = {"EVENT_NAME": "push", "JOB": "tpu", "REPOSITORY": "org/repo", "RUN_ID": "7", "SHA": "a" * 40}
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    named = {f"GITHUB_{name}": value for name, value in facts.items()}
    return named | {"GITHUB_ACTIONS": "true", "GITHUB_WORKSPACE": str(workspace), "RUNNER_TEMP": str(tmp_path)}


@pytest.mark.parametrize("words", [["provision", "--backend", "local"], ["run", "--backend", "local", "--run", "true"]])
def test_a_missing_git_is_noticed_before_a_machine_is_asked_for(
    terminal: Terminal, words: list[str], tmp_path: Path
) -> None:
    """In a job the commit is packed with it, at a terminal a repository's directory: nothing is leased or kept before."""
    environ = _without_git(terminal, tmp_path)
    job = terminal(*words, timeout=60, **environ, **_job(tmp_path))
    (terminal.project / ".git").mkdir()
    person = terminal(*words, timeout=60, **environ)
    for done in (job, person):
        assert done.returncode == 2 and "git is not installed here" in done.stdout + done.stderr
        assert "install it before this step" in done.stdout + done.stderr
    assert terminal.machines() == [] and not list(tmp_path.rglob("record.json"))


def test_a_directory_in_no_repository_needs_no_git(terminal: Terminal, tmp_path: Path) -> None:
    """It is sent as it is; in a job, where only a later step says what is sent, a warning has to do."""
    environ = _without_git(terminal, tmp_path)
    run = ("run", "--backend", "local", "--run", "test -f test_three.py")
    assert terminal(*run, timeout=60, **environ).returncode == 0
    facts = _job(tmp_path)
    (tmp_path / "workspace/file").touch()
    done = terminal("provision", "--backend", "local", timeout=60, **environ, **facts)
    assert done.returncode == 0 and "run-remote can only send the directory as it is" in done.stdout
    assert terminal("cleanup", timeout=60, **environ, **facts).returncode == 0
