"""provision: lease one machine and begin the run's record."""

from __future__ import annotations

from accel_ci.domain import errors, verdict
from accel_ci.domain.lease import Scope
from accel_ci.domain.record import MachineFacts, RunRecord, Try
from accel_ci.domain.runkey import RunKey
from accel_ci.operations import acquire, joining, records, sweeping
from accel_ci.operations.acquire import Leased, Order, Watch
from accel_ci.ports.world import World


def provision(world: World, record: RunRecord, key: RunKey, *, order: Order) -> RunRecord:
    """The record with its machine, which is ready; the error that ended the walk otherwise, its verdict in the record."""
    _alone(world, record)
    if record.tries and record.tries[-1].outcome == acquire.READY:
        record.tries.pop()  # it crashed before it kept the machine, which is asked for once more
    records.save(world.files, record)

    def tell(attempt: Try) -> None:
        """Keep the try in the record."""
        # Saved at each try: whoever cleans up after a crash looks where we were.
        record.tries.append(attempt)
        records.save(world.files, record)

    watch = Watch(
        tried=tuple(record.tries),
        tell=tell,
        take=lambda leased: _lease(world, record, leased),
        meanwhile=lambda: sweeping.in_passing(world, key.repository_id),
    )
    with world.job.group(f"provision {order.spec.accelerator} ({order.spec.backend})"):
        try:
            if order.scope is Scope.RUN:
                _shared(world, record, key, order=order, watch=watch)
            else:
                acquire.machine(world, key, order, watch)
        except errors.AccelError as error:
            record.verdict, record.reason = verdict.of_error(error), str(error)
            records.save(world.files, record)
            raise
    return record


def _shared(world: World, record: RunRecord, key: RunKey, *, order: Order, watch: Watch) -> None:
    """Join the run's machine, or lease it for all jobs of the run."""
    identity = record.identity
    who = f"{identity.job} {identity.instance}"
    leased = joining.joined(world, key, order, who=who)
    if leased is None:
        try:
            acquire.machine(world, key, order, watch)
        except errors.ConfigurationError:
            # Two jobs may ask at the same time; the name has one machine, and it is the other's, who may just be ending it.
            leased = joining.joined(world, key, order, who=who, wait_s=joining.FOLLOW_S)
            if leased is None:
                raise
    if leased is not None:
        _lease(world, record, leased)


def _alone(world: World, record: RunRecord) -> None:
    """A slot has one machine in a job: what the first one's steps kept would be taken for the second one's."""
    known = records.find(world.files, record.identity.slot)
    if known is None or known.machine is None or known.started_at == record.started_at:
        return
    raise errors.ConfigurationError(
        f"this job has leased {known.machine.handle} for the same slot already",
        what_to_do="give the second machine, and the steps that use it, a `slot` of its own such as `slot: second`",
    )


def _lease(world: World, record: RunRecord, leased: Leased) -> None:
    record.machine = MachineFacts(
        handle=leased.machine.handle,
        zone=leased.machine.zone,
        accelerator=leased.machine.accelerator,
        spot=leased.machine.spot,
        workers=len(leased.machine.workers),
        expires_at=leased.lease.expires_at,
        requested_at=leased.requested_at,
        ready_at=leased.ready_at,
        dollars_per_hour=leased.candidate.dollars_per_hour,
        hardware=dict(leased.machine.hardware),
    )
    record.identity.name = leased.machine.name
    records.save_machine(world.files, record.identity.slot, leased.machine)
    records.save(world.files, record)
    seconds = leased.ready_at - leased.requested_at
    world.job.log(f"{leased.machine.handle} is ready after {seconds:.1f} s: {len(leased.machine.workers)} worker(s)")
