"""A project and a home for each end-to-end test."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from accel_ci.inputs import manifest
from tests.end_to_end.runner import ROOT, SHIPPED, Runner, git
from tests.end_to_end.terminal import Terminal

TESTS = """
import pytest

def test_pass(): pass

def test_fail(): assert 1 + 1 == 3, "arithmetic"

@pytest.mark.skip(reason="not today")
def test_skip(): pass
"""


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    """A project of three tests (pass, fail, skip) and an empty home; both paths hold a space."""
    project, home = tmp_path / "my project", tmp_path / "my home"
    project.mkdir()
    home.mkdir()
    (project / "test_three.py").write_text(TESTS)
    return Terminal(project, home)


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    """A repository with three tests (pass, fail, skip) in two commits, and a copy of what we ship."""
    repository = tmp_path / "server/org/hello"
    repository.mkdir(parents=True)
    (tmp_path / "home").mkdir()
    git(repository, "init", "-q")
    (repository / "test_three.py").write_text(TESTS)
    git(repository, "add", "-A")
    git(repository, "commit", "-qm", "three tests")
    for name in SHIPPED:
        shutil.copytree(ROOT / name, tmp_path / "accel-ci" / name, ignore=shutil.ignore_patterns("__pycache__"))
    for path in ("action.yml", "provision/action.yml"):  # act does not know `$/`
        text = (ROOT / path).read_text(encoding="utf-8")
        (tmp_path / "accel-ci" / path).write_text(manifest.tagged(text), encoding="utf-8")
    return Runner(tmp_path)
