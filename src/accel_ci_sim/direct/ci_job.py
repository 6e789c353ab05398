"""A CI job of one run: its steps as processes on a runner that may be cancelled or lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import accel_ci
from accel_ci import journey
from accel_ci.domain import lease
from accel_ci.domain.record import Identity, RunRecord, Target
from accel_ci.domain.workload import Caps
from accel_ci.operations import records
from accel_ci.ports.world import World
from accel_ci.usecases import cleanup, collect, provision, report, run_remote
from accel_ci_sim.direct.launcher import Launcher
from accel_ci_sim.direct.plans import Form, RunPlan
from accel_ci_sim.direct.process import Outcome
from accel_ci_sim.direct.runs import Run
from accel_ci_sim.world.runner import Runner
from accel_ci_sim.world.schedule import Actor

MOST_RESUMES = 6
ALWAYS = frozenset({"collect", "cleanup", "report"})
CLEANING = frozenset({"cleanup", "journey"})


class CiJob:
    """The job on its runner. `over` hears when GitHub takes it for over, `ended` when none of it goes on any more."""

    def __init__(self, launcher: Launcher, run: Run, *, over: Callable[[Run], None], ended: Callable[[], None]) -> None:
        self._launcher = launcher
        self._scene = launcher.scene
        self._run = run
        self._plan = run.plan
        self._tell_over = over
        self._tell_ended = ended
        self._runner = Runner(launcher.scene.schedule)
        self._over = False

    def begin(self) -> None:
        """Let the job start when its plan says so, and its mishaps take their course."""
        schedule, mishaps = self._scene.schedule, self._plan.mishaps
        schedule.spawn(self._live, delay_s=self._plan.begins_s)
        coming = ((mishaps.cancel_s, self._cancel), (mishaps.lose_s, self._lose), (mishaps.kill_s, self._runner.kill))
        for seconds, mishap in coming:
            if seconds is not None:
                schedule.after(self._plan.begins_s + seconds, mishap)

    def _live(self, actor: Actor) -> None:
        if self._plan.form is Form.JOURNEY:
            self._journey(actor)
        else:
            self._steps(actor)
        self._finish()
        self._run.living = False
        self._tell_ended()

    def _journey(self, actor: Actor) -> None:
        plan = journey.Plan(order=self._plan.order, work=self._plan.work, paths=self._plan.paths, caps=Caps())
        for _ in range(MOST_RESUMES):
            outcome = self._step(
                actor, "journey", lambda world: journey.run(world, self._record(world), self._run.key, plan=plan)
            )
            if outcome.ended:
                self._told()
            resume_s = self._plan.mishaps.resume_s
            if outcome.ended or resume_s is None or self._runner.cancelled or self._runner.lost:
                return
            self._scene.schedule.pause(actor, resume_s)

    def _steps(self, actor: Actor) -> None:
        plan, key = self._plan, self._run.key
        ready = self._step(
            actor,
            "provision",
            lambda world: provision.provision(world, self._record(world), key, order=plan.order),
        )
        if ready.done and not self._runner.cancelled:
            self._step(actor, "run-remote", lambda world: run_remote.run_remote(world, plan.work, slot=key.slot))
        if plan.paths:
            self._step(actor, "collect", lambda world: collect.collect(world, plan.paths, caps=Caps(), slot=key.slot))
        self._step(actor, "cleanup", lambda world: cleanup.cleanup(world, key, owner=lease.of_job(key)))
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
        process = self._launcher.process(actor, role=role, run=self._run.name)
        self._runner.starts(process, always=role in ALWAYS)
        outcome = process.live(self._launcher.ports(process, self._run.files), body)
        if role in CLEANING and outcome.ended:
            self._launcher.judge.cleanup_ended(process, lease.of_job(self._run.key), error=outcome.error)
        return outcome

    def _told(self) -> None:
        self._run.reported = True
        self._launcher.judge.reported(self._run)

    def _record(self, world: World) -> RunRecord:
        """The record so far, or a new one: what the command line does before a use case."""
        return records.find(world.files, self._run.key.slot) or fresh(self._plan, now=world.clock.now())

    def _cancel(self) -> None:
        if not self._over:
            self._runner.cancel(patient=self._plan.mishaps.patient)

    def _lose(self) -> None:
        """GitHub hears nothing of the runner any more. A zombie goes on all the same."""
        if not self._over:
            self._scene.timeline.tell(self._run.name, "GitHub gives the runner up")
            if not self._plan.mishaps.zombie:
                self._runner.lose()
            self._finish()

    def _finish(self) -> None:
        """The job is over as far as GitHub knows."""
        if not self._over:
            self._over = True
            self._tell_over(self._run)


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
