"""Quantities for people."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accel_ci.render import units


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0.0 s"),
        (0, "0.0 s"),
        (0.04, "0.0 s"),
        (12.34, "12.3 s"),
        (59.94, "59.9 s"),
        (59.96, "1 m 00 s"),
        (65, "1 m 05 s"),
        (3599.6, "1 h 00 m"),
        (7620, "2 h 07 m"),
        (90_000, "25 h 00 m"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    """Tenths below a minute, then minutes, then hours; never 60 of anything."""
    assert units.duration(seconds) == text


@given(st.floats(0, 1e7))
def test_no_duration_has_sixty_of_anything(seconds: float) -> None:
    """Rounding never makes "60 s" or "60 m"."""
    assert "60" not in units.duration(seconds).replace(" h", "h").split(" ")


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1_048_575, "1.0 MiB"),
        (28_400_000, "27.1 MiB"),
        (5 << 50, "5120.0 TiB"),
    ],
)
def test_sizes(count: int, text: str) -> None:
    """Powers of 1,024, one digit behind the point; never 1024.0 of a unit that has a larger one."""
    assert units.size(count) == text


@pytest.mark.parametrize(
    ("amount", "text"), [(None, "unknown"), (0, "$0.00"), (0.0042, "$0.0042"), (0.105, "$0.10"), (1234.5, "$1,234.50")]
)
def test_dollars(amount: float | None, text: str) -> None:
    """An unknown price is never shown as nothing."""
    assert units.dollars(amount) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "1970-01-01 00:00:00 UTC"), (1_795_226_400, "2026-11-21 02:00:00 UTC"), (1e300, "unknown time")],
)
def test_moments(seconds: float, text: str) -> None:
    """UTC, and it says so; a time beyond the calendar is no error."""
    assert units.moment(seconds) == text


def test_numbers_agree_with_their_things() -> None:
    """One test, two tests."""
    assert [units.number(count, "test") for count in (0, 1, 1234)] == ["0 tests", "1 test", "1,234 tests"]
