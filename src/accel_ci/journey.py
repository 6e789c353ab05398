"""The whole journey in a row: provision, run-remote, collect, cleanup, report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeGuard, TypeVar

from accel_ci.domain import errors, lease
from accel_ci.domain.record import RunRecord
from accel_ci.domain.runkey import RunKey
from accel_ci.domain.workload import Caps, Work
from accel_ci.operations import records
from accel_ci.operations.acquire import Order
from accel_ci.operations.publish import Publication
from accel_ci.ports.world import World
from accel_ci.usecases import cleanup, collect, provision, report, run_remote

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything one journey does: what to lease, what to run there, which files to bring back."""

    order: Order
    work: Work
    paths: Sequence[str] = ()
    caps: Caps = Caps()
    publication: Publication = report.DEFAULT


def run(world: World, record: RunRecord, key: RunKey, *, plan: Plan) -> RunRecord:
    """The finished record. The machine is gone when this returns or raises, or CleanupUnverifiedError says which is not.

    A record that has a machine already is gone on with: nothing that ran is run again. Cloud errors end in the
    record's verdict; configuration errors and cancellation are raised once everything is cleaned and reported.
    """
    failure: errors.AccelError | None = None
    unverified: errors.AccelError | None = None
    try:
        _work(world, record, key, plan=plan)
    except errors.AccelError as error:
        failure = error
    finally:
        # Our own bugs, too, must not leave a machine.
        unverified = to_the_end(lambda: _cleaned(world, key))
    finished = record
    try:
        finished = to_the_end(lambda: _reported(world, records.find(world.files, key.slot) or record, plan))
    except errors.ComputerError as error:  # a full disk must not hide what may still live
        failure = error if failure is None or isinstance(failure, errors.CloudError) else failure
    if _never_began(failure, finished):
        raise failure  # without sign-in, say, cleanup could not look either: the first mistake is the one to mend
    if unverified is not None:
        raise unverified  # worse than whatever went wrong before: it goes on costing money
    if failure is not None and not isinstance(failure, errors.CloudError):
        raise failure
    return finished


def _never_began(failure: errors.AccelError | None, record: RunRecord) -> TypeGuard[errors.AccelError]:
    """True when the very first request was refused, so that there never was a machine."""
    refused = isinstance(failure, errors.AccessError) and len(record.tries) <= 1
    return (refused or isinstance(failure, errors.ConfigurationError)) and record.machine is None


def _work(world: World, record: RunRecord, key: RunKey, *, plan: Plan) -> None:
    if record.verdict is None and record.machine is None:
        provision.provision(world, record, key, order=plan.order)
    if record.verdict is None:
        run_remote.run_remote(world, plan.work, slot=key.slot)
    # After a failure as well: that is when somebody wants the files.
    if plan.paths and record.machine is not None:
        collect.collect(world, plan.paths, caps=plan.caps, slot=key.slot, secrets=plan.work.secrets.values())


def _reported(world: World, record: RunRecord, plan: Plan) -> RunRecord:
    return report.report(world, record, publication=plan.publication)


def to_the_end(step: Callable[[], Answer]) -> Answer:
    """What the step returns. A signal, which comes once at most, begins it anew: the step must not be left out."""
    try:
        return step()
    except errors.CancelledError:
        return step()


def _cleaned(world: World, key: RunKey) -> errors.AccelError | None:
    try:
        cleanup.cleanup(world, key, owner=lease.of_job(key))
    except (errors.CleanupUnverifiedError, errors.CloudError, errors.ConfigurationError) as error:
        return error
    return None
