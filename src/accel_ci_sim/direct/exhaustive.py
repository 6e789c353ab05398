"""Every fate at every port call of the standard worlds, and every pair of fates over their call sites."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

from accel_ci_sim.direct import crowd, sites, stages
from accel_ci_sim.direct.crowd import Spread
from accel_ci_sim.direct.setting import Setting, Stage
from accel_ci_sim.direct.simulation import Simulation
from accel_ci_sim.direct.tally import Tally
from accel_ci_sim.world.faults import Aim

Aims = tuple[Aim, ...]
Work = tuple[int, str, Sequence[Aims]]
CHUNK = 200


def simulated(seed: int, stage: Stage, aims: Aims, *, readable: bool = False) -> Simulation:
    """The stage's world with these faults and no others."""
    return Simulation(seed, 0, rate=0.0, aims=aims, how=Setting(stage=stage), readable=readable)


def singles(seed: int, stage: Stage) -> list[Aims]:
    """One fault each: at every call that the undisturbed world makes, every fate that this call can meet."""
    calls = simulated(seed, stage, ()).tally().calls
    return [
        (Aim(number, nth, fate),)
        for number in sorted(calls)
        for nth in range(1, calls[number] + 1)
        for fate in sites.SITES[number].fates
    ]


def pairs(seed: int, stage: Stage) -> list[Aims]:
    """Two faults each: at the first calls of two different sites that the undisturbed world calls, every two fates."""
    calls = simulated(seed, stage, ()).tally().calls
    # All calls of both would be billions of worlds: the first of each site is where paths part.
    first = [Aim(number, 1, fate) for number in sorted(calls) for fate in sites.SITES[number].fates]
    return [(one, other) for one, other in itertools.combinations(first, 2) if one.site != other.site]


def run(seed: int, work: Iterable[tuple[str, list[Aims]]], *, spread: Spread = map) -> Iterable[tuple[str, Tally]]:
    """The figures of each stage's worlds, chunk by chunk."""
    chunks = [(seed, name, aims[start : start + CHUNK]) for name, aims in work for start in range(0, len(aims), CHUNK)]
    return spread(_chunk, chunks)


def _chunk(work: Work) -> tuple[str, Tally]:
    seed, name, chosen = work
    stage, total = stages.every()[name], Tally()
    for aims in crowd.undisturbed(chosen):
        total.add(simulated(seed, stage, aims).tally())
    return name, total
