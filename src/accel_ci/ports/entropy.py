"""Randomness."""

from __future__ import annotations

from typing import Protocol


class Entropy(Protocol):
    """The only source of random values."""

    def token(self) -> str:
        """32 unguessable hexadecimal digits."""

    def uniform(self, low: float, high: float) -> float:
        """A number between `low` and `high`, for jitter."""
