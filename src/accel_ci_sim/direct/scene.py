"""The state of one world: what its processes share, and what the judge looks at."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from accel_ci_sim.direct import sites
from accel_ci_sim.direct.runs import Run
from accel_ci_sim.world.cloud import Cloud
from accel_ci_sim.world.dice import Dice
from accel_ci_sim.world.faults import Fate, Faults
from accel_ci_sim.world.schedule import Schedule
from accel_ci_sim.world.timeline import Timeline
from accel_ci_sim.world.tpu_sky import TpuSky


@dataclass(slots=True)
class Scene:
    """`down`: what does not answer now. `calls`, `fated`: how often each site was called, and met which fate."""

    dice: Dice
    schedule: Schedule
    timeline: Timeline
    cloud: Cloud | TpuSky
    faults: Faults
    sweep_period_s: float
    runs: dict[str, Run] = field(default_factory=dict)
    quiet_since: float | None = None  # when faults stopped
    down: set[str] = field(default_factory=set)
    calls: list[int] = field(default_factory=lambda: [0] * len(sites.SITES))
    fated: Counter[tuple[int, Fate]] = field(default_factory=Counter)
    processes: int = 0

    @property
    def sweep_grace_s(self) -> float:
        """How long after its expiry a machine is left to its own job."""
        return 2 * self.sweep_period_s

    def count_process(self) -> int:
        """The number of a new process."""
        self.processes += 1
        return self.processes
