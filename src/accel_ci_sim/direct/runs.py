"""A CI job of one run: its steps as processes on a runner that may be cancelled or lost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import accel_ci
from accel_ci import journey
from accel_ci.domain import lease
from accel_ci.domain.record import Identity, RunRecord, Target
from accel_ci.domain.workload import Caps
from accel_ci.operations import records
from accel_ci.ports.world import World
from accel_ci.usecases import cleanup, collect, provision, report, run_remote
from accel_ci_sim.direct.files import Files
from accel_ci_sim.direct.plans import Form, RunPlan
from accel_ci_sim.direct.process import Outcome, Process
from accel_ci_sim.world.runner import Runner
from accel_ci_sim.world.schedule import Actor

if TYPE_CHECKING:
    from accel_ci_sim.direct.simulation import Simulation

MOST_RESUMES = 6
ALWAYS = frozenset({"collect", "cleanup", "report"})
CLEANING = frozenset({"cleanup", "journey"})


class Run:
    """One run in progress: its plan, its job's files, its runner, and the verdict that was seen first."""

    def __init__(self, simulation: Simulation, plan: RunPlan) -> None:
        self.simulation = simulation
        self.plan = plan
        self.name = plan.name
        self.key = plan.context.key()
        self.files = Files(self._wrote)
        self.verdict: str | None = None
        self.living = True  # a zombie lives on after its job is over
        self.reported = False
        self._runner = Runner(simulation.schedule)
        self._over = False

    def begin(self) -> None:
        """Let the job start when its plan says so, and its mishaps take their course."""
        schedule, mishaps = self.simulation.schedule, self.plan.mishaps
        schedule.spawn(self._live, delay_s=self.plan.begins_s)
        coming = ((mishaps.cancel_s, self._cancel), (mishaps.lose_s, self._lose), (mishaps.kill_s, self._runner.kill))
        for seconds, mishap in coming:
            if seconds is not None:
                schedule.after(self.plan.begins_s + seconds, mishap)

    @property
    def workflow(self) -> tuple[int, int]:
        """Which workflow run the job belongs to: run id and attempt."""
        return self.plan.context.run_id, self.plan.context.attempt

    def is_of(self, identity: Mapping[str, object]) -> bool:
        """True when a record with this identity is one of this run."""
        context = self.plan.context
        mine = {"run_id": context.run_id, "attempt": context.attempt, "instance": context.instance}
        return mine.items() <= identity.items()

    def _live(self, actor: Actor) -> None:
        if self.plan.form is Form.JOURNEY:
            self._journey(actor)
        else:
            self._steps(actor)
        self._finish()
        self.living = False
        self.simulation.rest()

    def _journey(self, actor: Actor) -> None:
        plan = journey.Plan(order=self.plan.order, work=self.plan.work, paths=self.plan.paths, caps=Caps())
        for _ in range(MOST_RESUMES):
            outcome = self._step(
                actor, "journey", lambda world: journey.run(world, self._record(world), self.key, plan=plan)
            )
            if outcome.ended:
                self._told()
            resume_s = self.plan.mishaps.resume_s
            if outcome.ended or resume_s is None or self._runner.cancelled or self._runner.lost:
                return
            self.simulation.schedule.pause(actor, resume_s)

    def _steps(self, actor: Actor) -> None:
        plan, slot = self.plan, self.key.slot
        ready = self._step(
            actor,
            "provision",
            lambda world: provision.provision(world, self._record(world), self.key, order=plan.order),
        )
        if ready.done and not self._runner.cancelled:
            self._step(actor, "run-remote", lambda world: run_remote.run_remote(world, plan.work, slot=slot))
        if plan.paths:
            self._step(actor, "collect", lambda world: collect.collect(world, plan.paths, caps=Caps(), slot=slot))
        self._step(actor, "cleanup", lambda world: cleanup.cleanup(world, self.key, owner=lease.of_job(self.key)))
        told = self._step(
            actor,
            "report",
            lambda world: report.report(world, self._record(world), cancelled=self._runner.cancelled),
        )
        if told.ended:
            self._told()

    def _step(self, actor: Actor, role: str, body: Callable[[World], Any]) -> Outcome:
        """How the step's process ended; crashed, too, when there is no runner left to start it."""
        if self._runner.lost:
            return Outcome(crashed=True)
        process = Process(self.simulation, actor, role=role, run=self.name)
        self._runner.starts(process, always=role in ALWAYS)
        outcome = process.live(self.simulation.ports(process, self.files), body)
        if role in CLEANING and outcome.ended:
            self.simulation.judge.cleanup_ended(process, lease.of_job(self.key), error=outcome.error)
        return outcome

    def _told(self) -> None:
        self.reported = True
        self.simulation.judge.reported(self)

    def _record(self, world: World) -> RunRecord:
        """The record so far, or a new one: what the command line does before a use case."""
        return records.find(world.files, self.key.slot) or fresh(self.plan, now=world.clock.now())

    def _cancel(self) -> None:
        if not self._over:
            self._runner.cancel(patient=self.plan.mishaps.patient)

    def _lose(self) -> None:
        """GitHub hears nothing of the runner any more. A zombie goes on all the same."""
        if not self._over:
            self.simulation.timeline.tell(self.name, "GitHub gives the runner up")
            if not self.plan.mishaps.zombie:
                self._runner.lose()
            self._finish()

    def _finish(self) -> None:
        """The job is over as far as GitHub knows."""
        if not self._over:
            self._over = True
            self.simulation.job_over(self)

    def _wrote(self, name: str, content: bytes) -> None:
        if name.endswith("/record.json"):
            self.simulation.judge.recorded(self, content)


def fresh(plan: RunPlan, *, now: float) -> RunRecord:
    """The record of a run that begins."""
    context, key, work = plan.context, plan.context.key(), plan.work
    return RunRecord(
        accel_ci=accel_ci.__version__,
        identity=Identity(
            name=key.name,
            repository=context.repository,
            repository_id=context.repository_id,
            run_id=context.run_id,
            attempt=context.attempt,
            job=context.job,
            instance=context.instance,
            sha=context.sha,
        ),
        target=Target(
            backend=plan.order.spec.backend,
            accelerator=plan.order.spec.accelerator,
            zones=list(plan.order.spec.zones),
            setup=work.setup,
            run=work.run,
        ),
        started_at=now,
    )
