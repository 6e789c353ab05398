"""The peer: the flow that people write by hand, in the same worlds. Create, sleep 30, run over ssh, always() delete || true.

From a published plan for tests on TPUs: `run:` steps, in which bash starts gcloud, and gcloud never hears of a cancel.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace

from accel_ci.domain import errors
from accel_ci.domain.lease import Lease
from accel_ci.ports.world import World
from accel_ci_sim.direct import files
from accel_ci_sim.direct.launcher import Launcher
from accel_ci_sim.direct.process import Process
from accel_ci_sim.direct.runs import Run
from accel_ci_sim.world.runner import Runner
from accel_ci_sim.world.schedule import Actor

SLEEP_S = 30.0
GCLOUD_S = 1200.0  # how long its own waits go on
LOOK_S = 0.5
Body = Callable[[World], None]


@dataclass(slots=True)
class Bash:
    """What the runner sees of a `run:` step. Signals reach bash alone: SIGTERM ends it, and what it started goes on."""

    dead: bool = False
    well: bool = False

    def interrupt(self) -> None:
        """bash waits for its child before it looks at SIGINT."""

    def terminate(self) -> None:
        """bash dies."""
        self.dead = True

    def kill(self) -> None:
        """bash dies."""
        self.dead = True


class PeerJob:
    """One job of that flow on its runner. `ended` hears when none of it goes on any more."""

    def __init__(self, launcher: Launcher, run: Run, *, ended: Callable[[Run], None]) -> None:
        self._launcher = launcher
        self._scene = launcher.scene
        self._run = run
        self._tell_ended = ended
        self._runner = Runner(launcher.scene.schedule)
        self._children: list[Process] = []
        self._zone = run.plan.order.spec.zones[0]
        # The name is the run's alone: a second attempt asks for the first one's.
        self._key = replace(run.key, attempt=1)

    def begin(self) -> None:
        """Let the job start, and its mishaps take their course."""
        schedule, mishaps, begins_s = self._scene.schedule, self._run.plan.mishaps, self._run.plan.begins_s
        schedule.spawn(self._live, delay_s=begins_s)
        if mishaps.cancel_s is not None:
            schedule.after(begins_s + mishaps.cancel_s, lambda: self._runner.cancel(patient=False))
        if mishaps.lose_s is not None and not mishaps.zombie:
            schedule.after(begins_s + mishaps.lose_s, self._lose)

    def _live(self, actor: Actor) -> None:
        if self._step(actor, "create", self._create):
            self._step(actor, "tests", self._test)
        self._step(actor, "delete", self._delete)
        self._lose()  # the runner ends what is left of its job by its tracking id
        self._run.living = False
        self._tell_ended(self._run)

    def _step(self, actor: Actor, role: str, body: Body) -> bool:
        """True when the step ended well. For the runner it is over when bash is, whatever its child goes on to do."""
        # `if: always()` is the one thing that this flow does right.
        always = role == "delete"
        if self._runner.dead or (self._runner.cancelled and not always):
            return False
        bash = Bash()
        self._runner.starts(bash, always=always)

        def child(own: Actor) -> None:
            process = self._launcher.process(own, role=role, run=self._run.name)
            self._children.append(process)
            outcome = process.live(self._launcher.ports(process, files.unwatched()), body)
            bash.well = outcome.done
            bash.dead = True

        self._scene.schedule.spawn(child)
        while not bash.dead:
            self._scene.schedule.pause(actor, LOOK_S)
        return bash.well

    def _lose(self) -> None:
        self._runner.lose()
        for child in self._children:
            child.kill()

    def _create(self, world: World) -> None:
        """gcloud asks once, waits until the node is there, and a fixed sleep hopes that ssh is, too."""
        order = self._run.plan.order
        candidate = next(each for each in world.machines.candidates(order.spec) if each.zone == self._zone)
        lease = Lease(key=self._key, expires_at=int(world.clock.now() + order.ttl_s))
        creation = world.machines.begin_create(order.spec, lease, candidate, public_key="")
        deadline = world.clock.now() + GCLOUD_S
        while creation.machine is None and world.clock.now() < deadline:
            world.clock.sleep(1.0)
            with contextlib.suppress(errors.TransientError):
                creation = world.machines.poll(creation)
        world.clock.sleep(SLEEP_S)

    def _test(self, world: World) -> None:
        """ssh, for as long as the commands take."""
        for machine in world.machines.find(self._key, (self._zone,)):
            script = self._run.plan.scripts[0]["run"]
            world.clock.sleep(min(script.seconds, GCLOUD_S))
            if world.machines.interruption(machine.handle):
                raise errors.ConnectionLostError("ssh: connection closed")

    def _delete(self, world: World) -> None:
        """gcloud asks once; whatever it says is thrown away."""
        with contextlib.suppress(errors.CloudError, errors.ConfigurationError):
            world.machines.release(f"{self._scene.cloud.base}{self._zone}/{self._key.name}")
