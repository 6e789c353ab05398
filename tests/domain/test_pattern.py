"""Patterns for branches and paths."""

from __future__ import annotations

import pytest

from accel_ci.domain import pattern


@pytest.mark.parametrize(
    ("text", "written", "fits"),
    [
        ("main", "main", True),
        ("main", "Main", False),
        ("release/1", "release/*", True),
        ("release/1/2", "release/*", False),
        ("release/1/2", "release/**", True),
        ("src/a.py", "**/*.py", True),
        ("a.py", "**/*.py", True),
        ("a.pyc", "**/*.py", False),
        ("src/deep/er/a.py", "src/**/a.py", True),
        ("src/a.py", "src/**/a.py", True),
        ("a+b", "a+b", True),
        ("aab", "a+b", False),
        ("a\nb", "**", True),
        ("main\n", "main", False),
    ],
)
def test_matches(text: str, written: str, fits: bool) -> None:
    """`*` stays within a component, `**` crosses them, everything else is literal, and the whole text has to fit."""
    assert pattern.matches(text, written) is fits
