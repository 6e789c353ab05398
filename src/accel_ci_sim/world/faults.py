"""What can go wrong with a call from a process to the rest of the world, and when it does."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from accel_ci_sim.world.dice import Dice


class Fate(StrEnum):
    """What becomes of one call."""

    NONE = "none"
    FAIL = "fail"
    LOSE = "lose"
    DUPLICATE = "duplicate"
    DELAY = "delay"
    CRASH_BEFORE = "crash-before"
    CRASH_AFTER = "crash-after"


CRASHES = (Fate.CRASH_BEFORE, Fate.CRASH_AFTER)
DISTURBANCES = (Fate.FAIL, Fate.LOSE, Fate.DUPLICATE, Fate.DELAY)
DISTANT = DISTURBANCES + CRASHES  # what can become of a call that leaves this computer
LOCAL = CRASHES
FATES = tuple(Fate)
MIXED = (*DISTURBANCES * 3, *CRASHES)  # a run has hundreds of calls: it should often live long enough to do something
NEVER = 1 << 62
LONGEST_DELAY_S = 20.0


@dataclass(frozen=True, slots=True)
class Aim:
    """One fault that surely comes when there are so many calls: the `nth` (from 1) call of the site meets `fate`.

    With a `role` only the calls of processes of that role count.
    """

    site: int
    nth: int
    fate: Fate
    role: str = ""


class Faults:
    """Fates by the dice, of `kinds`, at a rate per call, and some by aim, at the sites `aimed`.

    `left` counts the calls until the next one by the dice.
    """

    __slots__ = ("_dice", "_kinds", "_pending", "_rate", "aimed", "left")

    def __init__(self, dice: Dice, rate: float, aims: tuple[Aim, ...] = (), *, kinds: tuple[Fate, ...] = MIXED) -> None:
        self._dice = dice
        self._rate = rate
        self._kinds = kinds
        self._pending = {aim: aim.nth for aim in aims}
        self.aimed = frozenset(aim.site for aim in aims)
        self.left = self._gap()

    def fate(self, site: int, allowed: tuple[Fate, ...], *, role: str = "") -> Fate:
        """The fate of the present call, which is due by dice or may be one aimed at; `none` very often."""
        # An aim comes first, so that a replay with --aim meets what it says.
        hit = self._aimed_at(site, role) if site in self.aimed else None
        if hit is not None:
            return hit.fate if hit.fate in allowed else Fate.NONE
        if self.left > 0:
            return Fate.NONE
        self.left = self._gap()
        drawn = self._dice.choice(self._kinds)
        # No second draw: a local call that would have been delayed simply is not.
        return drawn if drawn in allowed else Fate.NONE

    @property
    def some(self) -> bool:
        """True while the dice may bring one."""
        return self._rate > 0

    def stop(self) -> None:
        """No faults from now on."""
        # Bounds hold once faults stop: with faults for ever nothing could be promised.
        self._rate, self.left, self.aimed = 0.0, NEVER, frozenset()
        self._pending.clear()

    def _aimed_at(self, site: int, role: str) -> Aim | None:
        for aim in [each for each in self._pending if each.site == site and each.role in ("", role)]:
            self._pending[aim] -= 1
            if not self._pending[aim]:
                del self._pending[aim]
                self.aimed = frozenset(each.site for each in self._pending)
                return aim
        return None

    def _gap(self) -> int:
        """How many calls from now the next fault comes: geometric, so that a call without one costs no dice."""
        if self._rate <= 0:
            return NEVER
        if self._rate >= 1:
            return 1
        return 1 + int(math.log(1 - self._dice.random()) / math.log(1 - self._rate))
