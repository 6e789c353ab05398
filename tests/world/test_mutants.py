"""The rules can break: every known bug is found, and soon."""

from __future__ import annotations

import pytest

from accel_ci_sim import __main__ as program
from accel_ci_sim.direct import campaign, show
from tests.world import bank, known_bugs
from tests.world.known_bugs import RATE, SEED, Mutant

BANK = bank.every()
QUICK = [mutant for mutant in BANK if mutant.within <= 1000]  # `make bugs` looks for the rarer ones, too


@pytest.mark.parametrize("mutant", QUICK, ids=lambda mutant: mutant.name)
def test_a_known_bug_is_found(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within the number of worlds that the bank states, one of the rules that it names breaks."""
    mutant.patch(monkeypatch)
    assert known_bugs.found_in(mutant) is not None


def test_the_bank_is_big_and_every_bug_has_a_name_of_its_own() -> None:
    """At least forty, and no two are called alike."""
    assert len({mutant.name for mutant in BANK}) == len(BANK) >= 40


def test_a_violation_is_reported_with_its_replay(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command exits 1 and prints the line that shows the same violation again."""
    next(mutant for mutant in BANK if mutant.name == "no verify after delete").patch(monkeypatch)
    assert program.main(["simulate", "--worlds", "3", "--seed", str(SEED), "--faults", str(RATE)]) == 1
    shown = capsys.readouterr().out.splitlines()
    replay = next(line for line in shown if "replay:" in line)
    assert program.main(replay.split("accel_ci_sim ")[1].split()) == 1
    violation = next(line for line in shown if line.startswith("violation: ")).removeprefix("violation: ")
    assert any(violation in line for line in capsys.readouterr().out.splitlines())


def test_violations_of_aimed_worlds_name_their_aim(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A world that needed an aim to break is replayed with it."""
    next(mutant for mutant in BANK if mutant.name == "no expiry in the creation").patch(monkeypatch)
    tally = campaign.run(SEED, range(2), rate=0.0)
    campaign.complete(SEED, tally, rate=0.0)
    aimed = next(found for found in tally.found if found.aims)
    assert show.replay_command(SEED, 0.0, aimed).count("--aim") == 1
    assert capsys.readouterr().out == ""
