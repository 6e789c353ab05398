"""Calls side by side, so that what hangs holds up nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

Lane = Iterator[Callable[[], None]]


class Lanes(Protocol):
    """What is asked of several machines, zones or clouds at once. The rest of a use case is one thing after the other."""

    def run(self, lanes: Sequence[Lane], *, limit_s: float) -> bool:
        """Go down all lanes at the same time; each call that a lane gives is made at once, while the lane goes on.

        True when all is done, False when `limit_s` seconds were over before: what still hangs is then left to itself, and
        its lane gives no more calls that anybody makes. Lanes and calls deal with their own errors; any that leaves one
        is raised here. CancelledError when asked to stop meanwhile.
        """
