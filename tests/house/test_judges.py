"""A judge that is not installed is never forgotten."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TEST = """
import pytest

@pytest.mark.judge("no-such-program")
def test_judged(): ...

@pytest.mark.judge("sh")
def test_other(): ...
"""


def run(directory: Path, *, ci: str, options: tuple[str, ...] = ()) -> str:
    """What pytest prints about one test that needs an absent program, and one that needs a present one."""
    (directory / "test_it.py").write_text(TEST)
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-p", "no:cacheprovider", *options, "."]
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(root), "CI": ci}
    return subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, check=False).stdout


@pytest.mark.parametrize("options", [(), ("-n", "1")])
def test_absent_judge_is_named(tmp_path: Path, options: tuple[str, ...]) -> None:
    """On somebody's computer the test is taken out and named in the summary, with pytest-xdist too; others run."""
    said = run(tmp_path, ci="", options=options)
    assert said.count("not run here: test_it.py::test_judged (no-such-program is not installed)") == 1
    assert "1 passed" in said
    assert "skipped" not in said
    assert "failed" not in said


def test_absent_judge_fails_in_ci(tmp_path: Path) -> None:
    """Under CI=true the same test fails, naming the program."""
    said = run(tmp_path, ci="true")
    assert "no-such-program is not installed" in said
    assert "1 passed, 1 error" in said
