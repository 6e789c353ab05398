"""The state of one world: what its processes share, and what the judge looks at."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from accel_ci_sim.direct import layers as all_layers
from accel_ci_sim.direct import sites
from accel_ci_sim.direct.layers import Layer
from accel_ci_sim.direct.runs import Run
from accel_ci_sim.direct.tally import Violation
from accel_ci_sim.world.cloud import Cloud
from accel_ci_sim.world.dice import Dice
from accel_ci_sim.world.faults import Fate, Faults
from accel_ci_sim.world.github import GitHubWorld
from accel_ci_sim.world.google_sky import GoogleSky
from accel_ci_sim.world.ledger import Ledger
from accel_ci_sim.world.machine import Machine
from accel_ci_sim.world.schedule import EPOCH, Schedule
from accel_ci_sim.world.timeline import Timeline


@dataclass(slots=True)
class Scene:
    """`down`: what does not answer now. `calls`, `fated`: how often each site was called, and met which fate.

    `ended_by`: how many machines each role asked to end first. `reporting`: processes that may be writing to GitHub.
    """

    dice: Dice
    schedule: Schedule
    timeline: Timeline
    ledger: Ledger
    cloud: Cloud | GoogleSky
    github: GitHubWorld
    faults: Faults
    sweep_period_s: float
    calm: bool = False
    layers: frozenset[Layer] = all_layers.ALL
    runs: dict[str, Run] = field(default_factory=dict)
    quiet_since: float | None = None  # when faults stopped
    completed: dict[tuple[int, int], float] = field(default_factory=dict)  # workflow -> when it was over
    down: set[str] = field(default_factory=set)
    calls: list[int] = field(default_factory=lambda: [0] * len(sites.SITES))
    fated: Counter[tuple[int, Fate]] = field(default_factory=Counter)
    ended_by: Counter[str] = field(default_factory=Counter)
    violations: list[Violation] = field(default_factory=list)
    processes: int = 0
    reporting: int = 0
    _released: set[int] = field(default_factory=set)

    @property
    def sweep_grace_s(self) -> float:
        """How long after its expiry a machine is left to its own job."""
        # Two periods: one sweep may be lost.
        return 2 * self.sweep_period_s

    def count_process(self) -> int:
        """The number of a new process."""
        self.processes += 1
        return self.processes

    def completed_for(self, run: str) -> float:
        """For how many seconds GitHub has called the run's workflow completed; 0 while it does not."""
        since = self.completed.get(self.runs[run].workflow)
        return 0.0 if since is None else self.schedule.now - since

    def released(self, role: str, machine: Machine) -> None:
        """Somebody asked for the machine's end; the first to do so is counted."""
        # Several layers ask for the same end: the first has the merit.
        if machine.serial not in self._released:
            self._released.add(machine.serial)
            self.ended_by[role] += 1

    def broken(self, rule: str, what: str) -> None:
        """A rule does not hold."""
        violation = Violation(rule, what, self.schedule.now - EPOCH)
        self.violations.append(violation)
        self.timeline.tell("VIOLATION", str(violation))
