"""GitHub's lists, which may be some seconds behind what it tells of one thing by its id. Pure state."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from accel_ci_sim.world.dice import Dice

Thing = TypeVar("Thing")


class Lists:
    """Up to `longest_s` seconds behind, each thing by a time of its own; not at all before `lag` was called."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.longest_s = 0.0
        self._now = now
        self._stream: Dice | None = None
        self._shown_at: dict[tuple[str, int], float] = {}
        self._before: dict[tuple[str, int], tuple[float, object]] = {}

    def lag(self, stream: Dice, longest_s: float) -> None:
        """From now on what is made or changed is listed late."""
        self._stream, self.longest_s = stream, longest_s

    def made(self, kind: str, number: int) -> None:
        """Something is new: no list has it yet."""
        if self._stream is not None:
            self._shown_at[kind, number] = self._now() + self._behind_s(self._stream)

    def changed(self, kind: str, number: int, before: object) -> None:
        """Something is gone or different: lists still tell what was there before."""
        if self._stream is not None and self.shown(kind, number):
            self._before[kind, number] = self._now() + self._behind_s(self._stream), before

    def _behind_s(self, stream: Dice) -> float:
        return stream.choice((stream.uniform(0.0, self.longest_s), self.longest_s))

    def shown(self, kind: str, number: int, *, at: float | None = None) -> bool:
        """True when lists have what was made, now or at that time."""
        return self._shown_at.get((kind, number), 0.0) <= (self._now() if at is None else at)

    def of(self, kind: str, things: Iterable[Thing], number: Callable[[Thing], int]) -> list[Thing]:
        """What a list has instead of these things, by their number."""
        if self._stream is None:
            return [*things]
        now = self._now()
        known = {number(each): each for each in things if self.shown(kind, number(each))}
        for (what, which), (until, before) in self._before.items():
            if what == kind and until > now:
                known[which] = before  # type: ignore[assignment]
        return [known[which] for which in sorted(known)]
