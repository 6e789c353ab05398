"""cleanup: end what this job or run owns, and prove it. sweep: end what outlived its lease."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from accel_ci.domain import errors, lease
from accel_ci.domain.lease import Owner
from accel_ci.domain.machine import Machine
from accel_ci.domain.record import CleanupFacts
from accel_ci.domain.runkey import RunKey
from accel_ci.operations import records, release
from accel_ci.ports.world import World

LIMIT_S = 240.0  # a cancelled job has 285 s for everything that is left to do
LISTING_LIMIT_S = 60.0


def cleanup(world: World, key: RunKey, *, owner: Owner, dry_run: bool = False) -> CleanupFacts:
    """The proof that none of the owner's machines is left, and none of the key's own job, in whatever slot.

    CleanupUnverifiedError when a machine may still live, with the command that ends it.
    """
    deadline = world.clock.now() + LIMIT_S
    with world.job.group("cleanup"):
        doomed = _doomed(world, _own(world, key), dry_run=dry_run)
        doomed += _doomed(world, _others(world, owner, key, known=doomed), dry_run=dry_run)
        doomed += _doomed(world, _new(_own(world, key), doomed), dry_run=dry_run)  # what landed while the listing came
        facts = _end(world, doomed, deadline=deadline, dry_run=dry_run)
        late = _doomed(world, _new(_look_again(world, owner), doomed), dry_run=dry_run)
        facts = _both(facts, _end(world, late, deadline=deadline, dry_run=dry_run)) if late else facts
    for slot in records.slots(world.files):
        _remember(world, slot, facts)
    return _proven(world, facts)


def sweep(world: World, repository_id: int, *, grace_s: float, dry_run: bool = False) -> CleanupFacts:
    """The proof for machines of this repository that outlived their lease by `grace_s`; nothing else is touched."""
    now = world.clock.now()
    with world.job.group("sweep"):
        listed = _listed(world, Owner(repository_id=repository_id))
        doomed = [machine for machine in listed if _expired(machine, before=now - grace_s)]
        facts = _end(world, doomed, deadline=now + LIMIT_S, dry_run=dry_run)
        for handle in facts.found:
            world.job.warning(
                "leaked machine", f"{handle} outlived its lease: every find of the sweeper is an incident"
            )
    return _proven(world, facts)


def _doomed(world: World, machines: Sequence[Machine], *, dry_run: bool) -> list[Machine]:
    """The machines that nobody keeps; their end is asked for at once, for what follows may take a minute, or fail."""
    doomed = [machine for machine in machines if not _kept(world, machine)]
    for machine in doomed if not dry_run else ():
        release.send(world, machine.handle)
    return doomed


def _own(world: World, key: RunKey) -> list[Machine]:
    """This job's own machines, looked up by name: no listing can hide them, and no silent zone elsewhere matters."""
    deadline = world.clock.now() + LISTING_LIMIT_S
    found: list[Machine] = []
    for own, zones in _own_keys(world, key):
        found += release.found(world, own, zones=zones, limit_s=max(0.0, deadline - world.clock.now()))
    return found


def _own_keys(world: World, key: RunKey) -> Iterator[tuple[RunKey, tuple[str, ...]]]:
    """The key and the zones of each try of each slot; without a record the first try, in all zones."""
    for slot in records.slots(world.files) or [key.slot]:
        record, own = records.find(world.files, slot), replace(key, slot=slot)
        for attempt in record.tries if record else ():
            yield own, (attempt.zone,)
            own = own.next_try()
        if record is None or record.machine is None:  # a try is recorded when it is over: one more may live
            yield own, tuple(record.target.zones) if record else ()


def _new(machines: Sequence[Machine], known: Sequence[Machine]) -> list[Machine]:
    handles = {machine.handle for machine in known}
    return [machine for machine in machines if machine.handle not in handles]


def _others(world: World, owner: Owner, key: RunKey, *, known: Sequence[Machine]) -> list[Machine]:
    """What else the owner's listing shows. The job's own cleanup goes on without it: its machines have names."""
    try:
        return _new(_listed(world, owner), known)
    except errors.CleanupUnverifiedError as error:
        if owner != lease.of_job(key) or not records.slots(world.files):
            raise
        world.job.warning("cleanup", f"{error}; this job's own machines were looked up by name")
        return []


def _listed(world: World, owner: Owner) -> list[Machine]:
    deadline = world.clock.now() + LISTING_LIMIT_S
    for pause in release.pauses():
        try:
            return world.machines.list_owned(owner)
        except errors.TransientError as error:
            if world.clock.now() >= deadline:
                raise errors.CleanupUnverifiedError(
                    f"could not list the machines: {error}", commands=("accel-ci cleanup",)
                ) from error
            world.clock.sleep(pause)
    raise AssertionError("pauses never end")


def _end(world: World, doomed: Sequence[Machine], *, deadline: float, dry_run: bool) -> CleanupFacts:
    handles = sorted(machine.handle for machine in doomed)
    for handle in handles:
        world.job.log(f"found {handle}{' (dry run: left alone)' if dry_run else ''}")
    if dry_run:
        return CleanupFacts(found=handles)
    left = release.end(world, handles, limit_s=max(0.0, deadline - world.clock.now()))
    gone = [handle for handle in handles if handle not in left]
    for handle in gone:
        world.job.log(f"{handle} is gone")
    return CleanupFacts(found=handles, released=gone, left=left, verified_at=None if left else world.clock.now())


def _look_again(world: World, owner: Owner) -> list[Machine]:
    """What the listing shows afterwards: nothing, or what landed late. The proof is each machine's own look-up."""
    try:
        listed = world.machines.list_owned(owner)
    except errors.CloudError as error:
        world.job.log(f"the listing afterwards failed: {error}")
        return []
    world.job.log(f"the listing afterwards: {', '.join(machine.handle for machine in listed) or 'no machine'}")
    return listed


def _both(one: CleanupFacts, other: CleanupFacts) -> CleanupFacts:
    verified = None if one.left or other.left else other.verified_at
    return CleanupFacts(
        found=one.found + other.found,
        released=one.released + other.released,
        left=one.left + other.left,
        verified_at=verified,
    )


def _proven(world: World, facts: CleanupFacts) -> CleanupFacts:
    if facts.left:
        raise errors.CleanupUnverifiedError(
            f"{len(facts.left)} machine(s) may still live: {', '.join(facts.left)}",
            commands=tuple(world.machines.release_command(handle) for handle in facts.left),
        )
    return facts


def _remember(world: World, slot: str, facts: CleanupFacts) -> None:
    """Add the proof to the slot's record: cleanup itself never depends on it."""
    record = records.load(world.files, slot)
    record.cleanup = facts
    machine = record.machine
    if machine is not None and machine.handle in facts.released and machine.released_at is None:
        machine.released_at = world.clock.now()
    records.save(world.files, record)


def _expired(machine: Machine, *, before: float) -> bool:
    expiry = lease.expires_at(machine.labels)
    return expiry is not None and expiry < before


def _kept(world: World, machine: Machine) -> bool:
    kept = lease.kept(machine.labels, now=world.clock.now())
    if kept:
        world.job.warning("kept machine", f"{machine.handle} has keep-until and goes on costing money until then")
    return kept
