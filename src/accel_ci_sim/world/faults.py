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
    """One fault that surely comes when there are so many calls: the `nth` (from 1) call of the site meets `fate`."""

    site: int
    nth: int
    fate: Fate


class Faults:
    """Fates by the dice, of `kinds`, at a rate per call, and one by aim. `left` counts the calls until the next."""

    __slots__ = ("_dice", "_kinds", "_rate", "aim", "aimed_site", "left", "to_aim")

    def __init__(self, dice: Dice, rate: float, aim: Aim | None = None, *, kinds: tuple[Fate, ...] = MIXED) -> None:
        self._dice = dice
        self._rate = rate
        self._kinds = kinds
        self.aim = aim
        self.aimed_site = aim.site if aim else -1
        self.to_aim = aim.nth if aim else 0
        self.left = self._gap()

    def fate(self, site: int, allowed: tuple[Fate, ...]) -> Fate:
        """The fate of the present call, which is due by dice or may be the one aimed at; `none` very often."""
        if site == self.aimed_site:
            self.to_aim -= 1
            if not self.to_aim and self.aim is not None:
                self.aimed_site = -1
                return self.aim.fate if self.aim.fate in allowed else Fate.NONE
        if self.left > 0:
            return Fate.NONE
        self.left = self._gap()
        drawn = self._dice.choice(self._kinds)
        return drawn if drawn in allowed else Fate.NONE

    def stop(self) -> None:
        """No faults from now on."""
        self._rate, self.left, self.aimed_site = 0.0, NEVER, -1

    def _gap(self) -> int:
        """How many calls from now the next fault comes: geometric, so that a call without one costs no dice."""
        if self._rate <= 0:
            return NEVER
        if self._rate >= 1:
            return 1
        return 1 + int(math.log(1 - self._dice.random()) / math.log(1 - self._rate))
