"""Many worlds, with the figures added up."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from accel_ci_sim.direct import crowd, exhaustive, setting, sites, stages
from accel_ci_sim.direct.crowd import Spread
from accel_ci_sim.direct.setting import Setting
from accel_ci_sim.direct.simulation import Simulation
from accel_ci_sim.direct.tally import Tally
from accel_ci_sim.world.faults import Aim, Fate

CHUNK = 100
_FULL = "no capacity at first/tpu"
_LOST = Aim(sites.BY_NAME["tpu.create_node"].number, 1, Fate.LOSE)


def run(seed: int, worlds: Sequence[int], *, rate: float, spread: Spread = map, how: Setting = setting.USUAL) -> Tally:
    """The figures of these worlds together; the same however they are spread."""
    # In chunks: one world is too short for a process's mail.
    chunks = [worlds[start : start + CHUNK] for start in range(0, len(worlds), CHUNK)]
    total = Tally()
    for tally in spread(partial(_chunk, seed, rate=rate, how=how), chunks):
        total.add(tally)
    return total


def complete(seed: int, tally: Tally, *, rate: float) -> None:
    """Aim at every fate that no call met by chance, in worlds that make the call, and add those worlds' figures."""
    for site, fate in tally.missing():
        for world in list(tally.callers.get(site, ())):
            if tally.fated[site, fate]:
                break
            tally.add(Simulation(seed, world, rate=rate, aims=(Aim(site, 1, fate),)).tally())
    # Why a node failed is asked for only where the reply of its creation was lost as well: rare in small campaigns.
    for site, fate in tally.missing():
        tally.add(exhaustive.simulated(seed, stages.every()[_FULL], (_LOST, Aim(site, 1, fate))).tally())


def one(seed: int, world: int, *, rate: float, aims: tuple[Aim, ...] = ()) -> tuple[Tally, list[str]]:
    """The figures of one world, and its timeline for people."""
    simulation = Simulation(seed, world, rate=rate, aims=aims, readable=True)
    tally = simulation.tally()
    return tally, simulation.scene.timeline.lines or []


def _chunk(seed: int, worlds: Sequence[int], *, rate: float, how: Setting) -> Tally:
    total = Tally()
    for world in crowd.undisturbed(worlds):
        total.add(Simulation(seed, world, rate=rate, how=how).tally())
    return total
