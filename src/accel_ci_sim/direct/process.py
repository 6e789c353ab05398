"""A process of accel-ci in the simulated world: it can be interrupted, and it can crash at any port call."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from accel_ci.domain import errors
from accel_ci.ports.world import World
from accel_ci_sim.direct.judge import Judge
from accel_ci_sim.direct.scene import Scene
from accel_ci_sim.direct.sites import Site
from accel_ci_sim.world.faults import Fate
from accel_ci_sim.world.schedule import Actor
from accel_ci_sim.world.worker import Running

REPORTING = frozenset({"journey", "report", "second-report"})


# A BaseException: no `except Exception` of the code under test may bring a dead process back.
class Crashed(BaseException):
    """The process does not exist any more. Every port call raises this, so that no `finally` can do anything."""


# A BaseException, for the code under test goes on with whatever else goes wrong.
class _OverError(BaseException):
    """The time of a piece of work is over."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a process ended: with a value, with an error of accel-ci's, or not by itself."""

    value: Any = None
    error: errors.AccelError | None = None
    crashed: bool = False

    @property
    def ended(self) -> bool:
        """True when it came to its end by itself, well or not."""
        return not self.crashed

    @property
    def done(self) -> bool:
        """True when it returned."""
        return self.error is None and not self.crashed


class Process:
    """One process: whose it is, where it runs, and what it holds. `role` is the step's name."""

    def __init__(
        self,
        scene: Scene,
        actor: Actor,
        *,
        judge: Judge,
        role: str,
        run: str,
        slot: str = "",
        limit_s: float = 1e9,
        deaf: bool = False,
    ) -> None:
        self.scene = scene
        self.actor = actor
        self.judge = judge
        self.role = role
        self.run = run
        self.slot = slot
        self.number = scene.count_process()
        self.began_at = scene.schedule.now
        self.delayed_s = 0.0  # by fates
        self.warned: set[str] = set()  # the titles of its warnings
        self.met = 0  # fates
        self.signalled_at: float | None = None
        self.released_at: float | None = None  # when it first asked for a machine's end after the signal
        self.dead = False
        self.listed_at: float | None = None  # when it first saw a listing of machines
        self.listed: set[str] = set()  # the handles in all listings that it saw
        self.asked: set[str] = set()  # the handles whose release it asked for, answered or not
        self.attention = False  # dead or interrupted: the one thing that every call has to look at
        self._attachments: list[Running] = []
        self._limit_s = limit_s
        self._until = math.inf  # of the work within a limit
        self._deaf = deaf
        self._interrupted = False
        scene.reporting += role in REPORTING

    @property
    def name(self) -> str:
        """The run and the step, for readers."""
        return f"{self.run} {self.role}"

    def live(self, world: World, body: Callable[[World], Any]) -> Outcome:
        """How the body ended. Anything but an AccelError that leaves it is a bug, and told to the judge."""
        self._watch()
        try:
            return self._ended(Outcome(value=body(world)))
        except errors.AccelError as error:
            return self._ended(Outcome(error=error))
        except Crashed:
            return Outcome(crashed=True)
        except Exception as error:
            self.judge.surprised(self, error)
            return self._ended(Outcome(crashed=True))

    def pause(self, seconds: float) -> None:
        """Let time pass for this process; a signal that comes meanwhile raises what it raises."""
        schedule = self.scene.schedule
        late = schedule.now + seconds > self._until
        schedule.pause(self.actor, max(0.0, self._until - schedule.now) if late else seconds)
        if self.attention:
            self.attend()
        if late:
            raise _OverError

    def within(self, limit_s: float, work: Callable[[], None]) -> bool:
        """True when the work is done; False when so many seconds were over before: where it waits then, it ends."""
        before, self._until = self._until, min(self._until, self.scene.schedule.now + limit_s)
        try:
            work()
        except _OverError:
            return False
        finally:
            self._until = before
        return True

    def attend(self) -> None:
        """Raise what a dead or interrupted process gets in the middle of whatever it does."""
        if self.dead:
            raise Crashed
        # Once: the second signal of a runner finds the handler spent.
        self.attention = False
        raise errors.CancelledError("SIGINT arrived")

    def fate(self, site: Site) -> Fate:
        """What becomes of the present call of this process."""
        scene = self.scene
        fate = scene.faults.fate(site.number, site.fates, role=self.role)
        if fate is not Fate.NONE:
            self.met += 1
            scene.fated[site.number, fate] += 1
            scene.timeline.tell(self.name, f"{site.name} meets: {fate.value}")
        return fate

    def interrupt(self) -> None:
        """SIGINT: raises CancelledError at the next call or wait, once, as the handler of the command line does."""
        self._signal("SIGINT")

    def terminate(self) -> None:
        """SIGTERM: the same, and nothing when a signal came before."""
        self._signal("SIGTERM")

    def kill(self) -> None:
        """SIGKILL, from outside."""
        if not self.dead:
            self.scene.timeline.tell(self.name, "gets SIGKILL")
            self.vanish()
            self.scene.schedule.wake(self.actor)

    def vanish(self) -> None:
        """The process ends here and now; its connections break."""
        # Twice happens: SIGKILL for a process that crashed at the same moment.
        if not self.dead:
            self.scene.reporting -= self.role in REPORTING
        self.dead = self.attention = True
        for running in self._attachments:
            running.detach(self.scene.schedule.now)
        self._attachments.clear()

    def attach(self, running: Running) -> None:
        """Hold a connection that follows a phase."""
        running.attach(self.scene.schedule.now)
        self._attachments.append(running)

    def detach(self, running: Running) -> None:
        """Close that connection; a process that vanished has none any more."""
        if running in self._attachments:
            self._attachments.remove(running)
            running.detach(self.scene.schedule.now)

    def _signal(self, name: str) -> None:
        if self.dead or self._deaf:
            return
        self.scene.timeline.tell(self.name, f"gets {name}")
        if not self._interrupted:
            self._interrupted = self.attention = True
            self.signalled_at, self.met = self.scene.schedule.now, 0
            self.scene.schedule.wake(self.actor)

    def _watch(self) -> None:
        """Look again when the process should be over; what fates took of its time does not count."""
        schedule = self.scene.schedule
        limit_s = self._limit_s + self.delayed_s

        def look() -> None:
            if self.dead:
                return
            # What faults took of its time is no fault of its own.
            if self._limit_s + self.delayed_s > limit_s:
                return self._watch()
            self.judge.overran(self, self._limit_s)
            self.kill()

        schedule.at(self.began_at + limit_s, look)

    def _ended(self, outcome: Outcome) -> Outcome:
        """It ended by itself, unless it was killed while it did."""
        self.scene.timeline.say(self.name, f"ended: {outcome.error or 'done'}")
        self.judge.ends(self, done=outcome.done)
        self.vanish()
        return outcome
