"""Errors: three families, exit codes, and a page that explains each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from accel_ci.domain import errors
from accel_ci.domain.errors import AccelError, Family

DOCS = Path(__file__).parents[2] / "docs/errors.md"


def _all(kind: type[AccelError] = AccelError) -> Iterator[type[AccelError]]:
    yield kind
    for each in kind.__subclasses__():
        yield from _all(each)


@pytest.mark.parametrize("kind", list(_all()), ids=lambda kind: kind.__name__)
def test_each_error_is_explained_in_the_docs(kind: type[AccelError]) -> None:
    """The docs have a heading for each error's anchor, and its exit code in the table."""
    text = DOCS.read_text()
    assert f"\n## {kind.anchor}\n" in text
    assert f"\n| {kind.exit_code} | " in text


def test_each_family_has_its_exit_codes() -> None:
    """Configuration is 2 (130 when cancelled), the cloud 3 (5 when cleanup is unverified), our bug 70."""
    codes = {family: {kind.exit_code for kind in _all() if kind.family is family} for family in Family}
    assert codes == {Family.CONFIGURATION: {2, 130}, Family.CLOUD: {3, 5}, Family.BUG: {70}}


def test_unverified_cleanup_carries_its_commands() -> None:
    """What to do is the command to paste."""
    error = errors.CleanupUnverifiedError("one machine may live", commands=("delete a", "delete b"))
    assert "delete a ; delete b" in error.what_to_do


def test_mistakes_read_as_one_line_each() -> None:
    """Name, problem and suggestion, without empty brackets."""
    assert str(errors.Mistake("zones", "is empty", "write us-central1-b")) == "zones: is empty (write us-central1-b)"
    assert str(errors.Mistake("zones", "is empty")) == "zones: is empty"
