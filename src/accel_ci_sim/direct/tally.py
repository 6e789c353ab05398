"""What one world came to, or many together."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from accel_ci_sim.direct import sites
from accel_ci_sim.world.faults import Aim, Fate

REMEMBERED = 8


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken rule: its name, what happened, and when (virtual seconds since the world's beginning)."""

    rule: str
    what: str
    at: float

    def __str__(self) -> str:
        return f"{self.rule} at {self.at:.3f}: {self.what}"


@dataclass(frozen=True, slots=True)
class Found:
    """A violation and the world that shows it, with the aims that it needs if they are not the world's own."""

    world: int
    aims: tuple[Aim, ...]
    violation: Violation
    stage: str = ""


@dataclass(slots=True)
class Tally:
    """Figures that add up. `ended_by`: machines by who asked to end them first; `left`: that live for ever; `taken`: by

    the cloud's own limit. `callers` are some worlds in which a site was called; `trace` stands for all that happened.
    """

    worlds: int = 0
    runs: int = 0
    processes: int = 0
    machines: int = 0
    calls: Counter[int] = field(default_factory=Counter)
    fated: Counter[tuple[int, Fate]] = field(default_factory=Counter)
    verdicts: Counter[str] = field(default_factory=Counter)
    ended_by: Counter[str] = field(default_factory=Counter)
    left: int = 0
    taken: int = 0
    leaking: int = 0  # worlds with any of these
    callers: dict[int, list[int]] = field(default_factory=dict)
    found: list[Found] = field(default_factory=list)
    trace: int = 0

    def add(self, other: Tally) -> None:
        """Take the other's figures in."""
        self.worlds += other.worlds
        self.runs += other.runs
        self.processes += other.processes
        self.machines += other.machines
        self.calls.update(other.calls)
        self.fated.update(other.fated)
        self.verdicts.update(other.verdicts)
        self.ended_by.update(other.ended_by)
        self.left += other.left
        self.leaking += other.leaking
        self.taken += other.taken
        for site, worlds in other.callers.items():
            self.callers[site] = (self.callers.get(site, []) + worlds)[:REMEMBERED]
        self.found.extend(other.found)
        # Exclusive or: the order in which processes come back does not matter.
        self.trace ^= other.trace

    def missing(self) -> list[tuple[int, Fate]]:
        """The fates that no call of a used site has met yet."""
        return [
            (site.number, fate)
            for site in sites.SITES
            if site.name not in sites.UNUSED
            for fate in site.fates
            if not self.fated[site.number, fate]
        ]
