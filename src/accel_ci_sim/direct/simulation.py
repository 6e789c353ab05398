"""One world: runs of the real use cases, cleanup jobs and sweepers, on one clock and under one judge."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import partial

from accel_ci.domain import lease
from accel_ci.ports.world import World
from accel_ci.usecases import cleanup
from accel_ci_sim.direct import files, guard, plans, sites
from accel_ci_sim.direct.clock import Clock
from accel_ci_sim.direct.cron import Cron
from accel_ci_sim.direct.entropy import Entropy
from accel_ci_sim.direct.files import Files
from accel_ci_sim.direct.history import History
from accel_ci_sim.direct.job import Job
from accel_ci_sim.direct.judge import Judge
from accel_ci_sim.direct.machines import Machines
from accel_ci_sim.direct.process import Process
from accel_ci_sim.direct.remote import Remote
from accel_ci_sim.direct.runs import Run
from accel_ci_sim.direct.sources import Sources
from accel_ci_sim.direct.tally import Found, Tally
from accel_ci_sim.world import dice, faults, weather
from accel_ci_sim.world.cloud import Cloud
from accel_ci_sim.world.dice import Dice
from accel_ci_sim.world.faults import CRASHES, Aim, Fate, Faults
from accel_ci_sim.world.machine import Machine, Request
from accel_ci_sim.world.schedule import Actor, Schedule
from accel_ci_sim.world.timeline import Timeline
from accel_ci_sim.world.worker import Script

CALM = 0.25  # of all worlds
RERUN, RERUN_LOST = 0.15, 0.6  # of the workflow runs of the others
_AIMS = tuple(site.number for site in sites.SITES if site.name not in sites.UNUSED)
_DISTANT = tuple(number for number in _AIMS if sites.SITES[number].latency_s)


class Simulation:
    """One world, made from seed and number alone; `aim` replaces the fault that it would aim by itself."""

    def __init__(
        self, seed: int, number: int, *, rate: float, aim: Aim | None = None, readable: bool = False
    ) -> None:
        self.dice = dice.of(seed, number, "world")
        self.schedule = Schedule()
        self.timeline = Timeline(self.schedule, readable=readable)
        self.judge = Judge(self)
        self.history = History(self._kept)
        self.quiet_since: float | None = None
        self.down: set[str] = set()  # ports whose other side does not answer now
        self.calls = [0] * len(sites.SITES)
        self.fated: Counter[tuple[int, Fate]] = Counter()
        self.cron = Cron(self)
        self._number, self._aim, self._processes = number, aim, 0
        self._calm = dice.chance(self.dice, CALM)
        sky = weather.calm(self.dice) if self._calm else weather.rough(self.dice, sites.FAILING)
        self.cloud = Cloud(self.schedule, sky, dice.of(seed, number, "cloud"), scripts=self._scripts, hear=self._heard)
        self.runs = {plan.name: Run(self, plan) for plan in plans.draw(self.dice, sky.zones, calm=self._calm)}
        self._workflows = Counter(run.workflow for run in self.runs.values())  # workflow run -> jobs not over yet
        self.faults = self._faults(dice.of(seed, number, "faults"), rate)
        self._entropy = Entropy(dice.of(seed, number, "entropy"))

    def tally(self) -> Tally:
        """Let the whole world happen; its figures."""
        for run in list(self.runs.values()):
            run.begin()
        self.cron.begin()
        for service, (begins, ends) in self.cloud.weather.outages.items():
            self.schedule.after(begins, partial(self._outage, service, down=True))
            self.schedule.after(ends, partial(self._outage, service, down=False))
        self.schedule.run()
        survivable = self._aim is None or self._aim.fate not in CRASHES
        for run in self.runs.values():
            self.judge.over(run, calm=self._calm and survivable)
            self.timeline.mix(str(run.verdict).encode())
        return self._figures()

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

    def rest(self) -> None:
        """Faults stop once nobody but the sweepers does anything any more; from then on the bounds count."""
        if not self._workflows and not any(run.living for run in self.runs.values()):
            self.quiet_since = self.schedule.now
            self.faults.stop()
            self.down.clear()
            self.timeline.tell("world", "faults stop")

    def _cleanup_job(self, actor: Actor, run: Run) -> None:
        """A job of the same run, so with a key of its own; `for:` names the jobs, or it is for all of them."""
        process = Process(self, actor, role="cleanup-job", run=run.name)
        key = replace(run.key, job="cleanup", instance="")
        owner = lease.of_run(key, jobs=(run.key.job,) if dice.chance(self.dice, 0.5) else ())
        world = self.ports(process, files.unwatched())
        outcome = process.live(world, lambda world: cleanup.cleanup(world, key, owner=owner))
        if outcome.ended:
            self.judge.cleanup_ended(process, owner, error=outcome.error)
        self._workflow_over(run)

    def _workflow_over(self, run: Run) -> None:
        """Somebody may re-run all jobs, once."""
        del self._workflows[run.workflow]
        wish = RERUN if run.plan.mishaps.lose_s is None else RERUN_LOST
        if not self._calm and run.plan.context.attempt == 1 and dice.chance(self.dice, wish):
            again = [Run(self, each.plan.again()) for each in self.runs.values() if each.workflow == run.workflow]
            self.runs.update((each.name, each) for each in again)
            self._workflows[again[0].workflow] = len(again)
            for each in again:
                each.begin()
        else:
            self.rest()

    def _outage(self, service: str, *, down: bool) -> None:
        if self.quiet_since is None:
            (self.down.add if down else self.down.discard)(service)
            self.timeline.tell("world", f"{service}: {'does not answer' if down else 'answers again'}")

    def _faults(self, stream: Dice, rate: float) -> Faults:
        """One fault by aim, the others by dice; where the verdict is to be the truth, none that nobody survives."""
        rate *= stream.choice((0.0, 0.3, 1.0, 1.0, 3.0))
        kinds: tuple[Fate, ...] = faults.MIXED
        site = sites.SITES[stream.choice(_AIMS)]
        aim = Aim(site.number, _nth(stream), stream.choice(site.fates))
        if self._calm and any(run.plan.mishaps.resume_s is None for run in self.runs.values()):
            kinds = faults.DISTURBANCES
            aim = Aim(stream.choice(_DISTANT), _nth(stream), stream.choice(kinds))
        return Faults(stream, rate, self._aim or (aim if rate else None), kinds=kinds)

    def _figures(self) -> Tally:
        called = [number for number, count in enumerate(self.calls) if count]
        return Tally(
            worlds=1,
            runs=len(self.runs),
            processes=self._processes,
            machines=len(self.cloud.machines),
            calls=Counter({number: self.calls[number] for number in called}),
            fated=self.fated,
            verdicts=Counter(str(run.verdict) for run in self.runs.values()),
            callers={number: [self._number] for number in called},
            found=[Found(self._number, self._aim, violation) for violation in self.judge.violations],
            trace=hash((self._number, self.timeline.hash)),
        )

    def _scripts(self, request: Request, worker: int) -> dict[str, Script]:
        return dict(self.runs[request.asker].plan.scripts[worker])

    def _heard(self, machine: Machine, what: str) -> None:
        name = f"{machine.request.zone}/{machine.request.name}"
        self.timeline.tell("cloud", f"{name} #{machine.serial} {what}")
        if what == "landed":
            self.judge.landed(machine)

    def _kept(self, name: str, document: bytes) -> None:
        self.judge.kept(name, document)


def _nth(stream: Dice) -> int:
    """Mostly early: many sites are called once or twice in a world, some hundreds of times."""
    return min(1 + int(stream.expovariate(0.3)), 200)
