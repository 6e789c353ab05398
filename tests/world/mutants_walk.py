"""Known bugs in the walk from place to place, in what a signal does to it, in limits and in the bill."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from accel_ci.domain import capacity
from accel_ci.domain.lease import Lease
from accel_ci.domain.machine import Candidate, Creation, Machine
from accel_ci.domain.record import Cost, MachineFacts
from accel_ci.domain.runkey import RunKey
from accel_ci.operations import acquire
from accel_ci.ports.world import World
from accel_ci.usecases import report
from accel_ci_sim.direct.layers import Layer
from tests.world.known_bugs import bug


@bug("a partial machine is left for later", "I9", "I-clean", within=600)
def _(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(acquire, "_end", lambda world, key, *, zone: None)


@bug("a resumed walk begins anew", "I9", within=1500)
def _(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(capacity, "resumed", lambda candidates, tried: list(candidates))


@bug("a resumed walk forgets what its last try left", "I9", within=3000)
def _(patch: pytest.MonkeyPatch) -> None:
    def resumed(world: World, key: RunKey, tried: Any, candidates: Sequence[Candidate]) -> Sequence[Candidate]:
        return capacity.resumed(candidates, tried) or candidates

    patch.setattr(acquire, "_resumed", resumed)


@bug("a resumed client's bill begins when it came", "I10", within=600)
def _(patch: pytest.MonkeyPatch) -> None:
    honest = acquire._lease

    def anew(world: World, key: RunKey, order: acquire.Order, *, now: float) -> tuple[Lease, float]:
        return honest(world, key, order, now=now)[0], now

    patch.setattr(acquire, "_lease", anew)


@bug("the bill begins when the machine is ready", "I10", within=60)
def _(patch: pytest.MonkeyPatch) -> None:
    def cost(machine: MachineFacts | None, *, until: float) -> Cost:
        return _COST(machine and machine.model_copy(update={"requested_at": machine.ready_at}), until=until)

    patch.setattr(report, "_cost", cost)


_COST = report._cost


@bug("the bill ends with the tests", "I10", within=100)
def _(patch: pytest.MonkeyPatch) -> None:
    def cost(machine: MachineFacts | None, *, until: float) -> Cost:
        shown = machine and machine.model_copy(update={"released_at": machine.ready_at + 1.0})
        return _COST(shown, until=until)

    patch.setattr(report, "_cost", cost)


@bug("a signal is not heard while a machine is asked for", "I-signal", within=600, alone=Layer.SIGNALS)
def _(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(acquire, "_abandon", lambda world, place, **named: None)


@bug("a signal is obeyed after a pause", "I-signal", within=600, alone=Layer.SIGNALS)
def _(patch: pytest.MonkeyPatch) -> None:
    honest = acquire._abandon

    def late(world: World, place: Any, **named: Any) -> None:
        world.clock.sleep(3.0)
        honest(world, place, **named)

    patch.setattr(acquire, "_abandon", late)


@bug("a machine that never boots is waited for without end", "I11", within=6000)
def _(patch: pytest.MonkeyPatch) -> None:
    honest = acquire.awaited

    def patient(world: World, creation: Creation, *, what: str, deadline: float) -> Machine:
        return honest(world, creation, what=what, deadline=deadline + 1e6)

    patch.setattr(acquire, "awaited", patient)


@bug("the lease is renewed with every request", "I1", "I2", "I-true", "I9", within=600)
def _(patch: pytest.MonkeyPatch) -> None:
    def renewed(world: World, key: RunKey, order: acquire.Order, *, now: float) -> tuple[Lease, float]:
        return Lease(key=key, expires_at=int(now + 2 * order.ttl_s), nonce=world.entropy.token()[:16]), now

    patch.setattr(acquire, "_lease", renewed)
