"""How durations, sizes and counts are read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accel_ci.inputs import quantities
from accel_ci.inputs.quantities import Count, Duration, Size
from tests.inputs.refusals import refused

TTL = Duration("10s", "24h")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30m", 1800), ("1h30m", 5400), ("90s", 90), ("1h0m5s", 3605), ("24h", 86400), (" 10s ", 10), ("20m + 25m", 2700)],
)
def test_durations_are_seconds(text: str, seconds: int) -> None:
    """Hours, minutes and seconds, in this order, add up to seconds."""
    assert TTL.parse(text) == seconds


@pytest.mark.parametrize(
    ("text", "problem", "suggestion"),
    [
        ("30", "is not a duration", "say the unit: `30m` or `30s`"),
        ("1.5h", "is not a duration", "write something like `90s`, `30m` or `1h30m`"),
        ("30M", "is not a duration", "write something like `90s`, `30m` or `1h30m`"),
        ("20 + 25m", "is not a duration", "say the unit: `20m` or `20s`"),
        ("20m+", "is not a duration", "write something like `90s`, `30m` or `1h30m`"),
        ("30m1h", "is not a duration", "write something like `90s`, `30m` or `1h30m`"),
        ("-5m", "is not a duration", "write something like `90s`, `30m` or `1h30m`"),
        ("", "is not a duration", "write something like `90s`, `30m` or `1h30m`"),
        ("٣m", "is not a duration", "write something like `90s`, `30m` or `1h30m`"),
        ("9s", "is too short", "at least 10s"),
        ("24h1s", "is too long", "at most 24h"),
        ("99999h", "is too long", "at most 24h"),
        ("9" * 5000 + "h", "is not a duration", "write something like `90s`, `30m` or `1h30m`"),
    ],
)
def test_wrong_durations(text: str, problem: str, suggestion: str) -> None:
    """A number without a unit, another notation and what is out of bounds are refused, each with what to write."""
    error = refused(TTL, text)
    assert (error.problem, error.suggestion) == (problem, suggestion)


@given(st.integers(0, 99_999 * 3600))
def test_durations_are_spelled_as_they_are_read(seconds: int) -> None:
    """Spelling a duration and reading it again gives the same seconds."""
    assert quantities.seconds(quantities.duration(seconds)) == seconds


@pytest.mark.parametrize(
    ("text", "size"), [("1B", 1), ("500KiB", 512_000), ("100MiB", 104_857_600), ("1GiB", 1 << 30), ("0B", 0)]
)
def test_sizes_are_bytes(text: str, size: int) -> None:
    """Sizes count in 1024s."""
    assert Size("1GiB").parse(text) == size


@pytest.mark.parametrize(
    ("text", "problem", "suggestion"),
    [
        ("100MB", "is not a size", "did you mean `100MiB`?"),
        ("100 mib", "is not a size", "did you mean `100MiB`?"),
        ("2g", "is not a size", "did you mean `2GiB`?"),
        ("512", "is not a size", "did you mean `512B`?"),
        ("many", "is not a size", "write something like `100MiB` or `1GiB`"),
        ("-1MiB", "is not a size", "write something like `100MiB` or `1GiB`"),
        ("1.5GiB", "is not a size", "write something like `100MiB` or `1GiB`"),
        ("2GiB", "is too large", "at most 1GiB"),
    ],
)
def test_wrong_sizes(text: str, problem: str, suggestion: str) -> None:
    """Other units and notations are refused with the size that was meant, and so is more than the most."""
    error = refused(Size("1GiB"), text)
    assert (error.problem, error.suggestion) == (problem, suggestion)


def test_counts_are_whole_numbers_within_bounds() -> None:
    """A count is a whole number from its least to its most."""
    count = Count(1, 1000)
    assert [count.parse(text) for text in ("1", "007", "1000")] == [1, 7, 1000]
    for text in ("0", "1001", "-1", "1.0", "1e3", "", "٣", "1_0", "9" * 5000):
        assert refused(count, text).suggestion == "a whole number from 1 to 1000"


def test_readers_learn_the_form_of_a_quantity() -> None:
    """Each quantity has a name for readers."""
    assert [syntax.kind for syntax in (TTL, Size("1GiB"), Count(1, 2))] == ["duration", "size", "number"]
