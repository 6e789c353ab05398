"""The lanes port in a world: one after the other, so that the world is the seed's alone."""

from __future__ import annotations

from collections.abc import Sequence

from accel_ci.ports.lanes import Lane


class Lanes:
    """What hangs in one lane holds the next one up here: worse than it is, and the rules must hold all the same."""

    def run(self, lanes: Sequence[Lane], *, limit_s: float) -> bool:
        """See ports.lanes.Lanes. The limit is for what hangs, and calls here take their time and come back."""
        for lane in lanes:
            for call in lane:
                call()
        return True
