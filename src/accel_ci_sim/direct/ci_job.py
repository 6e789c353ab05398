"""A CI job of one run: its steps as processes on a runner that may be cancelled or lost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import accel_ci
from accel_ci import journey
from accel_ci.domain import errors, lease
from accel_ci.domain.record import CleanupFacts, Identity, RunRecord, Target
from accel_ci.domain.workload import Caps, CommitSource
from accel_ci.operations import records
from accel_ci.ports.world import World
from accel_ci.usecases import cleanup, collect, provision, report, run_remote
from accel_ci_sim.direct import handles
from accel_ci_sim.direct.launcher import Launcher
from accel_ci_sim.direct.layers import Layer
from accel_ci_sim.direct.plans import REPOSITORY, Form
from accel_ci_sim.direct.process import Outcome
from accel_ci_sim.direct.runs import Run
from accel_ci_sim.world.machine import State
from accel_ci_sim.world.runner import Runner
from accel_ci_sim.world.schedule import Actor

MOST_RESUMES = 6
ALWAYS = frozenset({"collect", "cleanup", "report", "post"})
CLEANING = frozenset({"cleanup", "journey", "post"})


class CiJob:
    """The job on its runner. `over` hears when GitHub takes it for over, `ended` when none of it goes on any more."""

    def __init__(self, launcher: Launcher, run: Run, *, over: Callable[[Run], None], ended: Callable[[], None]) -> None:
        self._launcher = launcher
        self._scene = launcher.scene
        self._run = run
        self._plan = run.plan
        self._work = replace(run.plan.work, source=CommitSource(repository=REPOSITORY, sha=run.sha))
        self._tell_over = over
        self._tell_ended = ended
        self._runner = Runner(launcher.scene.schedule)
        self._over = False

    def begin(self) -> None:
        """Let the job start when its plan says so, and its mishaps take their course."""
        schedule, mishaps = self._scene.schedule, self._plan.mishaps
        schedule.spawn(self._live, delay_s=self._plan.begins_s)
        coming = (
            (mishaps.cancel_s, self._cancel),
            (mishaps.lose_s, self._lose),
            (mishaps.kill_s, self._runner.kill),
            (mishaps.keep_s, self._keep),
        )
        for seconds, mishap in coming:
            if seconds is not None:
                schedule.after(self._plan.begins_s + seconds, mishap)

    def _live(self, actor: Actor) -> None:
        if self._plan.form is Form.JOURNEY:
            self._journey(actor)
        else:
            self._steps(actor)
        if self._plan.mishaps.post and Layer.POST in self._scene.layers:
            self._clean(actor, "post")
        self._finish()
        self._run.living = False
        self._tell_ended()

    def _journey(self, actor: Actor) -> None:
        plan = journey.Plan(
            order=self._plan.order,
            work=self._work,
            paths=self._plan.paths,
            caps=Caps(),
            publication=self._plan.publication,
        )
        for _ in range(MOST_RESUMES):
            outcome = self._step(
                actor, "journey", lambda world: journey.run(world, self._record(world), self._run.key, plan=plan)
            )
            resume_s = self._plan.mishaps.resume_s
            # Only a person starts a crashed client again; a runner never does.
            if outcome.ended or resume_s is None or self._runner.cancelled or self._runner.dead:
                return
            self._scene.schedule.pause(actor, resume_s)

    def _steps(self, actor: Actor) -> None:
        slots = self._plan.slots
        ready = [self._provisioned(actor, slot) for slot in slots]
        # A step without if: always() does not start after one that failed.
        for slot in slots if all(ready) else ():
            if not self._runner.cancelled:
                self._run_remote(actor, slot)
        for slot in slots if self._plan.paths else ():
            self._collect(actor, slot)
        if Layer.STEP in self._scene.layers:
            self._clean(actor, "cleanup")
        for slot in slots:
            self._report(actor, slot)

    def _provisioned(self, actor: Actor, slot: str) -> bool:
        if self._runner.cancelled:
            return False
        key = self._plan.context.key(slot=slot)

        def body(world: World) -> RunRecord:
            return provision.provision(world, self._record(world, slot), key, order=self._plan.order)

        return self._step(actor, "provision", body, slot=slot).done

    def _run_remote(self, actor: Actor, slot: str) -> None:
        self._step(actor, "run-remote", lambda world: run_remote.run_remote(world, self._work, slot=slot), slot=slot)

    def _collect(self, actor: Actor, slot: str) -> None:
        def body(world: World) -> RunRecord:
            return collect.collect(world, self._plan.paths, caps=Caps(), slot=slot)

        self._step(actor, "collect", body, slot=slot)

    def _clean(self, actor: Actor, role: str) -> None:
        """As the command line does it: a signal does not stop it."""
        key = self._run.key

        def body(world: World) -> CleanupFacts:
            # Whoever cleans up does not stop for the second signal of an impatient user.
            return journey.to_the_end(lambda: cleanup.cleanup(world, key, owner=lease.of_job(key)))

        self._step(actor, role, body)

    def _report(self, actor: Actor, slot: str) -> None:
        def body(world: World) -> RunRecord:
            cancelled = self._runner.cancelled
            return report.report(
                world, self._record(world, slot), cancelled=cancelled, publication=self._plan.publication
            )

        self._step(actor, "report", body, slot=slot)

    def _step(self, actor: Actor, role: str, body: Callable[[World], Any], *, slot: str = "") -> Outcome:
        """How the step's process ended; crashed, too, when there is no runner left to start it."""
        if self._runner.dead:
            return Outcome(crashed=True)
        process = self._launcher.process(actor, role=role, run=self._run.name, slot=slot)
        self._runner.starts(process, always=role in ALWAYS)
        judge = self._launcher.judge
        outcome = process.live(self._launcher.ports(process, self._run.files), body)
        if role in CLEANING and outcome.ended and Layer.STEP in self._scene.layers:
            judge.cleanup_ended(process, lease.of_job(self._run.key), error=outcome.error)
        stopped = role == "report" and isinstance(outcome.error, errors.CancelledError)
        if role in ("journey", "report") and outcome.ended and not stopped:
            judge.reported(self._run, process)
        return outcome

    def _record(self, world: World, slot: str = "") -> RunRecord:
        """The record so far, or a new one: what the command line does before a use case."""
        return records.find(world.files, slot) or fresh(self._run, slot, now=world.clock.now())

    def _cancel(self) -> None:
        if not self._over:
            self._runner.cancel(patient=self._plan.mishaps.patient)
            if self._plan.mishaps.force_s is not None and not self._plan.mishaps.patient:
                self._scene.schedule.after(self._plan.mishaps.force_s, self._force)

    def _force(self) -> None:
        if not self._over:
            self._scene.timeline.tell(self._run.name, "force-cancelled")
            self._run.forced = True
            self._runner.force()

    def _keep(self) -> None:
        """A person wants to look at the machine for a while."""
        scene = self._scene
        until = int(scene.schedule.now + self._plan.mishaps.kept_for_s)
        for machine in scene.ledger.alive():
            # People keep what they can log in to.
            if handles.hosts(machine, self._run.name) and machine.state is State.READY:
                scene.cloud.annotate(*machine.place, {"accel-ci-keep-until": str(until)})
                scene.timeline.tell(self._run.name, f"{machine.request.name} is to be kept for a while")

    def _lose(self) -> None:
        """GitHub hears nothing of the runner any more. A zombie goes on all the same."""
        if not self._over:
            # GitHub takes a silent runner for lost, which may live on: two of us then report one run.
            self._run.given_up = True
            self._scene.timeline.tell(self._run.name, "GitHub gives the runner up")
            if not self._plan.mishaps.zombie:
                self._runner.lose()
            self._finish()

    def _finish(self) -> None:
        """The job is over as far as GitHub knows."""
        if not self._over:
            self._over = True
            self._tell_over(self._run)


def fresh(run: Run, slot: str, *, now: float) -> RunRecord:
    """The record of a run that begins."""
    plan, context, work = run.plan, run.plan.context, run.plan.work
    return RunRecord(
        accel_ci=accel_ci.__version__,
        identity=Identity(
            name=context.key(slot=slot).name,
            repository=context.repository,
            repository_id=context.repository_id,
            run_id=context.run_id,
            attempt=context.attempt,
            job=run.key.job,
            instance=context.instance,
            slot=slot,
            event=context.event,
            actor=context.actor,
            sha=run.sha,
            ref=context.ref,
            pull_request=context.pull_request,
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
