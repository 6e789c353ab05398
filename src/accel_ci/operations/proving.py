"""That a machine is gone: told, kept in the run's record, or refused when there is no proof of it."""

from __future__ import annotations

from collections.abc import Sequence

from accel_ci.domain import errors
from accel_ci.domain.errors import CleanupUnverifiedError
from accel_ci.domain.record import CleanupFacts
from accel_ci.operations import records
from accel_ci.ports.world import World
from accel_ci.render import proof


def facts(world: World, handles: Sequence[str], left: Sequence[str], *, dry_run: bool = False) -> CleanupFacts:
    """What became of the machines of these handles, of which some are `left`; the log names each one that is gone."""
    if dry_run:
        return CleanupFacts(found=[*handles])
    gone = [handle for handle in handles if handle not in left]
    for handle in gone:
        world.job.log(f"{handle} is gone")
    return CleanupFacts(found=[*handles], released=gone, left=[*left], verified_at=None if left else world.clock.now())


def prove(world: World, facts: CleanupFacts, blind: Sequence[errors.AccelError], *, again: bool = False) -> None:
    """Show the proof where people look, unless it stands there `again`; raise when there is none.

    `blind` is why something could not be looked at. CleanupUnverifiedError has what ends by hand all that may still live.
    """
    told = {handle: f"{handle} may still live and cost money" for handle in facts.left}
    ends: dict[str, tuple[str, ...]] = {each: (world.machines.release_command(each),) for each in facts.left}
    for error in blind:
        if isinstance(error, CleanupUnverifiedError):
            ends[error.what_happened] = error.commands
            told[error.what_happened] = f"{error.what_happened}: a machine may still live and cost money"
    if not again or blind:
        world.job.summary(proof.cleanup(facts, by_hand(world, facts, blind)))
    for each, text in told.items():
        world.job.error("a machine may still live", f"{text}. End it by hand: {' ; '.join(ends[each])}")
    if told:
        raise CleanupUnverifiedError("; ".join(told.values()), commands=by_hand(world, facts, blind))
    for error in blind:
        raise error


def by_hand(world: World, facts: CleanupFacts, blind: Sequence[errors.AccelError]) -> tuple[str, ...]:
    """The commands that end whatever may still live, each once: what is left, and what could not be looked at."""
    ends = [world.machines.release_command(handle) for handle in facts.left]
    for error in blind:
        ends += error.commands if isinstance(error, CleanupUnverifiedError) else ()
    return tuple(dict.fromkeys(ends))


def remember(world: World, slot: str, facts: CleanupFacts) -> None:
    """Add the proof to the slot's record; ConfigurationError without one, ComputerError where it is damaged."""
    record = records.load(world.files, slot)
    earlier = record.cleanup
    if earlier is not None and not facts.found and facts.verified_at is not None:
        # What was ended before stays told; what may have lived then is gone now.
        facts = facts.model_copy(update={"found": earlier.found, "released": earlier.found})
    record.cleanup = facts
    machine = record.machine
    if machine is not None and machine.handle in facts.released and machine.released_at is None:
        machine.released_at = world.clock.now()
    records.save(world.files, record)
