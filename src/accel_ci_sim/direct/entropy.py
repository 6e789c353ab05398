"""The entropy port: the world's own dice."""

from __future__ import annotations

from accel_ci_sim.world.dice import Dice


class Entropy:
    """Values that only the seed decides."""

    def __init__(self, stream: Dice) -> None:
        self._dice = stream

    def token(self) -> str:
        """32 hexadecimal digits."""
        return f"{self._dice.getrandbits(128):032x}"

    def uniform(self, low: float, high: float) -> float:
        """A number between the two."""
        return self._dice.uniform(low, high)
