"""cleanup: end what this job or run owns, and prove it. sweep: end what outlived its lease."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from accel_ci.domain import errors, lease
from accel_ci.domain.errors import CleanupUnverifiedError
from accel_ci.domain.lease import Owner
from accel_ci.domain.machine import Machine
from accel_ci.domain.record import CleanupFacts
from accel_ci.domain.runkey import RunKey
from accel_ci.operations import incident, records, release, sweeping
from accel_ci.ports.world import World
from accel_ci.render import proof, units

LIMIT_S = 240.0  # a cancelled job has 285 s for everything that is left to do
LISTING_LIMIT_S = release.LISTING_LIMIT_S
NAMED_LIMIT_S = 10.0
LOOK_ERRORS = (CleanupUnverifiedError, errors.CloudError, errors.ConfigurationError)
KEY_FILES = "ssh-key"


@dataclass(slots=True)
class _Doomed:
    """What is to end by now, what somebody keeps, and why looks failed: what they would have shown may live."""

    machines: list[Machine] = field(default_factory=list)
    kept: set[str] = field(default_factory=set)
    blind: list[errors.AccelError] = field(default_factory=list)


def cleanup(
    world: World, key: RunKey, *, owner: Owner, jobs: Sequence[str] = (), dry_run: bool = False
) -> CleanupFacts:
    """The proof that none of the owner's machines is left, and none of the key's own job, in whatever slot; or with

    `jobs` those of these jobs instead. CleanupUnverifiedError when a machine may still live, with what ends it by hand.
    """
    deadline, doomed = world.clock.now() + LIMIT_S, _Doomed()
    by_name = (lambda: _named(world, key, jobs)) if jobs else (lambda: _own(world, key))
    with world.job.group("cleanup"):
        _add(world, doomed, owner, by_name, dry_run=dry_run)
        _add(world, doomed, owner, lambda: _others(world, owner, key), dry_run=dry_run)
        _add(world, doomed, owner, by_name, dry_run=dry_run)  # what landed while the listing came
        facts = _end(world, doomed.machines, deadline=deadline, dry_run=dry_run)
        facts = _look_again(world, owner, doomed, facts, deadline=deadline, dry_run=dry_run)
    _keep(world, facts, doomed, mine=not jobs)
    _prove(world, facts, doomed)
    return facts


def sweep(world: World, repository_id: int, *, grace_s: float, dry_run: bool = False, url: str = "") -> CleanupFacts:
    """The proof for machines of this repository that outlived their lease, or their run, by `grace_s`; nothing else is

    touched. Each find is an incident: a warning, and on GitHub an issue that the first clean sweep closes.
    """
    with world.job.group("sweep"):
        finds = sweeping.found(world, repository_id, grace_s=grace_s, told=True)
        whys = {find.machine.handle: find.why for find in finds}
        for find in finds:
            sweeping.tell(world, find)
        left = [] if dry_run else sweeping.end(world, list(whys), limit_s=LIMIT_S)
        facts = _facts(world, list(whys), left, dry_run=dry_run)
    if not dry_run:
        incident.publish(world, whys, facts, url=url)
    _prove(world, facts, _Doomed())
    return facts


def _add(world: World, doomed: _Doomed, owner: Owner, look: Callable[[], list[Machine]], *, dry_run: bool) -> None:
    """What a look shows, but for what somebody keeps or the whole run owns.

    Its end is asked for at once: what follows may take a minute, or fail.
    """
    try:
        machines = look()
    except LOOK_ERRORS as error:
        doomed.blind.append(error)
        return
    known = {machine.handle for machine in doomed.machines} | doomed.kept
    for machine in machines:
        if machine.handle in known or not _in_scope(owner, machine) or records.foreign(world.files, machine):
            continue
        if lease.kept(machine.labels, now=world.clock.now()):
            doomed.kept.add(machine.handle)
            _warn_of_cost(world, machine)
            continue
        doomed.machines.append(machine)
        if not dry_run:
            release.send(world, machine.handle)


def _in_scope(owner: Owner, machine: Machine) -> bool:
    return owner.scope is None or machine.labels.get("accel-ci-scope", owner.scope) == owner.scope


def _own(world: World, key: RunKey) -> list[Machine]:
    """The job's own machines, looked up by name: no listing can hide them, and no silent zone elsewhere matters."""
    deadline = world.clock.now() + LISTING_LIMIT_S
    found: list[Machine] = []
    for own, zones in _tries(world, key):
        found += release.found(world, own, zones=zones, limit_s=max(0.0, deadline - world.clock.now()))
    return found


def _named(world: World, key: RunKey, jobs: Sequence[str]) -> list[Machine]:
    """What other jobs leased at their first try, by name, in case a listing still hides it; the listing is the proof."""
    try:
        return [
            machine
            for job in jobs
            for machine in release.found(world, replace(key, job=job, instance=""), zones=(), limit_s=NAMED_LIMIT_S)
        ]
    except LOOK_ERRORS as error:
        world.job.log(f"{error}; the listing tells")
        return []


def _tries(world: World, key: RunKey) -> Iterator[tuple[RunKey, tuple[str, ...]]]:
    """The key and the zones of each try of each slot; without a record the first try, in all zones."""
    for slot in records.slots(world.files) or [key.slot]:
        record, own = records.find(world.files, slot), replace(key, slot=slot)
        for attempt in record.tries if record else ():
            yield own, (attempt.zone,)
            own = own.next_try()
        if record is None or record.machine is None:  # a try is recorded when it is over: one more may live
            yield own, tuple(record.target.zones) if record else ()


def _others(world: World, owner: Owner, key: RunKey) -> list[Machine]:
    """What the owner's listing shows. The job's own cleanup goes on without it: its machines have names."""
    try:
        return release.listed(world, owner)
    except LOOK_ERRORS as error:
        if owner != lease.of_job(key) or not records.slots(world.files):
            raise
        world.job.warning("cleanup", f"{error}; this job's own machines were looked up by name")
        return []


def _end(world: World, machines: Sequence[Machine], *, deadline: float, dry_run: bool) -> CleanupFacts:
    handles = sorted(machine.handle for machine in machines)
    for handle in handles:
        world.job.log(f"found {handle}{' (dry run: left alone)' if dry_run else ''}")
    left = [] if dry_run else release.end(world, handles, limit_s=max(0.0, deadline - world.clock.now()))
    return _facts(world, handles, left, dry_run=dry_run)


def _facts(world: World, handles: list[str], left: list[str], *, dry_run: bool) -> CleanupFacts:
    if dry_run:
        return CleanupFacts(found=handles)
    gone = [handle for handle in handles if handle not in left]
    for handle in gone:
        world.job.log(f"{handle} is gone")
    return CleanupFacts(found=handles, released=gone, left=left, verified_at=None if left else world.clock.now())


def _look_again(
    world: World, owner: Owner, doomed: _Doomed, facts: CleanupFacts, *, deadline: float, dry_run: bool
) -> CleanupFacts:
    """The facts with the listing afterwards: it shows nothing, or what landed late, which ends too.

    The proof is each machine's own look-up, which no listing can spoil.
    """
    try:
        listed = world.machines.list_owned(owner)
    except LOOK_ERRORS as error:
        world.job.log(f"the listing afterwards failed: {error}")
        return facts
    known = len(doomed.machines)
    _add(world, doomed, owner, lambda: listed, dry_run=dry_run)
    if late := doomed.machines[known:]:
        facts = _both(facts, _end(world, late, deadline=deadline, dry_run=dry_run))
    shown = sorted(each.handle for each in listed if each not in late and each.handle not in doomed.kept)
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


def _prove(world: World, facts: CleanupFacts, doomed: _Doomed) -> None:
    """Show the proof where people look; raise when there is none."""
    commands = {handle: world.machines.release_command(handle) for handle in facts.left}
    world.job.summary(proof.cleanup(facts, commands))
    for handle, command in commands.items():
        world.job.error(
            "a machine may still live", f"{handle} may still live and cost money. End it by hand: {command}"
        )
    if facts.left:
        raise CleanupUnverifiedError(
            f"{len(facts.left)} machine(s) may still live: {', '.join(facts.left)}", commands=tuple(commands.values())
        )
    # After the proof of what was seen: an unseen part must not pass for an empty one.
    for error in doomed.blind:
        raise error


def _keep(world: World, facts: CleanupFacts, doomed: _Doomed, *, mine: bool) -> None:
    """Add the proof to the records of this job, and forget its key. Cleanup itself depends on neither."""
    for slot in records.slots(world.files):
        _remember(world, slot, facts)
    if mine and facts.verified_at is not None and not doomed.kept and not doomed.blind:
        for name in world.files.names(KEY_FILES):
            world.files.remove(name)


def _remember(world: World, slot: str, facts: CleanupFacts) -> None:
    record = records.load(world.files, slot)
    record.cleanup = facts
    machine = record.machine
    if machine is not None and machine.handle in facts.released and machine.released_at is None:
        machine.released_at = world.clock.now()
    records.save(world.files, record)


def _warn_of_cost(world: World, machine: Machine) -> None:
    until = units.moment(float(machine.labels["accel-ci-keep-until"]))
    rate = release.price(world, machine)
    price = "" if rate is None else f", {units.dollars(rate)} an hour"
    world.job.warning("kept machine", f"{machine.handle} has keep-until and goes on costing money until {until}{price}")
