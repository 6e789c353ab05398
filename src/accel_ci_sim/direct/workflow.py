"""A workflow run: the gate, its jobs, the cleanup job on another runner, and somebody who runs it again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from accel_ci import plans
from accel_ci.domain import check, lease
from accel_ci.domain.grant import Grant
from accel_ci.domain.trigger import Policy
from accel_ci.operations import publish
from accel_ci.operations.publish import Publication
from accel_ci.ports.world import World
from accel_ci.usecases import cleanup, gate, report
from accel_ci_sim.direct import files
from accel_ci_sim.direct.ci_job import CiJob
from accel_ci_sim.direct.launcher import Launcher
from accel_ci_sim.direct.layers import Layer
from accel_ci_sim.direct.peer import PeerJob
from accel_ci_sim.direct.plans import PULL, SHA, SHARED_SLOT
from accel_ci_sim.direct.process import Process
from accel_ci_sim.direct.runs import Run
from accel_ci_sim.direct.waiting import Queue
from accel_ci_sim.world import dice
from accel_ci_sim.world.github import Run as GitHubRun
from accel_ci_sim.world.schedule import Actor

RERUN, RERUN_LOST = 0.15, 0.6  # of the workflow runs of the others
PUSHED = "6" * 40
PUSHED_BEFORE_S = 5.0
POLICY = Policy()


class Workflows:
    """All workflow runs of a world. `rest` hears when none goes on any more."""

    def __init__(
        self, launcher: Launcher, *, reruns: bool, rest: Callable[[], None], peer: bool, queue: Queue | None = None
    ) -> None:
        self._launcher = launcher
        self._queue = queue
        self._scene = launcher.scene
        self._reruns = reruns
        self._peer = peer
        self._rest = rest
        self._going = Counter[tuple[int, int]]()  # jobs not over yet
        self._gates = [0, 0]  # that began, that ended
        self._pushed = False

    @property
    def over(self) -> bool:
        """True when GitHub takes all of them for over, and nothing of their jobs goes on."""
        return not self._going and not any(run.living for run in self._scene.runs.values())

    def begin(self, jobs: Sequence[Run], *, gated: bool = True) -> None:
        """Let a workflow run begin: with its gate, unless only failed jobs are run again."""
        run_id, attempt = jobs[0].workflow
        self._going[jobs[0].workflow] = len(jobs)
        now = self._scene.schedule.now
        self._scene.github.runs[run_id] = GitHubRun(
            id=run_id, status="in_progress", attempt=attempt, started_at=now, updated_at=now
        )
        self._scene.runs.update((job.name, job) for job in jobs)
        if gated and jobs[0].plan.context.event and not self._peer:
            self._scene.schedule.spawn(lambda actor: self._gated(actor, jobs))
        else:
            self._start(jobs)

    def _start(self, jobs: Sequence[Run]) -> None:
        run_id = jobs[0].workflow[0]
        if self._queue is not None and not self._scene.calm and self._queue.waits():
            self._scene.timeline.tell(jobs[0].name, "waits for a runner")
            self._queue.wait(run_id, picked=partial(self._run, jobs), cancelled=partial(self._reaped, jobs))
        else:
            self._run(jobs)

    def _reaped(self, jobs: Sequence[Run], force: bool) -> None:
        """The run was cancelled in the queue: its jobs never start; the cleanup job does, unless the end was forced."""
        assert self._queue is not None
        self._scene.timeline.tell(jobs[0].name, "cancelled in the queue")
        for job in jobs:
            job.living, job.forced = False, force
        self._going[jobs[0].workflow] = 1
        if not force:
            self._queue.works_on(jobs[0].workflow[0], "cleanup")
        self._job_over(jobs[-1])

    def _run(self, jobs: Sequence[Run]) -> None:
        for job in jobs:
            if self._peer:
                PeerJob(self._launcher, job, ended=self._job_over).begin()
            else:
                CiJob(self._launcher, job, over=self._job_over, ended=self._rest).begin()

    def _gated(self, actor: Actor, jobs: Sequence[Run]) -> None:
        scene, mishaps, first = self._scene, jobs[0].plan.mishaps, jobs[0]
        heads, (began, ended) = self._pushes(mishaps.push_s), self._gates
        process = self._launcher.process(actor, role="gate", run=first.name)
        event = labelled(mishaps.label)

        def body(world: Any) -> Grant | None:
            return gate.gate(world, first.plan.context, event=event, policy=POLICY)

        self._gates[0] += 1
        outcome = process.live(self._launcher.ports(process, files.unwatched()), body)
        self._gates[1] += 1
        # Two gates at once converge only after both are done.
        alone = began == ended and self._gates == [began + 1, ended + 1]
        if alone and outcome.done and not process.warned:
            self._launcher.judge.public.gated(since=process.began_at)
        given: Grant | None = outcome.value
        if first.plan.context.pull_request is not None:
            wrong = "" if mishaps.label == "closed" else mishaps.label
            wrong = "closed" if scene.github.pulls[PULL].state == "closed" else wrong
            self._launcher.judge.public.granted(given, label=wrong, heads=heads)
        if given is None:
            self._skip(jobs)
        for job in jobs if given is not None else ():
            job.grant = given
        if given is not None:
            self._start(jobs)

    def _pushes(self, push_s: float | None) -> set[str]:
        """The heads that the gate may see: somebody may push just before the label is set, or while the gate looks."""
        heads: set[str] = set()
        if push_s is not None and not self._pushed:
            self._pushed = True
            if push_s < PUSHED_BEFORE_S:
                self._push(heads)
            else:
                self._scene.schedule.after(push_s - PUSHED_BEFORE_S, partial(self._push, heads))
        heads.add(self._scene.github.pulls[PULL].head_sha)
        return heads

    def _skip(self, jobs: Sequence[Run]) -> None:
        """The gate said no, or did not live to say anything: no job of the run begins."""
        for job in jobs:
            job.living = False
        self._complete(jobs[0].workflow)
        self._rest()

    def _complete(self, workflow: tuple[int, int]) -> None:
        scene = self._scene
        del self._going[workflow]
        scene.completed[workflow] = scene.schedule.now
        known = scene.github.runs[workflow[0]]
        # The run of an older attempt must not complete the one that goes on now.
        if known.attempt == workflow[1]:
            scene.github.put_run(workflow[0], "completed")
            for job in known.jobs:
                job.status = "completed"

    def _push(self, heads: set[str]) -> None:
        heads.add(PUSHED)
        self._scene.github.push("speed", PUSHED, actor="mallory")
        self._scene.timeline.tell("mallory", "pushes another commit")

    def _job_over(self, run: Run) -> None:
        """A job is over as far as GitHub knows. The cleanup job follows the last of them, on another runner."""
        scene = self._scene
        scene.timeline.tell(run.name, "job over")
        self._going[run.workflow] -= 1
        if self._going[run.workflow]:
            return
        # force-cancel is the whole run's: no job of it starts any more.
        forced = any(each.forced for each in scene.runs.values() if each.workflow == run.workflow)
        if run.plan.mishaps.cleanup_job and not forced and Layer.JOB in scene.layers and not self._peer:
            scene.schedule.spawn(lambda actor: self._cleanup_job(actor, run), delay_s=scene.dice.uniform(10.0, 40.0))
        else:
            self._workflow_over(run)

    def _cleanup_job(self, actor: Actor, run: Run) -> None:
        """A job of the same run, so with a key of its own; `for:` names the jobs, or it is for all of them."""
        process: Process = self._launcher.process(actor, role="cleanup-job", run=run.name)
        # Its own key would find nothing: it goes by the run, or by the jobs that `for:` names.
        key = replace(run.key, job="cleanup", instance="")
        jobs = (_leased_by(run),) if dice.chance(self._scene.dice, 0.5) else ()
        owner = lease.of_run(key, jobs=jobs)
        world = self._launcher.ports(process, files.unwatched())
        outcome = process.live(world, lambda world: cleanup.cleanup(world, key, owner=owner, jobs=jobs))
        if outcome.ended:
            self._launcher.judge.cleanup_ended(process, owner, error=outcome.error)
        if run.grant is not None:
            self._second_report(actor, run)
        self._workflow_over(run)

    def _second_report(self, actor: Actor, run: Run) -> None:
        """The cleanup job ends the check that the lost one could not: so the shipped workflow does it."""
        context = replace(run.plan.context, job="cleanup", instance="", siblings=1)
        process = self._launcher.process(actor, role="second-report", run=run.name)

        def body(world: World) -> bool:
            assert world.github is not None
            run_id, attempt = run.workflow
            if publish.concluded(world.github, sha=run.sha, run_id=run_id, attempt=attempt, name=check.NAME):
                return False
            record = plans.nothing(context, run.grant, slot="", now=world.clock.now())
            report.report(world, record, publication=Publication(workflow=context.workflow))
            return True

        outcome = process.live(self._launcher.ports(process, files.unwatched()), body)
        if outcome.done and not process.warned:
            self._launcher.judge.public.closed(run, wrote=outcome.value, since=process.began_at)

    def _workflow_over(self, run: Run) -> None:
        """Somebody may re-run all jobs, or those that failed, once."""
        scene = self._scene
        self._complete(run.workflow)
        # People run again what was lost.
        wish = RERUN if run.plan.mishaps.lose_s is None else RERUN_LOST
        jobs = [each for each in scene.runs.values() if each.workflow == run.workflow]
        if self._reruns and run.plan.context.attempt == 1 and dice.chance(scene.dice, wish):
            everything = dice.chance(scene.dice, 0.5)
            chosen = [each for each in jobs if everything or each.verdict != "passed"]
            again = [
                Run(each.plan.again(), self._launcher.judge.verdicts.recorded, grant=each.grant) for each in chosen
            ]
            if again:
                # Failed jobs alone are run again with the first attempt's grant: the gate is not asked.
                return self.begin(again, gated=everything)
        self._rest()


def _leased_by(run: Run) -> str:
    """What `for:` names: the job, or the slot that all jobs share."""
    context = run.plan.context
    return context.job_of(SHARED_SLOT if run.plan.shares else context.job)


def labelled(wrong: str) -> dict[str, Any]:
    """The event of a label: a maintainer's, unless something is `wrong` with it."""
    sender = "stranger" if wrong == "stranger" else "ada"
    return {
        "action": "labeled",
        "label": {"name": "size/XL" if wrong == "other" else POLICY.label},
        "sender": {"login": sender, "type": "User"},
        "pull_request": {"number": PULL, "head": {"sha": SHA}, "labels": [{"name": POLICY.label}]},
    }
