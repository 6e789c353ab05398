"""The lanes port in a world: one after the other, so that the world is the seed's alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from accel_ci.ports.lanes import Lane

Within = Callable[[float, Callable[[], None]], bool]


def _at_leisure(limit_s: float, work: Callable[[], None]) -> bool:
    del limit_s
    work()
    return True


class Lanes:
    """What hangs in one lane holds the next one up here: worse than it is, and the rules must hold all the same."""

    def __init__(self, within: Within = _at_leisure) -> None:
        self._within = within

    def run(self, lanes: Sequence[Lane], *, limit_s: float) -> bool:
        """See ports.lanes.Lanes. What has to wait any longer than the limit is never heard of again."""

        def work() -> None:
            for lane in lanes:
                for call in lane:
                    call()

        return self._within(limit_s, work)
