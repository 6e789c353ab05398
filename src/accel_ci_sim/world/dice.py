"""Seeded randomness: one independent stream per purpose, so that more dice here change nothing there."""

from __future__ import annotations

import random

Dice = random.Random


def of(seed: int, world: int, purpose: str) -> Dice:
    """The stream of one purpose in one world: the same on every computer and under every PYTHONHASHSEED."""
    # Seeded by a text: random hashes texts by SHA-512, independently of PYTHONHASHSEED.
    return random.Random(f"{seed}/{world}/{purpose}")


def chance(dice: Dice, probability: float) -> bool:
    """True with that probability."""
    return dice.random() < probability
