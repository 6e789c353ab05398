"""The chance in a simulated cloud: knobs that say how often, and dice that say when."""

from __future__ import annotations

from accel_ci_sim.world import dice, tpu_knobs
from accel_ci_sim.world.tpu_knobs import Knobs, Range


class Luck:
    """Knobs and the dice that go with their seed. `purpose` keeps the dice of one service apart from the others'."""

    def __init__(self, knobs: Knobs, purpose: str) -> None:
        self.knobs = knobs
        self.dice = dice.of(knobs.seed, 0, purpose)
        self._purpose = purpose

    def turn(self, knobs: Knobs) -> None:
        """Go on with these; another seed begins another sequence."""
        # Other knobs alone must not shift what was going to happen.
        if knobs.seed != self.knobs.seed:
            self.dice = dice.of(knobs.seed, 0, self._purpose)
        self.knobs = knobs

    def draw(self, given: Range) -> float:
        """Seconds out of the range."""
        return tpu_knobs.seconds(self.dice, given)

    def chance(self, probability: float) -> bool:
        """True with that probability."""
        return dice.chance(self.dice, probability)

    def scarce(self, zone: str) -> bool:
        """True when the zone has none left, this time."""
        return self.chance(self.knobs.stockout_chance(zone))
