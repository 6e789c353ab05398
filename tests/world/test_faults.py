"""When fates come: at a rate, by aim, or not any more."""

from __future__ import annotations

from accel_ci_sim.world import dice
from accel_ci_sim.world.faults import CRASHES, DISTANT, DISTURBANCES, LOCAL, Aim, Fate, Faults


def _fates(faults: Faults, calls: int, *, site: int = 1, allowed: tuple[Fate, ...] = DISTANT) -> list[Fate]:
    met = []
    for _ in range(calls):
        faults.left -= 1
        due = faults.left <= 0 or site in faults.aimed
        met.append(faults.fate(site, allowed) if due else Fate.NONE)
    return met


def test_faults_come_at_the_rate() -> None:
    """One call in fifty, of all kinds, disturbances more often than crashes."""
    met = [fate for fate in _fates(Faults(dice.of(1, 1, "faults"), 0.02), 50_000) if fate is not Fate.NONE]
    assert 850 < len(met) < 1150
    assert set(met) == set(DISTANT)
    assert sum(fate in CRASHES for fate in met) < len(met) / 5


def test_local_calls_only_crash() -> None:
    """A file cannot lose a reply."""
    met = set(_fates(Faults(dice.of(1, 1, "faults"), 0.5), 1000, allowed=LOCAL))
    assert met == {Fate.NONE, *CRASHES}


def test_kinds_restrict_the_dice() -> None:
    """Where nobody survives a crash, none comes."""
    met = set(_fates(Faults(dice.of(1, 1, "faults"), 0.5, kinds=DISTURBANCES), 1000))
    assert met == {Fate.NONE, *DISTURBANCES}


def test_no_rate_no_faults() -> None:
    """At 0 nothing happens, at 1 something happens every time."""
    assert set(_fates(Faults(dice.of(1, 1, "faults"), 0.0), 1000)) == {Fate.NONE}
    assert Fate.NONE not in _fates(Faults(dice.of(1, 1, "faults"), 1.0), 1000)


def test_an_aimed_fault_meets_exactly_its_call() -> None:
    """The third call of the site, once, and no call of another site."""
    faults = Faults(dice.of(1, 1, "faults"), 0.0, (Aim(site=7, nth=3, fate=Fate.LOSE),))
    assert _fates(faults, 10, site=1) == [Fate.NONE] * 10
    assert _fates(faults, 5, site=7) == [Fate.NONE, Fate.NONE, Fate.LOSE, Fate.NONE, Fate.NONE]


def test_stopped_faults_stay_away() -> None:
    """Neither dice nor aim go on."""
    faults = Faults(dice.of(1, 1, "faults"), 1.0, (Aim(site=7, nth=1, fate=Fate.LOSE),))
    faults.stop()
    assert set(_fates(faults, 100, site=7)) == {Fate.NONE}


def test_streams_are_independent_and_repeatable() -> None:
    """The same seed, world and purpose give the same numbers, any other gives others."""
    numbers = {
        (seed, world, purpose): dice.of(seed, world, purpose).random()
        for seed in (1, 2) for world in (1, 2) for purpose in ("cloud", "faults")
    }  # fmt: skip
    assert len(set(numbers.values())) == 8
    assert dice.of(1, 1, "cloud").random() == numbers[1, 1, "cloud"]
