"""Cutting long texts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from accel_ci.domain import clipping


def test_short_texts_stay_as_they_are() -> None:
    """Up to the limit nothing is changed."""
    assert clipping.clip("x" * 100, 100) == "x" * 100


@given(st.text(max_size=2000), st.integers(80, 500))
def test_long_texts_keep_their_beginning_and_their_end(text: str, limit: int) -> None:
    """The result has at most `limit` characters, begins and ends as the text does, and says that something is missing."""
    clipped = clipping.clip(text, limit)
    assert len(clipped) <= limit
    if len(text) > limit:
        assert "characters left out" in clipped
        assert clipped[: limit // 4] == text[: limit // 4]
        assert text.endswith(clipped.rsplit("...]\n", 1)[-1])
