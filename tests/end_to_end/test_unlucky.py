"""The command line on a computer that does not do its part: streams that are closed or full, a disk without room."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

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
