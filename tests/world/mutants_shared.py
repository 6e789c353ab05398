"""Bugs about the machine that all jobs of a run share. The last three were found in us."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from accel_ci.adapters import google_machines
from accel_ci.adapters.tpu import TpuMachines
from accel_ci.domain import errors, lease
from accel_ci.domain.context import Context
from accel_ci.domain.lease import Lease, Owner, Scope
from accel_ci.domain.machine import Machine
from accel_ci.domain.runkey import RunKey
from accel_ci.operations import joining
from accel_ci.ports.world import World
from accel_ci.usecases import report
from accel_ci_sim.direct import stages
from tests.world.known_bugs import bug as _bug

STAGE = stages.SHARED.name


class _Greedy(Owner):
    """Of the run's machine, too, every job is the owner."""

    def owns(self, name: str, labels: Mapping[str, str]) -> bool:
        """See Owner."""
        run = (labels.get("accel-ci-run"), labels.get("accel-ci-scope")) == (str(self.run_id), Scope.RUN)
        return run or Owner.owns(self, name, labels)


@_bug("a job's own cleanup ends the machine of the run", "I2", within=400)
def _(patch: pytest.MonkeyPatch) -> None:
    honest = lease.of_job

    def of_job(key: RunKey) -> Owner:
        mine = honest(key)
        return _Greedy(repository_id=mine.repository_id, run_id=key.run_id, jobs=mine.jobs, instance=mine.instance)

    patch.setattr(lease, "of_job", of_job)


@_bug("the end of the run misses what all its jobs shared", "I-clean", within=400)
def _(patch: pytest.MonkeyPatch) -> None:
    honest = lease.of_run

    def of_run(key: RunKey, *, jobs: tuple[str, ...] = ()) -> Owner:
        return replace(honest(key, jobs=jobs), scope=Scope.JOB)

    patch.setattr(lease, "of_run", of_run)


@_bug("each job leases the machine of the run anew", "I9", within=400)
def _(patch: pytest.MonkeyPatch) -> None:
    honest = Context.key

    def key(self: Context, *, slot: str = "") -> RunKey:
        return replace(honest(self, slot=slot), instance=f"{self.job} {self.instance}" if slot else self.instance)

    patch.setattr(Context, "key", key)


@_bug("nobody looks for the machine of the run", "I-true", within=1000)
def _(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(joining, "_there", lambda world, key, order: None)


@_bug("who asks second takes the machine of the run for his own", "I-true", stage=STAGE, within=1)
def _(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(google_machines, "check_adoption", lambda *args, **kwargs: None)


@_bug("whoever cannot get in ends the machine of the run", "I2", within=2000)
def _(patch: pytest.MonkeyPatch) -> None:
    honest = joining._let_in

    def let_in(world: World, ready: Machine, *, root: str) -> Machine:
        try:
            return honest(world, ready, root=root)
        except errors.AccelError:
            world.machines.release(ready.handle)
            raise

    patch.setattr(joining, "_let_in", let_in)


@_bug("joining without a key of one's own", "I-true", within=1000)
def _(patch: pytest.MonkeyPatch) -> None:
    def let_in(world: World, ready: Machine, *, root: str) -> Machine:
        world.remote.prepare(ready)
        return replace(ready, root=root)

    patch.setattr(joining, "_let_in", let_in)


@_bug("joining without a directory of one's own", "I-true", within=1000)
def _(patch: pytest.MonkeyPatch) -> None:
    honest = joining._let_in

    def let_in(world: World, ready: Machine, *, root: str) -> Machine:
        return honest(world, ready, root=ready.root)

    patch.setattr(joining, "_let_in", let_in)


@_bug("two jobs' requests for the machine of the run are one", "I-true", stage=STAGE, within=1)
def _(patch: pytest.MonkeyPatch) -> None:
    def request_id(lease: Lease, zone: str) -> str:
        return str(lease.key.request_id(zone))

    patch.setattr(google_machines, "request_id", request_id)


@_bug("what waits in the queue is not joined", "I-true", stage=STAGE, within=1)
def _(patch: pytest.MonkeyPatch) -> None:
    honest = TpuMachines._queueing

    def queueing(self: TpuMachines, place: Any, asked: Any) -> str:
        return honest(self, place, asked) if asked.queued else ""

    patch.setattr(TpuMachines, "_queueing", queueing)


@_bug("the history keeps one record of each machine", "I4", within=1000)
def _(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(report, "_kept_as", lambda record: record.identity.name)
