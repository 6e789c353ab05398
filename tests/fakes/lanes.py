"""Lanes one after the other: what is done and in which order depends on nothing but the test."""

from __future__ import annotations

from collections.abc import Sequence

from accel_ci.ports.lanes import Lane


class FakeLanes:
    """Each lane to its end, and each of its calls as soon as it gives it. `limits` holds the limit of each run."""

    def __init__(self) -> None:
        self.limits: list[float] = []

    def run(self, lanes: Sequence[Lane], *, limit_s: float) -> bool:
        """Nothing hangs here: what takes long takes the fake clock's time."""
        self.limits.append(limit_s)
        for lane in lanes:
            for call in lane:
                call()
        return True
