"""The adversary: whatever a stranger does, no code but the granted starts, no secret is seen, and honest people get on."""

from __future__ import annotations

import pytest

from accel_ci_sim import __main__ as program
from accel_ci_sim.direct import adversary
from accel_ci_sim.direct.adversary_judge import RULES
from accel_ci_sim.direct.stranger import ACTS
from tests.world import mutants_gate
from tests.world.mutants_gate import BANK, Mutant

SEED = 1


def test_no_rule_breaks() -> None:
    """In 400 worlds nothing breaks, every act was tried, and grants were given, used and replayed."""
    tally = adversary.run(SEED, range(400))
    assert tally.found == []
    assert set(tally.acts) == {act.__name__ for act in ACTS}
    assert tally.worlds == 400 and min(tally.acts.values()) > 100
    assert tally.grants > 200 and tally.starts > 0.9 * tally.grants  # some commits cannot be unpacked


def test_the_same_seed_gives_the_same_worlds() -> None:
    """Two times the same worlds have the same figures; another seed has others."""
    assert adversary.run(SEED, range(20)) == adversary.run(SEED, range(20))
    assert adversary.run(SEED + 1, range(20)).acts != adversary.run(SEED, range(20)).acts


@pytest.mark.parametrize("mutant", BANK, ids=lambda mutant: mutant.name)
def test_a_planted_bug_is_found(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within the number of worlds that the bank states, one of the rules that it names breaks."""
    mutant.patch(monkeypatch)
    assert mutants_gate.found_in(mutant) is not None


def test_every_rule_can_break() -> None:
    """For each rule there is a planted bug that may break it: none is there for show."""
    assert {rule for mutant in BANK for rule in mutant.rules} == set(RULES)
    assert len({mutant.name for mutant in BANK}) == len(BANK)


def test_the_command_tells_the_figures(capsys: pytest.CaptureFixture[str]) -> None:
    """It exits 0 and counts worlds, grants, starts and each act."""
    assert program.main(["adversary", "--worlds", "5", "--seed", "1"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("5 worlds in ") and shown.endswith("violations: 0\n")


def test_the_command_fails_when_a_rule_breaks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It exits 1 and names the world, which alone shows the same again."""
    next(mutant for mutant in BANK if mutant.name == "the label stays").patch(monkeypatch)
    assert program.main(["adversary", "--worlds", "20"]) == 1
    broken = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("violation:"))
    world = broken.split()[2].rstrip(":")
    assert program.main(["adversary", "--first", world, "--worlds", "1"]) == 1
    assert broken in capsys.readouterr().out
