"""Starts processes in one world, each with all ports behind the fault layer."""

from __future__ import annotations

from typing import Any

from accel_ci.ports.world import World
from accel_ci_sim.direct import guard, tpu_machines
from accel_ci_sim.direct.clock import Clock
from accel_ci_sim.direct.entropy import Entropy
from accel_ci_sim.direct.files import Files
from accel_ci_sim.direct.history import History
from accel_ci_sim.direct.job import Job
from accel_ci_sim.direct.judge import Judge
from accel_ci_sim.direct.machines import Machines
from accel_ci_sim.direct.process import Process
from accel_ci_sim.direct.remote import Remote
from accel_ci_sim.direct.scene import Scene
from accel_ci_sim.direct.sources import Sources
from accel_ci_sim.world.schedule import Actor
from accel_ci_sim.world.tpu_sky import TpuSky


class Launcher:
    """What all processes of the world have in common: its scene, its judge, one history, one source of chance."""

    def __init__(self, scene: Scene, judge: Judge, entropy: Entropy) -> None:
        self.scene = scene
        self.judge = judge
        self._history = History(judge.kept)
        self._entropy = entropy

    def process(self, actor: Actor, *, role: str, run: str) -> Process:
        """A new process that lives in the actor's thread."""
        return Process(self.scene, actor, judge=self.judge, role=role, run=run)

    def ports(self, process: Process, documents: Files) -> World:
        """All ports as this process gets them."""
        real = {
            "machines": self._machines(process),
            "remote": Remote(process, documents),
            "sources": Sources(documents),
            "job": Job(),
            "files": documents,
            "history": self._history,
            "clock": Clock(process),
            "entropy": self._entropy,
        }
        return World(**{name: guard.port(process, name, each) for name, each in real.items()})

    def _machines(self, process: Process) -> Any:
        sky = self.scene.cloud
        return tpu_machines.over(process, sky) if isinstance(sky, TpuSky) else Machines(process)
