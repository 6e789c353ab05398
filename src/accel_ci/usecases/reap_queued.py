"""reap-queued: cancel runs that wait for a machine longer than they should."""

from __future__ import annotations

from collections.abc import Sequence

from accel_ci.domain import errors, queued
from accel_ci.domain.context import Context
from accel_ci.domain.queued import WorkflowRun
from accel_ci.domain.runkey import RunKey
from accel_ci.formats import markup
from accel_ci.ports.github import GitHub
from accel_ci.ports.world import World
from accel_ci.render import units

PATIENCE_S = 60.0
# GitHub takes seconds to end a run, and counts every look at it against the token's limit.
POLL_S = 5.0
MARKER = "reap-queued"


def reap_queued(
    world: World, context: Context, workflows: Sequence[str], *, limit_s: float, dry_run: bool = False
) -> list[int]:
    """The ids of the runs that were cancelled (with `dry_run`: that would be), each told why, never the own run.

    TransientError names runs that were still not over after they were forced, or one that GitHub did not cancel: it keeps
    none of the others waiting.
    """
    github = world.github
    if github is None:
        raise errors.ConfigurationError(
            "reap-queued cannot look at GitHub's queue: it has no token",
            what_to_do="give the step GITHUB_TOKEN: ${{ github.token }}, in a GitHub Actions job",
        )
    unsure = list[errors.TransientError]()
    with world.job.group("reap-queued"):
        overdue = [
            (run, why)
            for workflow in workflows
            for run in github.waiting_runs(workflow)
            # Whoever sweeps the queue may be in it.
            if run.id != context.run_id
            and (why := _ended(world, github, context, run, limit_s=limit_s, unsure=unsure, dry_run=dry_run))
        ]
        if not dry_run:
            _force(world, github, [run for run, _ in overdue], limit_s=limit_s)
            for run, why in overdue:
                _comment(world, github, run, why=why, limit_s=limit_s)
    if unsure:
        raise unsure[0]
    return [run.id for run, _ in overdue]


def _ended(
    world: World,
    github: GitHub,
    context: Context,
    run: WorkflowRun,
    *,
    limit_s: float,
    unsure: list[errors.TransientError],
    dry_run: bool,
) -> str:
    """Why the run was politely cancelled; "" when it was left alone, or is added to `unsure`."""
    why = _overdue(world, github, run, limit_s=limit_s)
    if not why:
        return ""
    _tell(world, context, run, why=why, dry_run=dry_run)
    if dry_run:
        return why
    try:
        # At once: it may get its machine while we look at the others.
        github.cancel(run.id)
    except errors.TransientError as error:
        # Not forced, for it may never have been asked politely; the next visit asks again.
        world.job.warning("reap-queued", f"run {run.id} may not have been cancelled: {error}")
        unsure.append(error)
        return ""
    return why


def _overdue(world: World, github: GitHub, run: WorkflowRun, *, limit_s: float) -> str:
    found = queued.judge(github.jobs(run.id), limit_s=limit_s, now=world.clock.now())
    if not found.overdue:
        world.job.log(f"left alone: run {run.id} of {run.workflow}: {found.why}")
    return found.why if found.overdue else ""


def _tell(world: World, context: Context, run: WorkflowRun, *, why: str, dry_run: bool) -> None:
    key = RunKey(repository_id=context.repository_id, repository=context.repository, run_id=run.id, job="")
    world.job.log(f"{'would cancel' if dry_run else 'cancel'} run {run.id} of {run.workflow}: {why}")
    # A forced end leaves machines to the sweeper: this is what to look for by hand.
    world.job.log(f"its machines' names begin with {key.run_prefix}")


def _force(world: World, github: GitHub, runs: Sequence[WorkflowRun], *, limit_s: float) -> None:
    """Only what a polite end did not end: a forced one runs no `always()` step, so nothing of the run would clean up."""
    left = _still_there(world, github, runs)
    # A job that cleans up now has five minutes of GitHub's; and who was run again meanwhile waited for nothing yet.
    waiting = [run for run in left if _overdue(world, github, run, limit_s=limit_s)]
    if waiting:
        names = ", ".join(str(run.id) for run in waiting)
        world.job.warning("reap-queued", f"not over {PATIENCE_S:.0f} s after they were cancelled, forced now: {names}")
    for run in waiting:
        github.cancel(run.id, force=True)
    left = _still_there(world, github, waiting)
    if left:
        names = ", ".join(str(run.id) for run in left)
        raise errors.TransientError(f"these runs are still not over: {names}", what_to_do="look at them on GitHub")


def _same(found: WorkflowRun, run: WorkflowRun) -> bool:
    """True while the attempt that was cancelled is not over: a later one has the same id."""
    return not found.over and found.attempt <= run.attempt


def _still_there(world: World, github: GitHub, runs: Sequence[WorkflowRun]) -> list[WorkflowRun]:
    left, deadline, pause = list(runs), world.clock.now() + PATIENCE_S, POLL_S
    while left:
        left = [run for run in left if _same(github.run(run.id), run)]
        if not left or world.clock.now() >= deadline:
            break
        world.clock.sleep(pause)
        pause *= 2
    return left


def _comment(world: World, github: GitHub, run: WorkflowRun, *, why: str, limit_s: float) -> None:
    told = f"{markup.markdown(why)}, the limit is {units.duration(limit_s)}"
    body = f"### 🚫 Cancelled in the queue\n\n[Run {run.id}]({run.url}) was cancelled: {told}.\n"
    for number in run.pull_requests:
        try:
            github.put_comment(number, f"{MARKER} {run.id}", body)
        except errors.AccessError as error:
            world.job.warning("reap-queued", f"no comment on #{number}: {error}; {error.what_to_do}")
