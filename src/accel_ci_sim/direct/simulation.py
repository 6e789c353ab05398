"""One world: runs of the real use cases, cleanup jobs and sweepers, on one clock and under one judge."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import partial

from accel_ci.domain import lease
from accel_ci.ports.world import World
from accel_ci.usecases import cleanup
from accel_ci_sim.direct import files, guard, plans, sites
from accel_ci_sim.direct.clock import Clock
from accel_ci_sim.direct.entropy import Entropy
from accel_ci_sim.direct.files import Files
from accel_ci_sim.direct.history import History
from accel_ci_sim.direct.job import Job
from accel_ci_sim.direct.judge import Judge, Violation
from accel_ci_sim.direct.machines import Machines
from accel_ci_sim.direct.process import Process
from accel_ci_sim.direct.remote import Remote
from accel_ci_sim.direct.runs import Run
from accel_ci_sim.direct.sources import Sources
from accel_ci_sim.world import dice, faults, weather
from accel_ci_sim.world.cloud import LANDS_WITHIN_S, Cloud
from accel_ci_sim.world.faults import Aim, Fate, Faults
from accel_ci_sim.world.machine import Machine, Request
from accel_ci_sim.world.schedule import Actor, Schedule
from accel_ci_sim.world.timeline import Timeline
from accel_ci_sim.world.worker import Script

CALM = 0.25  # of all worlds
RERUN = 0.2
_AIMS = tuple(site.number for site in sites.SITES if site.name not in sites.UNUSED)
_DISTANT = tuple(number for number in _AIMS if sites.SITES[number].latency_s)


@dataclass(slots=True)
class Tally:
    """What one world, or many, came to."""

    worlds: int = 0
    runs: int = 0
    processes: int = 0
    machines: int = 0
    calls: Counter[int] = field(default_factory=Counter)
    fated: Counter[tuple[int, Fate]] = field(default_factory=Counter)
    verdicts: Counter[str] = field(default_factory=Counter)
    violations: list[tuple[int, Violation]] = field(default_factory=list)
    trace: int = 0

    def add(self, other: Tally) -> None:
        """Take the other's figures in; the order of addition does not matter."""
        self.worlds += other.worlds
        self.runs += other.runs
        self.processes += other.processes
        self.machines += other.machines
        self.calls.update(other.calls)
        self.fated.update(other.fated)
        self.verdicts.update(other.verdicts)
        self.violations.extend(other.violations)
        self.trace ^= other.trace


class Simulation:
    """One world, made from seed and number alone."""

    def __init__(self, seed: int, number: int, *, rate: float, readable: bool = False) -> None:
        self.number = number
        self.dice = dice.of(seed, number, "world")
        self.calm = dice.chance(self.dice, CALM)
        self.schedule = Schedule()
        self.timeline = Timeline(self.schedule, readable=readable)
        self.judge = Judge(self)
        self.history = History(self._kept)
        sky = (weather.calm if self.calm else weather.rough)(self.dice)
        self.cloud = Cloud(
            self.schedule, sky, dice.of(seed, number, "cloud"), scripts=self._scripts, hear=self._heard
        )
        self.period_s = self.dice.choice((120.0, 900.0))
        self.grace_s = 2 * self.period_s
        self.quiet_since: float | None = None
        self.given_up: set[int] = set()
        self.down: set[str] = set()  # ports whose other side does not answer now
        self.calls = [0] * len(sites.SITES)
        self.fated: Counter[tuple[int, Fate]] = Counter()
        self._processes = 0
        self.runs = {plan.name: Run(self, plan) for plan in plans.draw(self.dice, sky.zones, calm=self.calm)}
        self._workflows = Counter(run.workflow for run in self.runs.values())  # workflow run -> jobs not over yet
        self.faults = self._faults(dice.of(seed, number, "faults"), rate)
        self._entropy = Entropy(dice.of(seed, number, "entropy"))

    def tally(self) -> Tally:
        """Let the whole world happen; its figures."""
        for run in list(self.runs.values()):
            run.begin()
        self.schedule.after(self.dice.uniform(0.0, self.period_s), self._cron)
        for service, (begins, ends) in self.cloud.weather.outages.items():
            self.schedule.after(begins, partial(self._outage, service, down=True))
            self.schedule.after(ends, partial(self._outage, service, down=False))
        self.schedule.run()
        for run in self.runs.values():
            self.judge.over(run, calm=self.calm)
            self.timeline.mix(str(run.verdict).encode())
        return Tally(
            worlds=1,
            runs=len(self.runs),
            processes=self._processes,
            machines=len(self.cloud.machines),
            calls=Counter({number: count for number, count in enumerate(self.calls) if count}),
            fated=self.fated,
            verdicts=Counter(str(run.verdict) for run in self.runs.values()),
            violations=[(self.number, violation) for violation in self.judge.violations],
            trace=hash((self.number, self.timeline.hash)),
        )

    def run(self, name: str) -> Run:
        """The run of that name."""
        return self.runs[name]

    def count_process(self) -> int:
        """The number of a new process."""
        self._processes += 1
        return self._processes

    def ports(self, process: Process, documents: Files) -> World:
        """All ports as this process gets them, each behind the fault layer."""
        real = {
            "machines": Machines(process),
            "remote": Remote(process, documents),
            "sources": Sources(documents),
            "job": Job(),
            "files": documents,
            "history": self.history,
            "clock": Clock(process),
            "entropy": self._entropy,
        }
        return World(**{name: guard.port(process, name, each) for name, each in real.items()})

    def job_over(self, run: Run) -> None:
        """A job is over as far as GitHub knows. The cleanup job follows the last of them, on another runner."""
        self.timeline.tell(run.name, "job over")
        self._workflows[run.workflow] -= 1
        if self._workflows[run.workflow]:
            return
        if run.plan.mishaps.cleanup_job:
            self.schedule.spawn(lambda actor: self._cleanup_job(actor, run), delay_s=self.dice.uniform(10.0, 40.0))
        else:
            self._workflow_over(run)

    def _cleanup_job(self, actor: Actor, run: Run) -> None:
        process, owner = Process(self, actor, role="cleanup-job", run=run.name), lease.of_run(run.key)

        def clean(world: World) -> None:
            cleanup.cleanup(world, run.key, owner=owner)
            self.judge.cleaned(process, owner)

        process.live(self.ports(process, files.unwatched()), clean)
        self._workflow_over(run)

    def _workflow_over(self, run: Run) -> None:
        """Somebody may re-run all jobs; after the last workflow run nothing more is disturbed."""
        del self._workflows[run.workflow]
        if not self.calm and run.plan.context.attempt == 1 and dice.chance(self.dice, RERUN):
            again = [Run(self, each.plan.again()) for each in self.runs.values() if each.workflow == run.workflow]
            self.runs.update((each.name, each) for each in again)
            self._workflows[again[0].workflow] = len(again)
            for each in again:
                each.begin()
        else:
            self.rest()

    def rest(self) -> None:
        """Faults stop once nobody but the sweepers does anything any more; from then on the bounds count."""
        if not self._workflows and not any(run.living for run in self.runs.values()):
            self.quiet_since = self.schedule.now
            self.faults.stop()
            self.down.clear()
            self.timeline.tell("world", "faults stop")

    def _outage(self, service: str, *, down: bool) -> None:
        if self.quiet_since is None:
            (self.down.add if down else self.down.discard)(service)
            self.timeline.tell("world", f"{service}: {'does not answer' if down else 'answers again'}")

    def _cron(self) -> None:
        """The sweeper's schedule: late, lost and doubled while there are faults; it ends with the last machine."""
        quiet = self.quiet_since is not None
        if quiet and self._settled():
            return
        if quiet or dice.chance(self.dice, 0.9):
            for _ in range(1 if quiet else self.dice.choice((1, 1, 1, 2))):
                late_s = 0.0 if quiet else self.dice.uniform(0.0, self.period_s / 4)
                self.schedule.spawn(self._sweep, delay_s=late_s)
        self.schedule.after(self.period_s, self._cron)

    def _settled(self) -> bool:
        """True when no machine is left, but those already reported, and none can land any more."""
        landed = self.schedule.now > (self.quiet_since or 0.0) + LANDS_WITHIN_S
        return landed and all(machine.serial in self.given_up for machine in self.cloud.alive())

    def _sweep(self, actor: Actor) -> None:
        process = Process(self, actor, role="sweep", run="cron")
        process.live(
            self.ports(process, files.unwatched()),
            lambda world: cleanup.sweep(world, plans.REPOSITORY_ID, grace_s=self.grace_s),
        )

    def _faults(self, stream: dice.Dice, rate: float) -> Faults:
        """One fault by aim, the others by dice; where the verdict is to be the truth, none that nobody survives."""
        if not rate:
            return Faults(stream, 0.0)
        survives_crashes = all(run.plan.mishaps.resume_s is not None for run in self.runs.values())
        rate *= stream.choice((0.0, 0.3, 1.0, 1.0, 3.0))
        if self.calm and not survives_crashes:
            aim = Aim(stream.choice(_DISTANT), _nth(stream), stream.choice(faults.DISTURBANCES))
            return Faults(stream, rate, aim, kinds=faults.DISTURBANCES)
        site = sites.SITES[stream.choice(_AIMS)]
        return Faults(stream, rate, Aim(site.number, _nth(stream), stream.choice(site.fates)))

    def _scripts(self, request: Request, worker: int) -> dict[str, Script]:
        return dict(self.runs[request.asker].plan.scripts[worker])

    def _heard(self, machine: Machine, what: str) -> None:
        name = f"{machine.request.zone}/{machine.request.name}"
        self.timeline.tell("cloud", f"{name} #{machine.serial} {what}")
        if what == "landed":
            self.judge.landed(machine)

    def _kept(self, name: str, document: bytes) -> None:
        run = next(run for run in self.runs.values() if run.is_of(document))
        self.judge.recorded(run, document)


def _nth(stream: dice.Dice) -> int:
    """Mostly early: many sites are called once or twice in a world, some hundreds of times."""
    return min(1 + int(stream.expovariate(0.3)), 200)

