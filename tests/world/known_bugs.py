"""What a known bug is, and where one is looked for: the bank itself is in the mutants modules."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from accel_ci_sim.direct import exhaustive, stages
from accel_ci_sim.direct.layers import Layer
from accel_ci_sim.direct.setting import Setting
from accel_ci_sim.direct.simulation import Simulation

Patch = Callable[[pytest.MonkeyPatch], None]
SEED, RATE = 1, 0.03


@dataclass(frozen=True)
class Mutant:
    """A bug: what is wrong, the rules that may tell, within how many worlds one of them must, and in which worlds.

    In random ones, unless it is to be found with the layer `alone`, or in the single faults of a `stage`.
    """

    name: str
    patch: Patch
    rules: frozenset[str]
    within: int
    alone: Layer | None = None
    stage: str = ""

    @property
    def where(self) -> str:
        """Which worlds are searched, for readers."""
        return f"single faults of {self.stage}" if self.stage else f"{self.alone} alone" if self.alone else "random"


BANK: list[Mutant] = []


def bug(name: str, *rules: str, within: int, alone: Layer | None = None, stage: str = "") -> Callable[[Patch], Patch]:
    """Put the patch into the bank."""

    def add(patch: Patch) -> Patch:
        BANK.append(Mutant(name, patch, frozenset(rules), within, alone, stage))
        return patch

    return add


def found_in(mutant: Mutant) -> tuple[int, str] | None:
    """How many worlds it took and which rule broke; None when none did. The mutant's patch must be in place."""
    for number, world in enumerate(_worlds(mutant), start=1):
        broken = {each.violation.rule for each in world.tally().found} & mutant.rules
        if broken:
            return number, min(broken)
    return None


def _worlds(mutant: Mutant) -> Iterator[Simulation]:
    if mutant.stage:
        stage = stages.every()[mutant.stage]
        for aims in ((), *exhaustive.singles(SEED, stage))[: mutant.within]:
            yield exhaustive.simulated(SEED, stage, aims)
        return
    how = Setting(layers=frozenset((mutant.alone,))) if mutant.alone else Setting()
    for number in range(mutant.within):
        yield Simulation(SEED, number, rate=RATE, how=how)
