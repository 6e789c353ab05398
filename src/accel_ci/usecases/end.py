"""end: end the one machine that a person names, and prove it."""

from __future__ import annotations

from accel_ci.domain import errors, lease, overdue
from accel_ci.domain.lease import Owner
from accel_ci.domain.machine import Machine, State
from accel_ci.domain.record import CleanupFacts, RunRecord
from accel_ci.operations import named, proving, records, release
from accel_ci.ports.world import World
from accel_ci.render import units

LIMIT_S = 240.0


def end(world: World, wanted: str, *, owner: Owner, known: Machine | None = None, force: bool = False) -> CleanupFacts:
    """The proof that the owner's machine of this handle or name is gone; `known`: as it was when leased from here.

    ConfigurationError when there is no such machine, and without `force` when its run may still use it or somebody keeps
    it. CleanupUnverifiedError, with what ends it by hand, when it may still live.
    """
    with world.job.group("end"):
        machine = _meant(world, wanted, owner, known=known)
        if machine is None:
            return CleanupFacts(verified_at=world.clock.now())
        record = _record(world, machine)
        world.job.log(f"found {machine.handle}, leased by {_whose(machine, record)}")
        if not force:
            _refuse_used(world, machine, seen=machine is not known)
        left = release.end(world, [machine.handle], limit_s=LIMIT_S)
        facts = proving.facts(world, [machine.handle], left)
        world.job.log(f"cost: {_cost(world, machine, record)}")
    if record is not None:
        _remember(world, record.identity.slot, facts)
    proving.prove(world, facts, [])
    return facts


def _meant(world: World, wanted: str, owner: Owner, *, known: Machine | None) -> Machine | None:
    """The machine that is meant; None when it was leased from here and is gone."""
    if known is not None and not owner.owns(known.name, known.labels):
        known = None  # another repository's number was given
    try:
        return named.machine(world, wanted, owner)
    except errors.CleanupUnverifiedError as error:
        if known is None:
            raise _unseen(world, wanted, error) from error
    except errors.ConfigurationError:
        if known is None:
            raise
    # A listing hides what is young: what was leased from here is looked up by its own name.
    try:
        gone = world.machines.released(known.handle)
    except errors.CloudError as error:
        raise _unseen(world, known.handle, error) from error
    if gone:
        world.job.log(f"{known.handle} is gone already")
    return None if gone else known


def _unseen(world: World, wanted: str, why: errors.AccelError) -> errors.AccelError:
    """Why nothing is proven, with the command for that very machine where its handle is known."""
    if "://" not in wanted:
        return why
    command = world.machines.release_command(wanted)
    return errors.CleanupUnverifiedError(f"{wanted} may still live and cost money: {why}", commands=(command,))


def _record(world: World, machine: Machine) -> RunRecord | None:
    """The record of the run that leased it; None where that was elsewhere, or cannot be read: it ends all the same."""
    try:
        known = [records.find(world.files, slot) for slot in records.slots(world.files)]
    except (errors.ComputerError, ValueError):
        return None
    return next((each for each in known if each and each.machine and each.machine.handle == machine.handle), None)


def _remember(world: World, slot: str, facts: CleanupFacts) -> None:
    """Add the proof to the record. Where that cannot be done, what may still live is told all the same."""
    try:
        proving.remember(world, slot, facts)
    except (errors.ComputerError, ValueError) as error:
        world.job.warning("end", f"the proof is in this log only: {error}")


def _whose(machine: Machine, record: RunRecord | None) -> str:
    run, attempt = overdue.run_id(machine.labels), overdue.attempt(machine.labels)
    told = f"run {run}, attempt {attempt}" if run else "a run that its labels do not name"
    if record is None:
        return told
    by = f" of {record.identity.actor}" if record.identity.actor else ""
    return f"{told}, job {record.identity.job}{by} in {record.identity.repository}"


def _refuse_used(world: World, machine: Machine, *, seen: bool) -> None:
    """Refuse what is still wanted; what was not `seen` now, but is known from its lease, may be kept since."""
    now = world.clock.now()
    finding = overdue.judge(machine.labels, now=now, grace_s=0.0)
    if seen and (finding.overdue or machine.state is State.RELEASING):
        return
    until = lease.expires_at(machine.labels)
    why = f"{finding.why}, and no list says now whether somebody keeps it" if finding.overdue else finding.why
    raise errors.ConfigurationError(
        f"{machine.handle} was not ended: {why}{f', until {units.moment(until)}' if until else ''}",
        what_to_do="if nobody needs it any more, give the same command with `--force`",
    )


def _cost(world: World, machine: Machine, record: RunRecord | None) -> str:
    """From the request to now where the run is known; else the price of an hour."""
    facts = record.machine if record else None
    rate = facts.dollars_per_hour if facts else release.price(world, machine)
    price = "its price is not known" if rate is None else f"{units.dollars(rate)} an hour"
    if facts is None:
        return f"{price}; for how long says the record of its run"
    seconds = max(0.0, world.clock.now() - facts.requested_at)
    told = f"{units.duration(seconds)} of machine time, {price}"
    return told if rate is None else f"{units.dollars(rate * seconds / 3600)} ({told})"
