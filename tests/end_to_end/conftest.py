"""A project and a home for each end-to-end test."""

from __future__ import annotations

from pathlib import Path

import pytest

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
