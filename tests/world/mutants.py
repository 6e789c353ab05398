"""The bank of known bugs: each breaks accel-ci in one place. What the simulator ever found stays here."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from accel_ci import journey
from accel_ci.domain import errors, lease, overdue, verdict
from accel_ci.domain.lease import Lease, Owner
from accel_ci.domain.overdue import Finding
from accel_ci.domain.record import RunRecord
from accel_ci.domain.runkey import RunKey
from accel_ci.domain.verdict import EndRecord, Verdict
from accel_ci.operations import acquire, follow, records, release, sending
from accel_ci.ports.world import World
from accel_ci.usecases import cleanup, provision, report, run_remote
from accel_ci_sim.direct import machines
from accel_ci_sim.world import cloud
from tests.world.known_bugs import bug as _bug


def _at_once(world: World, call: Callable[[], Any], *, what: str, limit_s: float = 0.0) -> Any:
    return call()


_NO_RETRIES = SimpleNamespace(retried=_at_once)


@_bug("no verify after delete", "I-clean", within=100)
def _(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(release, "_gone", lambda world, handle: True)


@_bug("cleanup takes a lost reply for success", "I-clean", within=400)
def _(patch: pytest.MonkeyPatch) -> None:
    def gone(world: World, handle: str) -> bool:
        try:
            return world.machines.released(handle)
        except errors.CloudError:
            return True

    patch.setattr(release, "_gone", gone)


@_bug("cleanup believes the listing", "I-clean", within=1000)
def _(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(cleanup, "_own", lambda world, key: [])


@_bug("a signal stops the cleanup", "I-clean", "I4", within=4000)
def _(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(journey, "to_the_end", lambda step: step())


@_bug("a missing end record counts as passed", "I-pass", within=400)
def _(patch: pytest.MonkeyPatch) -> None:
    honest = verdict.of_worker

    def of_worker(record: EndRecord | None, *, key: str, nonce: str, phase: str) -> Verdict:
        return honest(record, key=key, nonce=nonce, phase=phase) if record else Verdict.PASSED

    patch.setattr(verdict, "of_worker", of_worker)
    honest_end = follow._end

    def end(state: Any, worker: int, *, interrupted: bool) -> Any:
        told = honest_end(state, worker, interrupted=interrupted)
        return told if state.ends.get(worker) else told.model_copy(update={"verdict": Verdict.PASSED})

    patch.setattr(follow, "_end", end)


@_bug("the nonce of an end record is not checked", "I-pass", within=400)
def _(patch: pytest.MonkeyPatch) -> None:
    honest = verdict.of_worker

    def of_worker(record: EndRecord | None, *, key: str, nonce: str, phase: str) -> Verdict:
        return honest(record and replace(record, nonce=nonce), key=key, nonce=nonce, phase=phase)

    patch.setattr(verdict, "of_worker", of_worker)


@_bug("one good worker is enough", "I-pass", within=400)
def _(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(verdict, "worst", lambda verdicts: verdicts[0] if verdicts else Verdict.INFRA_ERROR)


@_bug("no verdict is reported as passed", "I-pass", within=400)
def _(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(report, "Verdict", SimpleNamespace(INFRA_ERROR=Verdict.PASSED))


@_bug("409 is fatal", "I-true", within=1500)
def _(patch: pytest.MonkeyPatch) -> None:
    honest = cloud.Cloud.create

    def create(self: cloud.Cloud, request: Any) -> Any:
        try:
            return honest(self, request)
        except cloud.AlreadyExistsError as error:
            raise errors.ConfigurationError(f"409: {error}") from error

    patch.setattr(cloud.Cloud, "create", create)


@_bug("adoption without a look at the labels", "I2", "I-pass", "I-true", "I1", "I3", within=3000)
def _(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(machines, "adopted", lambda there, labels: there)
    _without_attempt(patch)


@_bug("name without attempt", "I2", "I-true", "I-clean", "I9", within=8000)
def _without_attempt(patch: pytest.MonkeyPatch) -> None:
    def name(self: RunKey) -> str:
        parts = (self.repository_id, self.run_id, self.job, self.instance, self.slot, self.try_)
        return self.run_prefix + hashlib.sha256(repr(parts).encode()).hexdigest()[:8]

    patch.setattr(RunKey, "name", property(name))


@_bug("name without matrix instance", "I2", "I-true", within=400)
def _(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(RunKey, "name", property(lambda self: f"{self.run_prefix}{self.attempt}-{self.job}-{self.try_}"))


@_bug("age-only sweeper", "I2", within=100)
def _(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(overdue, "judge", lambda labels, **known: Finding(overdue=True, why="it is old"))


@_bug("the sweeper forgets its grace", "I2", within=1000)
def _(patch: pytest.MonkeyPatch) -> None:
    honest = overdue.judge

    def judge(labels: Mapping[str, str], *, now: float, grace_s: float, run: Any = None) -> Finding:
        return honest(labels, now=now, grace_s=grace_s - 200.0, run=run)

    patch.setattr(overdue, "judge", judge)


@_bug("the sweeper does nothing", "I1", within=400)
def _(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(overdue, "judge", lambda labels, **known: Finding(overdue=False, why="who knows"))


@_bug("a job's cleanup ends its matrix siblings", "I2", within=200)
def _(patch: pytest.MonkeyPatch) -> None:
    honest = lease.of_job

    def of_job(key: RunKey) -> Owner:
        return replace(honest(key), instance="")

    patch.setattr(lease, "of_job", of_job)


@_bug("an old attempt's cleanup ends the new one's machine", "I2", within=3000)
def _(patch: pytest.MonkeyPatch) -> None:
    honest = lease.of_job
    patch.setattr(lease, "of_job", lambda key: replace(honest(key), up_to_attempt=None))


@_bug("no expiry in the creation", "I1", within=10)
def _(patch: pytest.MonkeyPatch) -> None:
    honest = Lease.labels

    def labels(self: Lease) -> Mapping[str, str]:
        return {name: value for name, value in honest(self).items() if name != "accel-ci-expires"}

    patch.setattr(Lease, "labels", labels)


@_bug("a lease longer than was ordered", "I1", within=10)
def _(patch: pytest.MonkeyPatch) -> None:
    honest = acquire._lease

    def longer(world: World, key: RunKey, order: acquire.Order, *, now: float) -> tuple[Lease, float]:
        return replace(honest(world, key, order, now=now)[0], expires_at=2_000_000_000), now

    patch.setattr(acquire, "_lease", longer)


@_bug("a new lease for the same machine after a crash", "I-true", within=400)
def _(patch: pytest.MonkeyPatch) -> None:
    def fresh(world: World, key: RunKey, order: acquire.Order, *, now: float) -> tuple[Lease, float]:
        return Lease(key=key, expires_at=int(now + order.ttl_s)), now

    patch.setattr(acquire, "_lease", fresh)


@_bug("a new nonce after a crash", "I-true", within=1000)
def _(patch: pytest.MonkeyPatch) -> None:
    def nonce(world: World, *, slot: str, phase: str) -> str:
        token = world.entropy.token()
        world.files.write(records.place(slot, f"nonce-{phase}"), token.encode())
        return token

    patch.setattr(run_remote, "_nonce", nonce)


@_bug("output from the beginning after a crash", "I3", within=1000)
def _(patch: pytest.MonkeyPatch) -> None:
    honest = follow._state

    def state(*args: Any, **kwargs: Any) -> Any:
        made = honest(*args, **kwargs)
        made.offsets = dict.fromkeys(made.offsets, 0)
        return made

    patch.setattr(follow, "_state", state)


@_bug("a finished journey provisions again", "I4", "I9", within=3000)
def _(patch: pytest.MonkeyPatch) -> None:
    def work(world: World, record: RunRecord, key: RunKey, *, plan: journey.Plan) -> None:
        if record.machine is None:
            provision.provision(world, record, key, order=plan.order)
        if record.verdict is None:
            run_remote.run_remote(world, plan.work, slot=key.slot)

    patch.setattr(journey, "_work", work)


@_bug("history is tried once", "I4", within=1000)
def _(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(report, "reach", _NO_RETRIES)


@_bug("the source is packed and sent once", "I-true", within=1000)
def _(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sending, "reach", _NO_RETRIES)


@_bug("candidates are asked for once", "I-true", within=1000)
def _(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(acquire, "reach", _NO_RETRIES)


@_bug("an unknown interruption is fatal", "I-true", within=1500)
def _(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(follow, "_interruption", lambda world, state: world.machines.interruption(state.machine.handle))


@_bug("a broken connection is an end", "I-true", within=400)
def _(patch: pytest.MonkeyPatch) -> None:
    honest = follow._take

    def take(world: World, state: Any, event: Any) -> bool:
        if type(event).__name__ == "Lost":
            follow._give_up(state, [event.worker], "lost")
        return honest(world, state, event)

    patch.setattr(follow, "_take", take)
