"""One world: workflow runs of the real use cases, and sweepers, on one clock and under one judge."""

from __future__ import annotations

from collections import Counter
from functools import partial
from itertools import groupby

from accel_ci_sim.direct import ablated, layers, plans, setting, sites
from accel_ci_sim.direct.cron import Cron
from accel_ci_sim.direct.entropy import Entropy
from accel_ci_sim.direct.github import TOKEN
from accel_ci_sim.direct.judge import Judge
from accel_ci_sim.direct.launcher import Launcher
from accel_ci_sim.direct.layers import Layer
from accel_ci_sim.direct.mishaps import Mishaps
from accel_ci_sim.direct.plans import RunPlan
from accel_ci_sim.direct.reaper import Reaper
from accel_ci_sim.direct.runs import Run
from accel_ci_sim.direct.scene import Scene
from accel_ci_sim.direct.setting import Setting
from accel_ci_sim.direct.tally import Found, Tally
from accel_ci_sim.direct.workflow import Workflows
from accel_ci_sim.world import dice, faults, github, weather
from accel_ci_sim.world.cloud import Cloud
from accel_ci_sim.world.dice import Dice
from accel_ci_sim.world.faults import CRASHES, Aim, Fate, Faults
from accel_ci_sim.world.github import GitHubWorld
from accel_ci_sim.world.google_sky import GoogleSky
from accel_ci_sim.world.ledger import Ledger
from accel_ci_sim.world.machine import TAKEN, Machine, Request
from accel_ci_sim.world.schedule import Schedule
from accel_ci_sim.world.timeline import Timeline
from accel_ci_sim.world.weather import Weather
from accel_ci_sim.world.worker import Script

SWEEP_PERIODS_S = (120.0, 900.0)
CALM = 0.25  # of all worlds
REAPED = 0.1
_AIMS = tuple(site.number for site in sites.SITES if site.name not in sites.UNUSED)
_DISTANT = tuple(number for number in _AIMS if sites.SITES[number].fates == faults.DISTANT)


class Simulation:
    """One world, made from seed and number alone; `aims` replace the fault that it would aim by itself."""

    def __init__(
        self,
        seed: int,
        number: int,
        *,
        rate: float,
        aims: tuple[Aim, ...] = (),
        how: Setting = setting.USUAL,
        readable: bool = False,
    ) -> None:
        stream = dice.of(seed, number, "world")
        period_s = stream.choice(SWEEP_PERIODS_S)
        self._number, self._aims, self._how = number, aims, how
        self._stage = how.stage.name if how.stage else ""
        calm = dice.chance(stream, CALM) and how.stage is None
        sky, drawn = self._drawn(stream, calm=calm)
        schedule = Schedule()
        ledger = Ledger(schedule, scripts=self._scripts, hear=self._heard)
        kind = Cloud if sky.service == "sim" else GoogleSky
        self.scene = Scene(
            dice=stream,
            schedule=schedule,
            timeline=Timeline(schedule, readable=readable),
            ledger=ledger,
            cloud=kind(schedule, sky, dice.of(seed, number, "cloud"), ledger),
            github=_github(schedule, closed=drawn[0].mishaps.label == "closed"),
            faults=self._faults(dice.of(seed, number, "faults"), rate, drawn, calm=calm),
            sweep_period_s=period_s,
            calm=calm,
            layers=how.layers,
        )
        if how.stage is None:
            late = dice.of(seed, number, "lists")
            self.scene.github.lists.lag(late, late.choice(weather.GITHUB_LISTING_LAGS_S))
        self.judge = Judge(self.scene)
        self.launcher = Launcher(self.scene, self.judge, Entropy(dice.of(seed, number, "entropy")))
        self._reaper = self._reaping(dice.of(seed, number, "queue"))
        self._workflows = Workflows(
            self.launcher,
            reruns=not calm and how.stage is None,
            rest=self._rest,
            peer=how.peer,
            queue=self._reaper.queue if self._reaper else None,
        )
        jobs = [Run(plan, self.judge.verdicts.recorded) for plan in drawn]
        self.scene.runs.update((job.name, job) for job in jobs)

    def tally(self) -> Tally:
        """Let the whole world happen; its figures."""
        scene = self.scene
        for _, jobs in groupby(list(scene.runs.values()), key=lambda run: run.workflow):
            self._workflows.begin(list(jobs))
        if Layer.SWEEPER in scene.layers:
            Cron(self.launcher).begin()
        if self._reaper is not None:
            self._reaper.begin()
        for service, (begins, ends) in scene.cloud.weather.outages.items():
            scene.schedule.after(begins, partial(self._outage, service, down=True))
            scene.schedule.after(ends, partial(self._outage, service, down=False))
        scene.schedule.run()
        # Whoever aims at a crash takes the truth of the verdict upon himself.
        survivable = not any(aim.fate in CRASHES for aim in self._aims)
        for run in scene.runs.values():
            self.judge.over(run, calm=(scene.calm or self._untouched(run)) and survivable)
            scene.timeline.mix(str(run.verdicts).encode())
        self.judge.ended()
        return self._figures()

    def _untouched(self, run: Run) -> bool:
        """True for a job of a stage to which nothing happens: its verdict, too, is the one that it deserves."""
        return self._how.stage is not None and not self._aims and run.plan.mishaps == Mishaps()

    def _drawn(self, stream: Dice, *, calm: bool) -> tuple[Weather, list[RunPlan]]:
        stage = self._how.stage
        if stage is not None:
            return stage.weather, list(stage.plans)
        sky = weather.calm(stream) if calm else weather.rough(stream, sites.FAILING)
        sky = ablated.weather(sky, self._how)
        drawn = plans.draw(stream, sky, calm=calm)
        return sky, ablated.drawn(drawn, stream, self._how)

    def _reaping(self, stream: Dice) -> Reaper | None:
        """In a share of the worlds of all layers."""
        usual = self._how.stage is None and self._how.layers == layers.ALL
        return Reaper(self.launcher, stream) if usual and dice.chance(stream, REAPED) else None

    def _rest(self) -> None:
        """Faults stop once nobody but the sweepers does anything any more; from then on the bounds count."""
        scene = self.scene
        # A zombie of a lost runner may still act: rest is when nothing does.
        if self._workflows.over and scene.quiet_since is None:
            scene.quiet_since = scene.schedule.now
            scene.faults.stop()
            scene.down.clear()
            scene.timeline.tell("world", "faults stop")

    def _outage(self, service: str, *, down: bool) -> None:
        # No outage may last beyond the end of faults.
        if self.scene.quiet_since is None:
            (self.scene.down.add if down else self.scene.down.discard)(service)
            self.scene.timeline.tell("world", f"{service}: {'does not answer' if down else 'answers again'}")

    def _faults(self, stream: Dice, rate: float, drawn: list[RunPlan], *, calm: bool) -> Faults:
        """One fault by aim, the others by dice; where the verdict is to be the truth, none that nobody survives."""
        # Worlds with many faults end early: the calm ones get further.
        rate *= stream.choice((0.0, 0.3, 1.0, 1.0, 3.0))
        kinds: tuple[Fate, ...] = faults.MIXED
        site = sites.SITES[stream.choice(_AIMS)]
        aim = Aim(site.number, _nth(stream), stream.choice(site.fates))
        if calm and any(plan.mishaps.resume_s is None for plan in drawn):
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
            machines=len(scene.ledger.machines),
            calls=Counter({number: scene.calls[number] for number in called}),
            fated=scene.fated,
            verdicts=Counter(str(verdict) for run in scene.runs.values() for verdict in run.verdicts.values()),
            ended_by=scene.ended_by,
            left=len(scene.ledger.alive()),
            taken=sum(each.interruption == TAKEN for each in scene.ledger.machines),
            leaking=bool(scene.ledger.alive()),
            callers={number: [self._number] for number in called},
            found=[Found(self._number, self._aims, each, self._stage) for each in scene.violations],
            trace=hash((self._number, scene.timeline.hash)),
        )

    def _scripts(self, request: Request, worker: int) -> dict[str, Script]:
        return dict(self.scene.runs[request.asker].plan.scripts[worker])

    def _heard(self, machine: Machine, what: str) -> None:
        name = f"{machine.request.zone}/{machine.request.name}"
        self.scene.timeline.tell("cloud", f"{name} #{machine.serial} {what}")
        if what == "landed":
            self.judge.landed(machine)
        if what == "running":
            self.judge.runs(machine)


def _nth(stream: Dice) -> int:
    """Mostly early: many sites are called once or twice in a world, some hundreds of times."""
    return min(1 + int(stream.expovariate(0.3)), 200)


def _github(schedule: Schedule, *, closed: bool) -> GitHubWorld:
    """The repository with one pull request, a maintainer, and a stranger."""
    world = GitHubWorld(lambda: schedule.now, repository=plans.REPOSITORY, repository_id=plans.REPOSITORY_ID)
    world.remaining = 1 << 30
    world.tokens[TOKEN] = github.job_token()
    world.collaborators["ada"] = "write"
    pull = world.add_pull(plans.PULL, head_sha=plans.SHA, labels=["run-tpu-tests"])
    pull.state = "closed" if closed else "open"
    return world
