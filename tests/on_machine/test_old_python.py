"""What runs on machines runs on Python 3.8."""

from __future__ import annotations

import ast
import pathlib
import subprocess
import sys

import pytest

from tests.on_machine import worker_root
from tests.on_machine.worker_root import ON_MACHINE, PROGRAMS


def judged(path: pathlib.Path) -> tuple[int, str]:
    """What vermin says to a file that has to run on 3.8: 0 when it does."""
    command = [sys.executable, "-c", "import vermin; vermin.main()", "-t=3.8-", "--no-tips", "--violations", str(path)]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    assert told.stderr == ""
    return told.returncode, told.stdout


@pytest.mark.parametrize("program", [*PROGRAMS, "excerpt.py"])
def test_no_program_needs_more_than_python_3_8(program: str) -> None:
    """Neither its syntax nor what it takes from the standard library came after 3.8."""
    ast.parse((ON_MACHINE / program).read_text(), feature_version=(3, 8))
    code, text = judged(ON_MACHINE / program)
    assert code == 0, text


def test_the_judge_of_versions_is_awake(tmp_path: pathlib.Path) -> None:
    """The check finds what is too new, so that its silence means something."""
    (tmp_path / "new.py").write_text("import graphlib\n")
    code, text = judged(tmp_path / "new.py")
    assert (code, "graphlib" in text) == (1, True)


@pytest.mark.parametrize("version", sorted(worker_root.interpreters()))
def test_interpreters_are_what_they_are_taken_for(version: str) -> None:
    """The interpreters on which the programs are tried are found by running them."""
    asked = subprocess.run(
        [worker_root.interpreters()[version], "--version"], capture_output=True, text=True, check=True
    )
    assert asked.stdout.startswith(f"Python {version}.")
