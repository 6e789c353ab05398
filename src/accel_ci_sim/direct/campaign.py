"""Many worlds: on several processes, with the figures added up."""

from __future__ import annotations

import gc
import multiprocessing
import os
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import cycle, islice
from multiprocessing.queues import SimpleQueue

from accel_ci_sim.direct import exhaustive, setting, sites, stages
from accel_ci_sim.direct.setting import Setting
from accel_ci_sim.direct.simulation import Simulation
from accel_ci_sim.direct.tally import Tally
from accel_ci_sim.world.faults import Aim, Fate

CHUNK = 100
_FULL = "no capacity at first/tpu"
_LOST = Aim(sites.BY_NAME["tpu.create_node"].number, 1, Fate.LOSE)


def run(seed: int, worlds: Sequence[int], *, rate: float, jobs: int = 1, how: Setting = setting.USUAL) -> Tally:
    """The figures of these worlds together; the same for any number of jobs."""
    total = Tally()
    for tally in _tallies(seed, worlds, rate=rate, jobs=jobs, how=how):
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


def _tallies(seed: int, worlds: Sequence[int], *, rate: float, jobs: int, how: Setting) -> Iterator[Tally]:
    # In chunks: one world is too short for a process's mail.
    chunks = [worlds[start : start + CHUNK] for start in range(0, len(worlds), CHUNK)]
    work = partial(_chunk, seed, rate=rate, how=how)
    if jobs == 1:
        yield from map(work, chunks)
        return
    context = multiprocessing.get_context("spawn")  # a fork would copy the carriers' locks
    cores = context.SimpleQueue()
    for core in islice(cycle(sorted(_cores())), jobs):
        cores.put(core)
    with context.Pool(jobs, _settle, (cores,)) as pool:
        yield from pool.imap(work, chunks)


def _cores() -> set[int]:
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else {0}


def _settle(cores: SimpleQueue[int]) -> None:
    # Its threads take turns: on one core each finds what the last one left in the processor's own memory.
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {cores.get()})


def _chunk(seed: int, worlds: Sequence[int], *, rate: float, how: Setting) -> Tally:
    """One chunk, without the collector of cycles in between: worlds are small, and it costs a tenth of the time."""
    total = Tally()
    # What is there before the first world stays: programs and catalogues need no second look at each collection.
    gc.freeze()
    gc.disable()
    try:
        for world in worlds:
            total.add(Simulation(seed, world, rate=rate, how=how).tally())
    finally:
        gc.enable()
    gc.collect()
    return total
