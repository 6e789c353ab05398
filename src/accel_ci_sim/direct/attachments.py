"""The fault layer's part for following a phase: every event is a call of its own."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Mapping

from accel_ci.domain.machine import Machine
from accel_ci.domain.workload import Phase
from accel_ci.ports import remote
from accel_ci_sim.direct import sites
from accel_ci_sim.direct.process import Crashed, Process
from accel_ci_sim.world.faults import CRASHES, LONGEST_DELAY_S, Fate

Attach = Callable[[Machine, Phase, Mapping[int, int]], Generator[remote.Event, None, None]]


def guarded(process: Process, attach: Attach) -> Attach:
    """Every event is a call: connections may break before or after it, and the process may crash around it."""
    scene, site = process.scene, sites.BY_NAME["remote.attach"]
    faults, calls, count = scene.faults, scene.calls, scene.timeline.count
    number, mine = site.number, process.number

    def begin() -> Fate:
        if process.attention:
            process.attend()
        calls[number] += 1
        count(mine, number)
        faults.left -= 1
        fate = process.fate(site) if faults.left <= 0 or number in faults.aimed else Fate.NONE
        # An outage breaks connections that stand, not only new ones.
        return Fate.FAIL if fate not in CRASHES and site.port in scene.down else fate

    def events(machine: Machine, phase: Phase, offsets: Mapping[int, int]) -> Generator[remote.Event, None, None]:
        waiting = set(offsets)
        with contextlib.closing(attach(machine, phase, offsets)) as inner:
            # Each worker ends by itself: the last one's end is the end.
            while waiting:
                fate = begin()
                event = _next(process, inner, fate)
                if fate in (Fate.FAIL, Fate.LOSE):
                    yield from [remote.Lost(worker, "connection reset (simulated)") for worker in sorted(waiting)]
                    return
                if isinstance(event, remote.Ended | remote.Lost):
                    waiting.discard(event.worker)
                if scene.timeline.lines is not None:
                    scene.timeline.say(process.name, f"remote.attach -> {event}")
                # After a reconnect the same bytes may come twice; their offsets tell.
                yield from (event,) * (2 if fate is Fate.DUPLICATE else 1)

    return events


def _next(process: Process, inner: Generator[remote.Event, None, None], fate: Fate) -> remote.Event:
    """The next event, after what its fate does to it."""
    if fate is Fate.CRASH_BEFORE:
        process.vanish()
        raise Crashed
    if fate is Fate.DELAY:
        seconds = process.scene.dice.uniform(0.0, LONGEST_DELAY_S)
        process.delayed_s += seconds
        process.pause(seconds)
    event = remote.Quiet() if fate is Fate.FAIL else next(inner)
    if fate is Fate.CRASH_AFTER:
        process.vanish()
        raise Crashed
    return event
