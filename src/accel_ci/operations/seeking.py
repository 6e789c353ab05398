"""Looking for what is to end, in many ways at once: whatever one of them shows is asked to end before the others answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from accel_ci.domain import errors, lease
from accel_ci.domain.errors import AccelError, CleanupUnverifiedError
from accel_ci.domain.lease import Owner
from accel_ci.domain.machine import Machine
from accel_ci.operations import records, release
from accel_ci.ports.world import World

ERRORS = (CleanupUnverifiedError, errors.CloudError, errors.ConfigurationError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One way to look: what it looks for, how, and what ends by hand whatever it would have shown.

    `otherwise`: what shows the same when this look fails; "" when nothing does, so that nothing is proven without it.
    """

    what: str
    ask: Callable[[], Iterable[Machine]]
    by_hand: Callable[[], Sequence[str]] = tuple
    otherwise: str = ""


@dataclass(slots=True)
class Doomed:
    """What is to end by now, by handle; what somebody keeps; and why looks failed: what they would have shown may live."""

    machines: dict[str, Machine] = field(default_factory=dict)
    kept: dict[str, Machine] = field(default_factory=dict)
    blind: dict[str, AccelError] = field(default_factory=dict)
    refused: dict[str, errors.CloudError] = field(default_factory=dict)


def seek(
    world: World, doomed: Doomed, owner: Owner, looks: Sequence[Look], *, limit_s: float, dry_run: bool = False
) -> bool:
    """Look in all these ways side by side; each machine's end is asked for as soon as it is seen, unless `dry_run`.

    Spared is what somebody keeps, what the whole run owns, and what only has our name. True when every look was answered.
    """
    # This time's own: a lane that goes on beyond the limit must change no verdict that somebody reads already.
    answers: dict[str, AccelError | None] = {}
    doomed.refused = {}
    lanes = [_lane(world, doomed, owner, look, answers=answers, dry_run=dry_run) for look in looks]
    world.lanes.run(lanes, limit_s=limit_s)
    in_time = dict(answers)
    for look in looks:
        late = None if look.what in in_time else errors.TransientError(f"no answer within {limit_s:.0f} s")
        if error := _failure(look, late) if late else in_time[look.what]:
            doomed.blind[look.what] = error
        else:
            doomed.blind.pop(look.what, None)
    release.tell(world, dict(doomed.refused))
    blind = [look for look in looks if look.what in doomed.blind]
    for look in blind:
        if look.otherwise:
            world.job.warning("cleanup", f"{doomed.blind.pop(look.what)}; {look.otherwise}")
    return not blind


def _lane(
    world: World, doomed: Doomed, owner: Owner, look: Look, *, answers: dict[str, AccelError | None], dry_run: bool
) -> Iterator[Callable[[], None]]:
    """The requests for the end of what the look shows, as it shows it; how the look went is put into `answers`."""
    try:
        for machine in look.ask():
            if _takes(world, doomed, owner, machine) and not dry_run:
                yield partial(release.ask, world, machine.handle, doomed.refused)
    except ERRORS as error:
        answers[look.what] = _failure(look, error)
    else:
        answers[look.what] = None


def _takes(world: World, doomed: Doomed, owner: Owner, machine: Machine) -> bool:
    known = machine.handle in doomed.machines or machine.handle in doomed.kept
    if known or not _in_scope(owner, machine) or _foreign(world, machine):
        return False
    keeps = lease.kept(machine.labels, now=world.clock.now())
    (doomed.kept if keeps else doomed.machines)[machine.handle] = machine
    return not keeps


def _foreign(world: World, machine: Machine) -> bool:
    try:
        return records.foreign(world.files, machine)
    except errors.ComputerError:  # what cannot be read must save no machine of our name
        return False


def _in_scope(owner: Owner, machine: Machine) -> bool:
    return owner.scope is None or machine.labels.get("accel-ci-scope", owner.scope) == owner.scope


def _failure(look: Look, error: AccelError) -> AccelError:
    # A mistake in the configuration is the reader's to mend, and there may be no project to name in a command.
    if isinstance(error, CleanupUnverifiedError | errors.ConfigurationError):
        return error
    return CleanupUnverifiedError(f"could not {look.what}: {error}", commands=_by_hand(look))


def _by_hand(look: Look) -> tuple[str, ...]:
    try:
        return tuple(look.by_hand())
    except errors.AccelError:
        return ()
