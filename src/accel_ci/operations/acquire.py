"""Getting a machine: the capacity walk, with each partial machine ended before the next place is tried."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from accel_ci.domain import capacity, errors
from accel_ci.domain.lease import Lease, Scope
from accel_ci.domain.machine import Candidate, Creation, Machine, MachineSpec, State
from accel_ci.domain.record import Try
from accel_ci.domain.runkey import RunKey
from accel_ci.formats import output
from accel_ci.operations import reach, records, release
from accel_ci.ports.world import World

# Readiness is noticed within a second: what waits costs money and somebody's time.
LONGEST_POLL_S = 1.0
VERIFY_LIMIT_S = 180.0
# Long enough for a rate limit to pass, and short enough that another zone is still worth trying.
TRANSIENT_LIMIT_S = 60.0
READY = "ready"
CONSOLE_LINES = 30
CONSOLE_CHARACTERS = 300
ABANDON_S = 5.0  # a runner kills a cancelled step 10 s after its first signal (actions/runner, ProcessInvoker.cs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Leased:
    """A ready machine, the lease it was made under, and when it was asked for and ready (seconds since 1970)."""

    machine: Machine
    lease: Lease
    candidate: Candidate
    requested_at: float
    ready_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Who hears of each try (`tell`), keeps the machine (`take`), and uses the wait for the first one (`meanwhile`).

    `tried`: what a client that crashed had an answer to.
    """

    tell: Callable[[Try], None]
    take: Callable[[Leased], None]
    meanwhile: Callable[[], None]
    tried: tuple[Try, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to get, for whom, and for how long: `ttl_s` seconds from the moment of each request."""

    spec: MachineSpec
    ttl_s: float
    scope: Scope = Scope.JOB


@dataclass(slots=True)
class _Place:
    """Where the walk is: the key of the try, the candidate that was asked (None before the first), and what it gave.

    `passed`: the time of one wait was used already.
    """

    key: RunKey
    candidate: Candidate | None = None
    handle: str = ""
    passed: bool = False


def machine(world: World, key: RunKey, order: Order, watch: Watch) -> Leased:
    """Walk the candidates until one gives a machine, which `watch` keeps. Raises the last error when none does.

    Whatever goes wrong, cancellation included, what this walk made is asked to end before the error leaves.
    """
    place = _Place(replace(key, try_=len(watch.tried) + 1))
    try:
        leased = _walk(world, place, order, watch)
        watch.take(leased)
    except errors.CancelledError:
        _abandon(world, place, shared=order.scope is Scope.RUN)
        raise
    return leased


def _walk(world: World, place: _Place, order: Order, watch: Watch) -> Leased:
    candidates = reach.retried(world, lambda: world.machines.candidates(order.spec), what="candidates")
    candidates = _resumed(world, place.key, watch.tried, candidates)
    while True:
        candidate, candidates = candidates[0], candidates[1:]
        place.candidate, place.handle, key, started_at = candidate, "", place.key, world.clock.now()
        try:
            leased = _try(world, place, order, candidate=candidate, watch=watch)
        except errors.AccelError as error:
            watch.tell(_told(world, key, candidate, started_at=started_at, error=error))
            if isinstance(error, errors.CancelledError):
                raise
            # Before the next place is asked: a failed creation may have left a machine, which would use up the quota.
            _end(world, key, zone=candidate.zone)
            candidates = capacity.remaining(candidates, failed=candidate, error=error)
            candidates = candidates or capacity.replacement(error, failed=candidate, tried=key.try_)
            if not candidates:
                _pass_by(place, watch)  # what nobody ended may be what uses up the quota
                raise
            world.job.log(f"{candidate}: {error}; next: {candidates[0]}")
            place.key = key.next_try()
        else:
            watch.tell(_told(world, key, candidate, started_at=started_at, error=None))
            return leased


def _resumed(world: World, key: RunKey, tried: Sequence[Try], candidates: Sequence[Candidate]) -> Sequence[Candidate]:
    """Where a walk goes on that a crash broke off: what its last try left is ended first, as ever."""
    if not tried:
        return candidates
    _end(world, replace(key, try_=len(tried)), zone=tried[-1].zone)
    left = capacity.resumed(candidates, tried)
    if not left:
        raise errors.NoCapacityError("every place was tried before the client crashed", what_to_do="run it again")
    return left


def _try(world: World, place: _Place, order: Order, *, candidate: Candidate, watch: Watch) -> Leased:
    now = world.clock.now()
    lease, requested_at = _lease(world, place.key, order, now=now)
    world.job.status(f"asking for {order.spec.accelerator} in {candidate}")
    creation = _begin(world, order.spec, lease, candidate=candidate)
    place.handle = creation.handle
    _pass_by(place, watch)
    try:
        ready = awaited(world, creation, what=str(candidate), deadline=now + order.spec.boot_limit_s)
    except errors.BootError:
        _show_console(world, creation.handle)
        raise
    return Leased(
        machine=ready, lease=lease, candidate=candidate, requested_at=requested_at, ready_at=world.clock.now()
    )


def _pass_by(place: _Place, watch: Watch) -> None:
    if not place.passed:
        place.passed = True
        watch.meanwhile()


def _lease(world: World, key: RunKey, order: Order, *, now: float) -> tuple[Lease, float]:
    """The try's lease and when it began, kept before the request: who goes on after a crash asks for the same machine.

    BootError when that lease is over: a second machine of the name could be taken for the first, and swept.
    """
    place = records.lease_place(key.slot, key.name)
    known = world.files.read(place)
    expiry, _, nonce = known.decode().partition(" ") if known else (now + order.ttl_s, "", world.entropy.token()[:16])
    expires_at = int(expiry)
    if expires_at <= now:
        raise errors.BootError(f"the lease of {key.name} ended while nobody was there", what_to_do="run it again")
    world.files.write(place, f"{expires_at} {nonce}".encode())
    # What a crashed client asked for has cost money since it asked, not since we came.
    lease = Lease(key=key, expires_at=expires_at, nonce=nonce, scope=order.scope)
    return lease, expires_at - order.ttl_s if known else now


def _show_console(world: World, handle: str) -> None:
    """The last lines that the machine wrote, for whoever wants to know why it did not boot."""
    try:
        lines = world.machines.console_tail(handle).splitlines()[-CONSOLE_LINES:]
    except errors.CloudError as error:
        world.job.log(f"no console of {handle}: {error}")
        return
    for line in lines:
        world.job.log(f"console: {output.one_line(line, CONSOLE_CHARACTERS)}")


def _begin(world: World, spec: MachineSpec, lease: Lease, *, candidate: Candidate) -> Creation:
    deadline = world.clock.now() + TRANSIENT_LIMIT_S
    for pause in release.pauses():
        try:
            return world.machines.begin_create(spec, lease, candidate, public_key=world.remote.public_key())
        except errors.TransientError as error:  # the request may have landed: the same name and request id find it
            if world.clock.now() >= deadline:
                raise
            world.job.status(f"{candidate}: {error}; asking again")
            # Jobs of a matrix that were refused together must not ask again together.
            world.clock.sleep(pause + world.entropy.uniform(0, pause))
    raise AssertionError("pauses never end")


def awaited(world: World, creation: Creation, *, what: str, deadline: float) -> Machine:
    """The machine once it is ready; BootError when it is not at the deadline."""
    pause = 0.02
    while creation.machine is None:
        if world.clock.now() >= deadline:
            raise errors.BootError(
                f"{creation.handle} was still '{creation.stage}' at the boot limit",
                what_to_do="raise boot-timeout, or look at the console's last lines in the log",
            )
        world.job.status(f"{what}: {creation.stage}")
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


def _end(world: World, key: RunKey, *, zone: str) -> None:
    """End what the try left, but no machine of another job that has the same key, by mistake or in a slot of the run.

    CleanupUnverifiedError names what is still there after VERIFY_LIMIT_S.
    """
    now = world.clock.now()
    deadline, resend_at = now + VERIFY_LIMIT_S, now
    for pause in release.pauses():
        found = release.found(world, key, zones=(zone,), limit_s=VERIFY_LIMIT_S)
        # Looked up each time: a name that is free again may be another job's by now.
        ours = [machine for machine in found if not records.foreign(world.files, machine)]
        if not ours:
            return
        if world.clock.now() >= resend_at:
            release.send_all(world, [each.handle for each in ours if each.state is not State.RELEASING])
            resend_at = world.clock.now() + release.RESEND_S
        if world.clock.now() >= deadline:
            raise release.unverified(world, [each.handle for each in ours], limit_s=VERIFY_LIMIT_S)
        world.job.status(f"waiting for {key.name} to be gone")
        world.clock.sleep(pause)


def _abandon(world: World, place: _Place, *, shared: bool) -> None:
    """Ask for the end of what the try made. A cancelled job has seconds: cleanup verifies.

    A creation in flight may land after the first look, so that we look until we found it, or have no time left.
    """
    if place.candidate is None or world.files.read(records.lease_place(place.key.slot, place.key.name)) is None:
        return  # nothing was asked for
    # In a slot of the run the name may be another job's by now.
    if place.handle and not shared and release.send(world, place.handle):
        return
    deadline = world.clock.now() + ABANDON_S
    for pause in release.pauses():
        sent = [release.send(world, each.handle) for each in _seen(world, place.key, place.candidate)]
        if sent and all(sent):
            return
        if world.clock.now() >= deadline:
            world.job.log(f"{place.key.name} was not found; cleanup looks again")
            return
        world.clock.sleep(pause)


def _seen(world: World, key: RunKey, candidate: Candidate) -> list[Machine]:
    try:
        found = world.machines.find(key, (candidate.zone,))
        return [machine for machine in found if not records.foreign(world.files, machine)]
    except errors.CloudError as unknown:
        world.job.log(f"could not look up {key.name}: {unknown}")
        return []


def _told(
    world: World, key: RunKey, candidate: Candidate, *, started_at: float, error: errors.AccelError | None
) -> Try:
    return Try(
        number=key.try_,
        name=key.name,
        zone=candidate.zone,
        spot=candidate.spot,
        backend=candidate.backend,
        started_at=started_at,
        ended_at=world.clock.now(),
        outcome=READY if error is None else capacity.outcome(error),
        message="" if error is None else str(error),
    )
