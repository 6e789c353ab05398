"""Joining the machine that another job of the run leased: a slot such as `run:trainer` has one machine for all jobs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from functools import partial

from accel_ci.domain import errors, lease, runkey
from accel_ci.domain.lease import Lease, Scope
from accel_ci.domain.machine import Candidate, Creation, Machine, State
from accel_ci.domain.runkey import RunKey
from accel_ci.operations import acquire, reach, release
from accel_ci.operations.acquire import Leased, Order
from accel_ci.ports.world import World

LOOK_LIMIT_S = 240.0  # a machine of its own would cost more than to ask a silent cloud for longer
FOLLOW_S = 60.0  # the job that leases ends what failed before it asks elsewhere
MOST_TRIES = 50  # of the job that leased: the names of its tries follow from the key


def joined(world: World, key: RunKey, order: Order, *, who: str, wait_s: float = 0.0) -> Leased | None:
    """The run's machine for this key, ready, with a directory of its own for the job `who`; None when none is there in time.

    What one job installed or left running is there for the next: jobs that share a machine share its trust.
    """
    requested_at = world.clock.now()
    there = _within(world, key, order, limit_s=wait_s)
    if there is None:
        return None
    ready, expires_at = _awaited(world, key, order, there)
    root = f"accel-ci-{runkey.short_digest(who)}"
    machine = reach.retried(world, lambda: _let_in(world, ready, root=root), what="join")
    return Leased(
        machine=machine,
        lease=Lease(key=key, expires_at=expires_at, scope=Scope.RUN),
        candidate=Candidate(
            zone=machine.zone,
            spot=machine.spot,
            dollars_per_hour=release.price(world, machine),
            backend=machine.backend,
        ),
        requested_at=requested_at,
        ready_at=world.clock.now(),
    )


def _awaited(world: World, key: RunKey, order: Order, there: Machine) -> tuple[Machine, int]:
    """The run's machine once it is ready, and when its lease ends; where one fails, that of the leasing job's next try."""
    failed: set[str] = set()
    while True:
        expires_at, now = lease.expires_at(there.labels), world.clock.now()
        if expires_at is None or expires_at <= now:
            raise errors.BootError(
                f"the lease of {there.handle} is over", what_to_do="give the machine that all jobs share a longer `ttl`"
            )
        asked = Creation(handle=there.handle, stage="another job's creation")
        try:
            ready = acquire.awaited(world, asked, what=there.handle, deadline=now + order.spec.boot_limit_s)
        except (errors.BootError, errors.NoCapacityError, errors.QuotaError) as error:
            failed.add(there.handle)
            followed = _within(world, key, order, limit_s=FOLLOW_S, without=failed)
            if followed is None:
                raise
            world.job.log(f"{there.handle}: {error}; next: {followed.handle}")
            there = followed
        else:
            return ready, expires_at


def _within(
    world: World, key: RunKey, order: Order, *, limit_s: float, without: Collection[str] = ()
) -> Machine | None:
    deadline = world.clock.now() + limit_s
    for pause in release.pauses():
        found = _there(world, key, order, without=without)
        if found is not None or world.clock.now() >= deadline:
            return found
        world.clock.sleep(pause)
    raise AssertionError("pauses never end")


def _let_in(world: World, ready: Machine, *, root: str) -> Machine:
    """The machine once it lets us in. It learns of a new key within seconds; until then it keeps us out."""
    # Together: two that join a TPU at once undo each other's key, and whoever is kept out has to say his again.
    machine = world.machines.join(ready, public_key=world.remote.public_key(), root=root)
    world.remote.prepare(machine)
    return machine


def _there(world: World, key: RunKey, order: Order, *, without: Collection[str]) -> Machine | None:
    tries = {replace(key, try_=number).digest for number in range(1, MOST_TRIES + 1)}
    owner = replace(lease.of_job(key), scope=Scope.RUN)

    def usable(machine: Machine) -> bool:
        """True for what lives and is the run's."""
        living = machine.state in (State.CREATING, State.READY) and machine.handle not in without
        return living and owner.owns(machine.name, machine.labels) and machine.labels.get("accel-ci-key") in tries

    def shown(look: Callable[[], Iterable[Machine]]) -> Machine | None:
        """The first such machine that the look shows."""
        return next(filter(usable, look()), None)

    # By name first: a listing may lack what is seconds old. Each is asked until it answers, not both at once.
    for look in (partial(world.machines.find, key, order.spec.zones), partial(world.machines.list_owned, owner)):
        what = "look for the run's machine"
        found = reach.retried(world, partial(shown, look), what=what, limit_s=LOOK_LIMIT_S)
        if found is not None:
            return found
    return None
