"""One world: runs of the real use cases, cleanup jobs and sweepers, on one clock and under one judge."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import partial

from accel_ci.domain import lease
from accel_ci.usecases import cleanup
from accel_ci_sim.direct import files, plans, sites
from accel_ci_sim.direct.ci_job import CiJob
from accel_ci_sim.direct.cron import Cron
from accel_ci_sim.direct.entropy import Entropy
from accel_ci_sim.direct.judge import Judge
from accel_ci_sim.direct.launcher import Launcher
from accel_ci_sim.direct.plans import RunPlan
from accel_ci_sim.direct.runs import Run
from accel_ci_sim.direct.scene import Scene
from accel_ci_sim.direct.tally import Found, Tally
from accel_ci_sim.world import dice, faults, weather
from accel_ci_sim.world.cloud import Cloud
from accel_ci_sim.world.dice import Dice
from accel_ci_sim.world.faults import CRASHES, Aim, Fate, Faults
from accel_ci_sim.world.machine import Machine, Request
from accel_ci_sim.world.schedule import Actor, Schedule
from accel_ci_sim.world.timeline import Timeline
from accel_ci_sim.world.tpu_sky import TpuSky
from accel_ci_sim.world.worker import Script

SWEEP_PERIODS_S = (120.0, 900.0)
CALM = 0.25  # of all worlds
RERUN, RERUN_LOST = 0.15, 0.6  # of the workflow runs of the others
_AIMS = tuple(site.number for site in sites.SITES if site.name not in sites.UNUSED)
_DISTANT = tuple(number for number in _AIMS if sites.SITES[number].latency_s)


class Simulation:
    """One world, made from seed and number alone; `aims` replace the fault that it would aim by itself."""

    def __init__(
        self, seed: int, number: int, *, rate: float, aims: tuple[Aim, ...] = (), readable: bool = False
    ) -> None:
        stream = dice.of(seed, number, "world")
        period_s = stream.choice(SWEEP_PERIODS_S)
        self._number, self._aims = number, aims
        self._calm = dice.chance(stream, CALM)
        sky = weather.calm(stream) if self._calm else weather.rough(stream, sites.FAILING)
        drawn = plans.draw(stream, sky, calm=self._calm)
        kind = Cloud if sky.service == "sim" else TpuSky
        schedule = Schedule()
        self.scene = Scene(
            dice=stream,
            schedule=schedule,
            timeline=Timeline(schedule, readable=readable),
            cloud=kind(schedule, sky, dice.of(seed, number, "cloud"), scripts=self._scripts, hear=self._heard),
            faults=self._faults(dice.of(seed, number, "faults"), rate, drawn),
            sweep_period_s=period_s,
        )
        self.judge = Judge(self.scene)
        self.launcher = Launcher(self.scene, self.judge, Entropy(dice.of(seed, number, "entropy")))
        self.scene.runs.update((plan.name, Run(plan, self.judge.recorded)) for plan in drawn)
        self._workflows = Counter(run.workflow for run in self.scene.runs.values())  # -> jobs not over yet

    def tally(self) -> Tally:
        """Let the whole world happen; its figures."""
        scene = self.scene
        for run in list(scene.runs.values()):
            self._begin(run)
        Cron(self.launcher).begin()
        for service, (begins, ends) in scene.cloud.weather.outages.items():
            scene.schedule.after(begins, partial(self._outage, service, down=True))
            scene.schedule.after(ends, partial(self._outage, service, down=False))
        scene.schedule.run()
        survivable = not any(aim.fate in CRASHES for aim in self._aims)
        for run in scene.runs.values():
            self.judge.over(run, calm=self._calm and survivable)
            scene.timeline.mix(str(run.verdict).encode())
        return self._figures()

    def _begin(self, run: Run) -> None:
        CiJob(self.launcher, run, over=self._job_over, ended=self._rest).begin()

    def _job_over(self, run: Run) -> None:
        """A job is over as far as GitHub knows. The cleanup job follows the last of them, on another runner."""
        scene = self.scene
        scene.timeline.tell(run.name, "job over")
        self._workflows[run.workflow] -= 1
        if self._workflows[run.workflow]:
            return
        if run.plan.mishaps.cleanup_job:
            scene.schedule.spawn(lambda actor: self._cleanup_job(actor, run), delay_s=scene.dice.uniform(10.0, 40.0))
        else:
            self._workflow_over(run)

    def _rest(self) -> None:
        """Faults stop once nobody but the sweepers does anything any more; from then on the bounds count."""
        scene = self.scene
        if not self._workflows and not any(run.living for run in scene.runs.values()):
            scene.quiet_since = scene.schedule.now
            scene.faults.stop()
            scene.down.clear()
            scene.timeline.tell("world", "faults stop")

    def _cleanup_job(self, actor: Actor, run: Run) -> None:
        """A job of the same run, so with a key of its own; `for:` names the jobs, or it is for all of them."""
        process = self.launcher.process(actor, role="cleanup-job", run=run.name)
        key = replace(run.key, job="cleanup", instance="")
        owner = lease.of_run(key, jobs=(run.key.job,) if dice.chance(self.scene.dice, 0.5) else ())
        world = self.launcher.ports(process, files.unwatched())
        outcome = process.live(world, lambda world: cleanup.cleanup(world, key, owner=owner))
        if outcome.ended:
            self.judge.cleanup_ended(process, owner, error=outcome.error)
        self._workflow_over(run)

    def _workflow_over(self, run: Run) -> None:
        """Somebody may re-run all jobs, once."""
        del self._workflows[run.workflow]
        wish = RERUN if run.plan.mishaps.lose_s is None else RERUN_LOST
        if not self._calm and run.plan.context.attempt == 1 and dice.chance(self.scene.dice, wish):
            jobs = [each for each in self.scene.runs.values() if each.workflow == run.workflow]
            again = [Run(each.plan.again(), self.judge.recorded) for each in jobs]
            self.scene.runs.update((each.name, each) for each in again)
            self._workflows[again[0].workflow] = len(again)
            for each in again:
                self._begin(each)
        else:
            self._rest()

    def _outage(self, service: str, *, down: bool) -> None:
        if self.scene.quiet_since is None:
            (self.scene.down.add if down else self.scene.down.discard)(service)
            self.scene.timeline.tell("world", f"{service}: {'does not answer' if down else 'answers again'}")

    def _faults(self, stream: Dice, rate: float, drawn: list[RunPlan]) -> Faults:
        """One fault by aim, the others by dice; where the verdict is to be the truth, none that nobody survives."""
        rate *= stream.choice((0.0, 0.3, 1.0, 1.0, 3.0))
        kinds: tuple[Fate, ...] = faults.MIXED
        site = sites.SITES[stream.choice(_AIMS)]
        aim = Aim(site.number, _nth(stream), stream.choice(site.fates))
        if self._calm and any(plan.mishaps.resume_s is None for plan in drawn):
            kinds = faults.DISTURBANCES
            aim = Aim(stream.choice(_DISTANT), _nth(stream), stream.choice(kinds))
        return Faults(stream, rate, self._aims or ((aim,) if rate else ()), kinds=kinds)

    def _figures(self) -> Tally:
        scene = self.scene
        called = [number for number, count in enumerate(scene.calls) if count]
        return Tally(
            worlds=1,
            runs=len(scene.runs),
            processes=scene.processes,
            machines=len(scene.cloud.machines),
            calls=Counter({number: scene.calls[number] for number in called}),
            fated=scene.fated,
            verdicts=Counter(str(run.verdict) for run in scene.runs.values()),
            callers={number: [self._number] for number in called},
            found=[Found(self._number, self._aims, violation) for violation in self.judge.violations],
            trace=hash((self._number, scene.timeline.hash)),
        )

    def _scripts(self, request: Request, worker: int) -> dict[str, Script]:
        return dict(self.scene.runs[request.asker].plan.scripts[worker])

    def _heard(self, machine: Machine, what: str) -> None:
        name = f"{machine.request.zone}/{machine.request.name}"
        self.scene.timeline.tell("cloud", f"{name} #{machine.serial} {what}")
        if what == "landed":
            self.judge.landed(machine)


def _nth(stream: Dice) -> int:
    """Mostly early: many sites are called once or twice in a world, some hundreds of times."""
    return min(1 + int(stream.expovariate(0.3)), 200)
