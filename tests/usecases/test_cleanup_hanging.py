"""cleanup in real threads, while zones, machines and whole clouds do not answer; a second lasts ten milliseconds here."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from accel_ci.adapters.every_backend import EveryBackend
from accel_ci.adapters.lanes_threads import ThreadLanes
from accel_ci.domain import errors, lease
from accel_ci.domain.lease import Lease, Owner
from accel_ci.domain.machine import Candidate, Machine
from accel_ci.domain.runkey import RunKey
from accel_ci.ports.lanes import Lane
from accel_ci.ports.machines import Machines
from accel_ci.ports.world import World
from accel_ci.usecases import cleanup
from tests.fakes.machines import SPEC, FakeMachines, Script
from tests.usecases.worlds import KEY, Fakes

SECOND_S = 0.01
CALL_S = 31.0  # three tries of ten seconds each: what an adapter's call takes at most
BUDGET_S = 285.0


class _QuickClock:
    def __init__(self) -> None:
        self._began = time.monotonic()

    def now(self) -> float:
        return 1_700_000_000.0 + (time.monotonic() - self._began) / SECOND_S

    def sleep(self, seconds: float) -> None:
        time.sleep(max(0.0, seconds) * SECOND_S)


class _QuickLanes(ThreadLanes):
    def run(self, lanes: Sequence[Lane], *, limit_s: float) -> bool:
        return super().run(lanes, limit_s=limit_s * SECOND_S)


class Hanging(FakeMachines):
    """A cloud whose calls about anything in `hangs` (a zone, a handle, or a method's name) get no answer."""

    def __init__(self, clock: _QuickClock, zones: Sequence[str]) -> None:
        super().__init__(clock, {zone: Script() for zone in zones})
        self.hangs: set[str] = set()
        self.released_at: dict[str, float] = {}
        self._time = clock
        self._busy = threading.Lock()

    def lease(self, zone: str, key: RunKey) -> str:
        """The handle of a new machine there."""
        wanted = Lease(key=key, expires_at=int(self._time.now()) + 3600)
        return self.begin_create(SPEC, wanted, Candidate(zone=zone, spot=True), public_key="").handle

    def find(self, key: RunKey, zones: Sequence[str]) -> Iterator[Machine]:  # type: ignore[override]
        """The zones that answer, and then the silence of the others."""
        with self._busy:
            found = super().find(key, zones)
        silent = self._silent("find", *zones, *(self._zones if not zones else ()))
        for each in found:
            if not self._silent(each.zone):
                yield each
        if silent:
            self._hang()

    def list_owned(self, owner: Owner) -> Iterator[Machine]:  # type: ignore[override]
        """The same for a listing."""
        if self._silent("list_owned"):
            self._hang()
        with self._busy:
            listed = super().list_owned(owner)
        yield from (each for each in listed if not self._silent(each.zone))
        if self._silent(*self._zones):
            self._hang()

    def release(self, handle: str) -> None:
        """A hanging request has no effect."""
        if self._silent("release", handle, handle.split("/")[2]):
            self._hang()
        with self._busy:
            self.released_at.setdefault(handle, self._time.now())
            super().release(handle)

    def released(self, handle: str) -> bool:
        """Nothing is known of what hangs."""
        if self._silent("released", handle, handle.split("/")[2]):
            self._hang()
        with self._busy:
            return super().released(handle)

    def _silent(self, *what: str) -> bool:
        return bool(self.hangs.intersection(what))

    def _hang(self) -> None:
        time.sleep(CALL_S * SECOND_S)
        raise errors.TransientError("no answer")


def _world(machines: Machines, clock: _QuickClock) -> tuple[World, Fakes]:
    fakes = Fakes()
    return replace(fakes.world, machines=machines, clock=clock, lanes=_QuickLanes()), fakes


@pytest.mark.parametrize("silent", ["machine", "zone", "look-ups", "listing", "verification"])
def test_what_hangs_delays_no_other_machines_end(silent: str) -> None:
    """Every other machine is asked to end in the first seconds, all is over within the budget, and the error has commands."""
    clock = _QuickClock()
    machines = Hanging(clock, ("a", "b"))
    hanging = machines.lease("a", KEY)
    others = {machines.lease("b", replace(KEY, slot=slot)) for slot in ("two", "three")}
    kinds = {"machine": hanging, "zone": "a", "look-ups": "find", "listing": "list_owned", "verification": "released"}
    machines.hangs = {kinds[silent]}
    world, fakes = _world(machines, clock)
    began = clock.now()
    with pytest.raises(errors.CleanupUnverifiedError) as raised:
        cleanup.cleanup(world, KEY, owner=lease.of_job(KEY))
    assert clock.now() - began < BUDGET_S
    assert raised.value.exit_code == 5 and raised.value.commands
    if silent != "listing":  # without any listing only its own name is known
        assert all(machines.released_at[each] - began < 20 for each in others), machines.released_at
    told = str(fakes.job.of_kind("error"))
    assert all(command in told and command in fakes.job.summaries[0] for command in raised.value.commands)
    assert "✅" not in fakes.job.summaries[0]


def test_a_silent_cloud_delays_no_other_clouds_machines() -> None:
    """Of two clouds as one, the machine of the one that answers is asked to end at once and proven gone."""
    clock = _QuickClock()
    silent, answering = Hanging(clock, ("a",)), Hanging(clock, ("a",))
    silent.hangs = {"a", "list_owned"}
    there = answering.lease("a", KEY)
    world, _ = _world(EveryBackend({"silent": silent, "fake": answering}), clock)
    began = clock.now()
    with pytest.raises(errors.CleanupUnverifiedError, match="could not list"):
        cleanup.cleanup(world, KEY, owner=lease.of_job(KEY))
    assert answering.released_at[there] - began < 20 and answering.living() == []
    assert clock.now() - began < BUDGET_S


def test_a_cancelled_jobs_cleanup_leaves_time_for_the_report() -> None:
    """With the shorter limit, whatever hangs, collect's minute and this fit into 285 s, and 45 s are left."""
    clock = _QuickClock()
    machines = Hanging(clock, ("a",))
    machines.lease("a", KEY)
    machines.hangs = {"release", "released"}
    world, _ = _world(machines, clock)
    began = clock.now()
    with pytest.raises(errors.CleanupUnverifiedError):
        cleanup.cleanup(world, KEY, owner=lease.of_job(KEY), limit_s=cleanup.HURRIED_LIMIT_S)
    assert clock.now() - began < BUDGET_S - 60 - 45
