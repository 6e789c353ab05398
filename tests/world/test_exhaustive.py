"""The standard worlds: every call meets every fate, alone and in pairs, and no rule breaks."""

from __future__ import annotations

import pytest

from accel_ci_sim import __main__ as program
from accel_ci_sim.direct import exhaustive, sites, stages
from accel_ci_sim.world.faults import Aim, Fate

EVERY = stages.every()
SEED = 1


def test_there_is_every_story_on_every_cloud() -> None:
    """Seven stories; clouds with and without a native limit, Compute Engine, Cloud TPU with nodes and queue, and both.

    An eighth, of jobs that share a machine, is on the cloud with most places to go wrong.
    """
    assert len(EVERY) == 7 * len(stages.CLOUDS) + 1
    assert {name.rpartition("/")[2] for name in EVERY} == {"native", "sim", "gce", "auto", "tpu", "queued"}


@pytest.mark.parametrize("name", EVERY)
def test_the_undisturbed_world_breaks_no_rule(name: str) -> None:
    """It makes a machine, ends it, and gives each job a verdict, unless the runner is lost."""
    tally = exhaustive.simulated(SEED, EVERY[name], ()).tally()
    assert tally.found == [] and tally.machines and not tally.left
    assert tally.verdicts or name.startswith("runner lost")


def test_singles_are_every_call_with_every_fate() -> None:
    """As many worlds as the undisturbed one has calls, times the fates of each, and no two alike."""
    stage = EVERY["journey/native"]
    calls = exhaustive.simulated(SEED, stage, ()).tally().calls
    singles = exhaustive.singles(SEED, stage)
    assert len(singles) == len(set(singles)) == sum(n * len(sites.SITES[site].fates) for site, n in calls.items())


def test_a_single_fault_comes_exactly_once() -> None:
    """The last call of a site meets its fate, and nothing else does."""
    stage = EVERY["steps/tpu"]
    aim = exhaustive.singles(SEED, stage)[-1][0]
    assert exhaustive.simulated(SEED, stage, (aim,)).tally().fated == {(aim.site, aim.fate): 1}


def test_pairs_are_of_two_sites() -> None:
    """Both faults of a pair come, where the first leaves the second's site to be called."""
    stage = EVERY["steps/sim"]
    listed = exhaustive.pairs(SEED, stage)
    assert all(one.site < other.site and one.nth == other.nth == 1 for one, other in listed)
    keep, find = (Aim(sites.BY_NAME[name].number, 1, Fate.LOSE) for name in ("history.keep", "machines.find"))
    both = tuple(sorted((keep, find), key=lambda aim: aim.site))
    assert both in listed
    assert sum(exhaustive.simulated(SEED, stage, both).tally().fated.values()) == 2


@pytest.mark.parametrize(
    "name", ["steps/queued", "cancelled/tpu", "journey/native", "runner lost/sim", "shared/queued"]
)
def test_no_rule_breaks_in_some_of_the_singles(name: str) -> None:
    """Each twentieth single fault of five standard worlds; `make exhaust` does them all."""
    stage = EVERY[name]
    for aims in exhaustive.singles(SEED, stage)[::20]:
        assert exhaustive.simulated(SEED, stage, aims).tally().found == []


def test_the_command_prints_how_it_counts(capsys: pytest.CaptureFixture[str]) -> None:
    """A line for each standard world, singles before pairs, and figures below."""
    assert program.main(["exhaust", "--every", "1500"]) == 0
    shown = capsys.readouterr().out
    assert shown.index("singles:") < shown.index("pairs:") < shown.index("steps/native")
    assert shown.count("violations: 0") == 2 and all(name in shown for name in EVERY)


def test_a_standard_world_is_replayed(capsys: pytest.CaptureFixture[str]) -> None:
    """By its name and its aims, role included."""
    aim = "machines.find:1:lose:cleanup"
    replay = ["simulate", "--seed", "1", "--world", "0", "--stage", "steps/tpu", "--aim", aim]
    assert program.main(replay) == 0
    assert "machines.find meets: lose" in capsys.readouterr().out
