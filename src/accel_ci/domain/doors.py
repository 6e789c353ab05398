"""The ways out of the test user's confinement: what was tried on a machine from inside, and what that means. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from accel_ci.domain.record import DoorFacts, OpenDoor

# Somebody else's way in; what runs on the machine gets nowhere through it.
WAYS_IN = frozenset({"logins"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """One worker's doors: the names of those that were tried, and how those were found that stand open (hostile text)."""

    worker: int
    names: tuple[str, ...] = ()
    open: Mapping[str, str] = field(default_factory=dict)


def facts(tried: Sequence[Tried]) -> DoorFacts:
    """The workers' doors as the record keeps them; a door counts as tried when it was on every worker."""
    names = [name for name in tried[0].names if all(name in each.names for each in tried)] if tried else []
    found = [
        OpenDoor(worker=each.worker, name=name, detail=how) for each in tried for name, how in sorted(each.open.items())
    ]
    return DoorFacts(tried=names, open=found)


def ways_out(known: DoorFacts) -> list[OpenDoor]:
    """The open doors through which a stranger's code would get somewhere."""
    return [each for each in known.open if each.name not in WAYS_IN]


def told(found: Sequence[OpenDoor]) -> str:
    """The doors in a few words: `sudo (w0: sudo works without a password)`."""
    return "; ".join(f"{each.name} (w{each.worker}: {each.detail})" for each in found)
