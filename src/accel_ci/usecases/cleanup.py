"""cleanup: end what this job or run owns, and prove it. sweep: end what outlived its lease."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial

from accel_ci.domain import errors, lease
from accel_ci.domain.lease import Owner
from accel_ci.domain.machine import Machine
from accel_ci.domain.record import CleanupFacts, RunRecord
from accel_ci.domain.runkey import RunKey
from accel_ci.operations import incident, proving, records, release, seeking, sweeping
from accel_ci.operations.seeking import Doomed, Look
from accel_ci.ports.world import World

LIMIT_S = 240.0  # a cancelled job has 285 s for everything that is left to do
HURRIED_LIMIT_S = 180.0  # of which collect may have taken 60 s, and report wants some
TAIL_S = 50.0  # of the limit: the last look at each machine, the listing afterwards, and what only that shows
LISTING_LIMIT_S = release.LISTING_LIMIT_S
# With a last request that hangs; the second look is for what landed meanwhile.
LOOK_LIMIT_S, SECOND_LOOK_LIMIT_S, LAST_LOOK_LIMIT_S = 75.0, 30.0, 15.0
NAMED_LIMIT_S = 10.0
KEY_FILES = "ssh-key"
# A full disk, or a document that a crash or another version left.
UNREADABLE = (errors.ComputerError, ValueError)


def cleanup(
    world: World,
    key: RunKey,
    *,
    owner: Owner,
    jobs: Sequence[str] = (),
    dry_run: bool = False,
    limit_s: float = LIMIT_S,
) -> CleanupFacts:
    """The proof that none of the owner's machines is left, and none of the key's own job, in whatever slot; or with

    `jobs` those of these jobs instead. CleanupUnverifiedError when a machine may still live, with what ends it by hand.
    """
    deadline, doomed = world.clock.now() + limit_s - TAIL_S, Doomed()
    by_name = _named(world, key, jobs) if jobs else _own(world, key)
    with world.job.group("cleanup"):
        looks = [*by_name, _listing(world, owner, key)]
        seeking.seek(world, doomed, owner, looks, limit_s=LOOK_LIMIT_S, dry_run=dry_run)
        # What landed while the listing came.
        seeking.seek(world, doomed, owner, by_name, limit_s=SECOND_LOOK_LIMIT_S, dry_run=dry_run)
        for machine in [*doomed.kept.values()]:
            release.warn_of_cost(world, machine)
        facts = _end(world, doomed.machines, deadline=deadline, dry_run=dry_run)
        facts = _look_again(world, owner, doomed, facts, deadline=deadline, dry_run=dry_run)
    facts, blind = _honest(facts, doomed), [*doomed.blind.values()]
    facts = facts.model_copy(update={"commands": [*proving.by_hand(world, facts, blind)]})
    again = not facts.found and _proven(world)
    _keep(world, facts, doomed, mine=not jobs)
    proving.prove(world, facts, blind, again=again)
    return facts


def sweep(world: World, repository_id: int, *, grace_s: float, dry_run: bool = False, url: str = "") -> CleanupFacts:
    """The proof for machines of this repository that outlived their lease, or their run, by `grace_s`; nothing else is

    touched. Each find is an incident: a warning, and on GitHub an issue that the first clean sweep closes. What is found
    ends, too, where a part of the cloud is silent; CleanupUnverifiedError says then that there may be more.
    """
    with world.job.group("sweep"):
        finds, silent = sweeping.found(world, repository_id, grace_s=grace_s, told=True)
        whys = {find.machine.handle: find.why for find in finds}
        for find in finds:
            sweeping.tell(world, find)
        if not finds and silent is None:
            world.job.log("no machine of this repository is past its lease")
        left = [] if dry_run else sweeping.end(world, list(whys), limit_s=LIMIT_S)
        facts = proving.facts(world, list(whys), left, dry_run=dry_run)
    # Silence is no proof that nothing is there: an incident stays open.
    if not dry_run and (finds or silent is None):
        incident.publish(world, whys, facts, url=url)
    proving.prove(world, facts, [silent] if silent else [])
    return facts


def _own(world: World, key: RunKey) -> list[Look]:
    """The job's own machines, looked up by name: no listing can hide them, and no silent zone elsewhere matters."""
    return [_by_name(world, own, zones, limit_s=LISTING_LIMIT_S) for own, zones in _tries(world, key)]


def _named(world: World, key: RunKey, jobs: Sequence[str]) -> list[Look]:
    """What other jobs leased at their first try, by name, in case a listing still hides it; the listing is the proof."""
    return [
        replace(
            _by_name(world, replace(key, job=job, instance=""), (), limit_s=NAMED_LIMIT_S),
            otherwise="the listing tells",
        )
        for job in jobs
    ]


def _by_name(world: World, own: RunKey, zones: Sequence[str], *, limit_s: float) -> Look:
    return Look(
        what=f"look up {own.name}",
        ask=partial(release.found, world, own, zones=zones, limit_s=limit_s),
        by_hand=partial(release.by_name, world, own, zones),
    )


def _tries(world: World, key: RunKey) -> Iterator[tuple[RunKey, tuple[str, ...]]]:
    """The key and the zones of each try of each slot; without a record the first try, in all zones."""
    for slot in _slots(world) or [key.slot]:
        record, own = _record(world, slot), replace(key, slot=slot)
        for attempt in record.tries if record else ():
            yield own, (attempt.zone,)
            own = own.next_try()
        if record is None or record.machine is None:  # a try is recorded when it is over: one more may live
            yield own, tuple(record.target.zones) if record else ()


def _slots(world: World) -> list[str]:
    try:
        return records.slots(world.files)
    except UNREADABLE:
        return []


def _record(world: World, slot: str) -> RunRecord | None:
    """The slot's record; None where it cannot be read: machines have names without it."""
    try:
        return records.find(world.files, slot)
    except UNREADABLE:
        return None


def _listing(world: World, owner: Owner, key: RunKey) -> Look:
    """What the owner's listing shows. The job's own cleanup goes on without it: its machines have names."""
    alone = owner == lease.of_job(key) and _slots(world)
    return Look(
        what="list the machines",
        ask=partial(release.listed, world, owner),
        by_hand=partial(world.machines.search_commands, owner),
        otherwise="this job's own machines were looked up by name" if alone else "",
    )


def _end(world: World, machines: Iterable[str], *, deadline: float, dry_run: bool) -> CleanupFacts:
    handles = sorted(machines)
    for handle in handles:
        world.job.log(f"found {handle}{' (dry run: left alone)' if dry_run else ''}")
    left = [] if dry_run else release.end(world, handles, limit_s=max(0.0, deadline - world.clock.now()))
    return proving.facts(world, handles, left, dry_run=dry_run)


def _look_again(
    world: World, owner: Owner, doomed: Doomed, facts: CleanupFacts, *, deadline: float, dry_run: bool
) -> CleanupFacts:
    """The facts with the listing afterwards: it shows nothing, or what landed late, which ends too.

    The proof is each machine's own look-up, which no listing can spoil.
    """
    listed: list[str] = []

    def ask() -> Iterator[Machine]:
        """The owner's listing, of which every handle is noted."""
        for machine in world.machines.list_owned(owner):
            listed.append(machine.handle)
            yield machine

    afterwards = Look(what="list what is there afterwards", ask=ask, otherwise="each machine was looked up by name")
    known, kept = set(doomed.machines), set(doomed.kept)
    complete = seeking.seek(world, doomed, owner, [afterwards], limit_s=LAST_LOOK_LIMIT_S, dry_run=dry_run)
    for handle in sorted(set(doomed.kept) - kept):
        release.warn_of_cost(world, doomed.kept[handle])
    if late := sorted(set(doomed.machines) - known):
        facts = _both(facts, _end(world, late, deadline=deadline, dry_run=dry_run))
    if not complete:
        return facts
    shown = sorted(handle for handle in set(listed) if handle not in late and handle not in doomed.kept)
    nothing = "no other machine" if doomed.kept else "no machine"
    world.job.log(f"the listing afterwards: {', '.join(shown) or nothing}")
    return facts.model_copy(update={"listed": shown})


def _both(one: CleanupFacts, other: CleanupFacts) -> CleanupFacts:
    verified = None if one.left or other.left else other.verified_at
    return CleanupFacts(
        found=one.found + other.found,
        released=one.released + other.released,
        left=one.left + other.left,
        verified_at=verified,
    )


def _honest(facts: CleanupFacts, doomed: Doomed) -> CleanupFacts:
    """What could not be looked at must not pass for what is empty, nor what is kept for what is gone."""
    facts = facts.model_copy(update={"kept": sorted(doomed.kept)})
    unseen = sorted(error.what_happened for error in doomed.blind.values())
    return facts.model_copy(update={"unseen": unseen, "verified_at": None}) if unseen else facts


def _proven(world: World) -> bool:
    """True when this job's machines are proven to be gone already: whoever comes next, such as the post step, repeats it."""
    known = [_record(world, slot) for slot in _slots(world)]
    return bool(known) and all(each and each.cleanup and each.cleanup.verified_at is not None for each in known)


def _keep(world: World, facts: CleanupFacts, doomed: Doomed, *, mine: bool) -> None:
    """Add the proof to the records of this job, and forget its key. Cleanup itself depends on neither."""
    try:
        for slot in records.slots(world.files):
            proving.remember(world, slot, facts)
    except UNREADABLE as error:
        world.job.warning("cleanup", f"the proof is in this log only: {error}")
    if mine and facts.verified_at is not None and not doomed.kept:
        for name in world.files.names(KEY_FILES):
            world.files.remove(name)
