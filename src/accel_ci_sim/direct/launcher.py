"""Starts processes in one world, each with all ports behind the fault layer."""

from __future__ import annotations

from functools import partial
from typing import Any

from accel_ci.adapters.github_rest import GitHubRest
from accel_ci.ports.world import World
from accel_ci_sim.direct import github, google_machines, guard, limits
from accel_ci_sim.direct.clock import Clock
from accel_ci_sim.direct.entropy import Entropy
from accel_ci_sim.direct.files import Files
from accel_ci_sim.direct.history import History
from accel_ci_sim.direct.job import Job
from accel_ci_sim.direct.judge import Judge
from accel_ci_sim.direct.lanes import Lanes
from accel_ci_sim.direct.layers import Layer
from accel_ci_sim.direct.machines import Machines
from accel_ci_sim.direct.process import Process
from accel_ci_sim.direct.remote import Remote
from accel_ci_sim.direct.scene import Scene
from accel_ci_sim.direct.sources import Sources
from accel_ci_sim.world.google_sky import GoogleSky
from accel_ci_sim.world.schedule import Actor


class Launcher:
    """What all processes of the world have in common: its scene, its judge, one history, one source of chance."""

    def __init__(self, scene: Scene, judge: Judge, entropy: Entropy) -> None:
        self.scene = scene
        self.judge = judge
        self._history = History(judge.verdicts.kept)
        self._entropy = entropy

    def process(self, actor: Actor, *, role: str, run: str, slot: str = "") -> Process:
        """A new process that lives in the actor's thread."""
        known = self.scene.runs.get(run)
        limit_s = limits.of(role, known.plan if known else None)
        # Without the layer a signal is not heard at all, and SIGKILL comes 10 s later.
        deaf = Layer.SIGNALS not in self.scene.layers
        return Process(self.scene, actor, judge=self.judge, role=role, run=run, slot=slot, limit_s=limit_s, deaf=deaf)

    def ports(self, process: Process, documents: Files) -> World:
        """All ports as this process gets them."""
        real = {
            "machines": self._machines(process),
            "remote": Remote(process, documents),
            "sources": Sources(documents),
            "job": Job(partial(self.judge.verdicts.told, process.name), process.warned),
            "files": documents,
            "history": self._history,
            "clock": Clock(process),
            "entropy": self._entropy,
        }
        guarded = {name: guard.port(process, name, each) for name, each in real.items()}
        return World(**guarded, lanes=Lanes(process.within), github=self._github(process, guarded))

    def _github(self, process: Process, ports: dict[str, Any]) -> GitHubRest | None:
        """Where the run is one of GitHub's; cleanup and sweeps get it as well, for they may ask whether a run is over."""
        run = self.scene.runs.get(process.run)
        if run is not None and not run.plan.context.event:
            return None
        calls = github.calls(process, self.scene.github, clock=ports["clock"], entropy=ports["entropy"])
        return GitHubRest(calls)

    def _machines(self, process: Process) -> Any:
        sky = self.scene.cloud
        return google_machines.over(process, sky) if isinstance(sky, GoogleSky) else Machines(process, sky)
