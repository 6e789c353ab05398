"""Worlds: the same seed gives the same one, every call meets every fate in some, and no rule breaks in any."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from accel_ci_sim import __main__ as program
from accel_ci_sim.direct import campaign, crowd, sites
from accel_ci_sim.direct.rules import RULES
from accel_ci_sim.direct.simulation import Simulation
from accel_ci_sim.world.faults import FATES, Aim, Fate

SEED = 2026


def _traces(worlds: int, *, salt: str) -> str:
    """The trace of so many worlds, and the timeline of one, in a process of its own."""
    code = (
        "import hashlib; from accel_ci_sim.direct import campaign;"
        f"print(campaign.run({SEED}, range({worlds}), rate=0.03).trace);"
        f"print(hashlib.sha256('\\n'.join(campaign.one({SEED}, 7, rate=0.03)[1]).encode()).hexdigest())"
    )
    environment = {"PYTHONHASHSEED": salt, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    return done.stdout


def test_the_same_seed_gives_the_same_worlds() -> None:
    """Trace and timeline do not depend on PYTHONHASHSEED, nor on the process."""
    first, second = (_traces(60, salt=salt) for salt in ("0", "4242"))
    assert first == second


def test_another_seed_gives_other_worlds() -> None:
    """Neither seed nor fault rate leaves the trace as it was; nor is one world like the next."""
    traces = {
        campaign.run(seed, worlds, rate=rate).trace
        for seed, worlds, rate in ((1, [0], 0.03), (2, [0], 0.03), (1, [1], 0.03), (1, [0], 0.9))
    }
    assert len(traces) == 4


def test_jobs_change_nothing() -> None:
    """Two processes come to the same figures as one."""
    one = campaign.run(SEED, range(220), rate=0.03)
    with crowd.of(2) as spread:
        two = campaign.run(SEED, range(220), rate=0.03, spread=spread)
    assert one == two


def test_a_readable_world_is_the_same_world() -> None:
    """Watching does not change what is watched: a world replayed has the trace it had in the campaign."""
    for world in range(20):
        plain = Simulation(SEED, world, rate=0.03).tally()
        replayed, lines = campaign.one(SEED, world, rate=0.03)
        assert plain.trace == replayed.trace and lines


def test_every_call_meets_every_fate_and_no_rule_breaks() -> None:
    """In 700 worlds and some aimed ones each used port method meets each fate it can meet; what is unused is named."""
    tally = campaign.run(SEED, range(700), rate=0.03)
    campaign.complete(SEED, tally, rate=0.03)
    assert [f"{sites.SITES[site].name} {fate}" for site, fate in tally.missing()] == []
    assert tally.found == []
    assert {site.name for site in sites.SITES if not tally.calls[site.number]} == sites.UNUSED
    assert {"passed", "failed", "timed-out", "preempted", "no-capacity", "quota", "infra-error"} <= set(tally.verdicts)


@pytest.mark.parametrize("rate", [0.0, 0.01, 0.1])
def test_no_rule_breaks_at_any_rate(rate: float) -> None:
    """300 worlds each, with none, some and very many faults."""
    assert campaign.run(SEED + 1, range(300), rate=rate).found == []


def test_without_faults_nobody_crashes() -> None:
    """At rate 0 only the weather and the users make trouble."""
    assert not campaign.run(SEED, range(50), rate=0.0).fated


def test_an_aimed_fault_comes() -> None:
    """The first write of a document crashes in a world where documents are written."""
    site = sites.BY_NAME["files.write"].number
    tally = Simulation(SEED, 3, rate=0.0, aims=(Aim(site, 1, Fate.CRASH_AFTER),)).tally()
    assert tally.fated == {(site, Fate.CRASH_AFTER): 1}


def test_the_command_prints_figures_and_coverage(capsys: pytest.CaptureFixture[str]) -> None:
    """Worlds, runs, port calls, faults by fate, verdicts, trace, violations; and a row for every port method."""
    assert program.main(["simulate", "--worlds", "20", "--seed", str(SEED), "--faults", "0.05", "--coverage"]) == 0
    shown = capsys.readouterr().out
    for name in ("worlds:", "runs:", "port calls:", "faults:", "verdicts:", "trace:", "violations: 0"):
        assert name in shown
    for site in sites.SITES:
        assert site.name in shown
    for fate in FATES[1:]:
        assert fate.value in shown


def test_the_command_replays_one_world(capsys: pytest.CaptureFixture[str]) -> None:
    """The timeline tells calls with their answers, signals, the cloud's events and the fault that was aimed at."""
    replay = ["simulate", "--seed", str(SEED), "--faults", "0", "--world", "3"]
    assert program.main([*replay, "--aim", "files.write:1:crash-after"]) == 0
    shown = capsys.readouterr().out
    assert "files.write meets: crash-after" in shown and "faults stop" in shown
    assert "violations: 0" in shown.splitlines()[-1]


def test_every_rule_that_can_break_has_its_sentence() -> None:
    """What the judges name is listed, the twelve of the plan among them; and nothing is listed that nobody judges."""
    folder = Path(campaign.__file__).parent
    judged = {
        name
        for file in folder.glob("*judge.py")
        for name in re.findall(r'broken\(\s*"(I[-\w]+)"', file.read_text(encoding="utf-8"))
    }
    assert judged == set(RULES) >= {f"I{number}" for number in range(1, 13)}
