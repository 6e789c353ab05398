"""Getting a machine: the capacity walk, with each partial machine ended before the next place is tried."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from accel_ci.domain import capacity, errors
from accel_ci.domain.lease import Lease
from accel_ci.domain.machine import Candidate, Creation, Machine, MachineSpec
from accel_ci.domain.record import Try
from accel_ci.domain.runkey import RunKey
from accel_ci.operations import reach, records, release
from accel_ci.ports.world import World

LONGEST_POLL_S = 1.0
VERIFY_LIMIT_S = 180.0
TRANSIENT_LIMIT_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Leased:
    """A ready machine, the lease it was made under, and when it was asked for and ready (seconds since 1970)."""

    machine: Machine
    lease: Lease
    candidate: Candidate
    requested_at: float
    ready_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to get and for how long: `ttl_s` seconds from the moment of each request."""

    spec: MachineSpec
    ttl_s: float


def machine(world: World, key: RunKey, order: Order, *, tell: Callable[[Try], None]) -> Leased:
    """Walk the candidates until one gives a machine; `tell` hears of each try. Raises the last error when none does.

    Whatever goes wrong, cancellation included, what this walk made is asked to end before the error leaves.
    """
    candidates = reach.retried(world, lambda: world.machines.candidates(order.spec), what="candidates")
    while True:
        candidate, candidates = candidates[0], candidates[1:]
        started_at = world.clock.now()
        try:
            leased = _try(world, key, order, candidate=candidate)
        except errors.AccelError as error:
            tell(_told(world, key, candidate, started_at=started_at, error=error))
            _undo(world, key, candidate, error=error)
            candidates = capacity.remaining(candidates, failed=candidate, error=error)
            if not candidates:
                raise
            world.job.log(f"{candidate}: {error}; next: {candidates[0]}")
            key = key.next_try()
        else:
            tell(_told(world, key, candidate, started_at=started_at, error=None))
            return leased


def _try(world: World, key: RunKey, order: Order, *, candidate: Candidate) -> Leased:
    requested_at = world.clock.now()
    lease = _lease(world, key, order)
    world.job.status(f"asking for {order.spec.accelerator} in {candidate}")
    creation = _begin(world, order.spec, lease, candidate=candidate)
    ready = _wait(world, creation, candidate=candidate, deadline=requested_at + order.spec.boot_limit_s)
    return Leased(
        machine=ready, lease=lease, candidate=candidate, requested_at=requested_at, ready_at=world.clock.now()
    )


def _lease(world: World, key: RunKey, order: Order) -> Lease:
    """The try's lease, kept before it is asked for: whoever goes on after a crash asks for the very same machine.

    BootError when that lease is over: a second machine of the name could be taken for the first, and swept.
    """
    place, now = records.place(key.slot, f"lease-{key.name}"), world.clock.now()
    expires_at = int(world.files.read(place) or now + order.ttl_s)
    if expires_at <= now:
        raise errors.BootError(f"the lease of {key.name} ended while nobody was there", what_to_do="run it again")
    world.files.write(place, str(expires_at).encode())
    return Lease(key=key, expires_at=expires_at)


def _begin(world: World, spec: MachineSpec, lease: Lease, *, candidate: Candidate) -> Creation:
    deadline = world.clock.now() + TRANSIENT_LIMIT_S
    for pause in release.pauses():
        try:
            return world.machines.begin_create(spec, lease, candidate, public_key=world.remote.public_key())
        except errors.TransientError as error:  # the request may have landed: the same name and request id find it
            if world.clock.now() >= deadline:
                raise
            world.job.log(f"{candidate}: {error}; asking again")
            world.clock.sleep(pause + world.entropy.uniform(0, pause))
    raise AssertionError("pauses never end")


def _wait(world: World, creation: Creation, *, candidate: Candidate, deadline: float) -> Machine:
    pause = 0.02
    while creation.machine is None:
        if world.clock.now() >= deadline:
            raise errors.BootError(
                f"{creation.handle} was still '{creation.stage}' at the boot limit",
                what_to_do="raise boot-timeout, or look at the console's last lines in the log",
            )
        world.job.status(f"{candidate}: {creation.stage}")
        world.clock.sleep(pause)
        pause = min(pause * 2, LONGEST_POLL_S)
        creation = _polled(world, creation)
    return creation.machine


def _polled(world: World, creation: Creation) -> Creation:
    try:
        return world.machines.poll(creation)
    except errors.TransientError as error:
        world.job.log(f"{creation.handle}: {error}; looking again")
        return creation


def _undo(world: World, key: RunKey, candidate: Candidate, *, error: errors.AccelError) -> None:
    """End what the try left. A cancelled job has seconds: its requests go out now, and cleanup verifies them."""
    if not isinstance(error, errors.CancelledError):
        release.by_key(world, key, zones=(candidate.zone,), limit_s=VERIFY_LIMIT_S)
        return
    try:
        left = world.machines.find(key, (candidate.zone,))
    except errors.CloudError as unknown:
        world.job.log(f"could not look up {key.name}: {unknown}; cleanup will")
        return
    for machine_left in left:
        release.send(world, machine_left.handle)


def _told(
    world: World, key: RunKey, candidate: Candidate, *, started_at: float, error: errors.AccelError | None
) -> Try:
    return Try(
        number=key.try_,
        name=key.name,
        zone=candidate.zone,
        spot=candidate.spot,
        started_at=started_at,
        ended_at=world.clock.now(),
        outcome="ready" if error is None else capacity.outcome(error),
        message="" if error is None else str(error),
    )
