"""Randomness from the operating system."""

from __future__ import annotations

import random
import secrets


class SystemEntropy:
    """Values that nobody can guess or repeat."""

    def token(self) -> str:
        """32 hexadecimal digits: 128 bits."""
        return secrets.token_hex(16)

    def uniform(self, low: float, high: float) -> float:
        """A number between `low` and `high`, both included."""
        return random.SystemRandom().uniform(low, high)
