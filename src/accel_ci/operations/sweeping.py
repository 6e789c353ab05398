"""Ending what outlived its lease, and nothing else, whoever comes by."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from accel_ci.domain import errors, lease, overdue
from accel_ci.domain.errors import CleanupUnverifiedError
from accel_ci.domain.lease import Owner
from accel_ci.domain.machine import Machine
from accel_ci.domain.queued import WorkflowRun
from accel_ci.operations import release
from accel_ci.ports.world import World

GRACE_S = 3600.0  # two periods of the schedule that we ship; GitHub's schedules are often late
SIGHTINGS_S = 5.0
PASSING_S = 15.0
BATCH = 10  # deletions a minute: Google refuses more than some number of DeleteNode requests a minute
MINUTE_S = 60.0
SILENT_S = 21_600.0  # twelve periods of the schedule that we ship, which GitHub may delay
MOST_RUNS = 40  # questions to GitHub


@dataclass(frozen=True, slots=True, kw_only=True)
class Find:
    """A machine that the sweeper may end, and why."""

    machine: Machine
    why: str


def in_passing(world: World, repository_id: int) -> None:
    """Ask for the end of what is past its expiry, by that alone, and do not wait. What does not work is only said."""
    listed, unknown = list[Machine](), list[errors.AccelError]()
    lane = _passing(world, Owner(repository_id=repository_id), listed, unknown)
    if not world.lanes.run([lane], limit_s=PASSING_S):
        unknown = [errors.TransientError(f"no answer within {PASSING_S:.0f} s")]
    for error in unknown:
        world.job.log(f"could not look for machines that outlived their lease: {error}")
    # Whoever provisions passes by for seconds only: the scheduled sweeper does the rest.
    finds = _judged(world, [*listed], grace_s=GRACE_S, runs=None)[:BATCH]
    for find in finds:
        tell(world, find)
    if finds:
        release.send_all(world, [find.machine.handle for find in finds])


def _passing(
    world: World, owner: Owner, listed: list[Machine], unknown: list[errors.AccelError]
) -> Iterator[Callable[[], None]]:
    try:
        listed.extend(world.machines.list_owned(owner))
    except (errors.CloudError, errors.ConfigurationError) as error:
        unknown.append(error)
    yield from ()


def found(
    world: World, repository_id: int, *, grace_s: float, told: bool = False
) -> tuple[list[Find], CleanupUnverifiedError | None]:
    """The repository's overdue machines, seen so twice: a listing may be old, and somebody may have just kept one.

    With `told` the log says of each machine what is done with it and why. The error when a part of the cloud was silent.
    """
    owner, runs = Owner(repository_id=repository_id), dict[int, WorkflowRun | None]()
    listed, silent = _listed(world, owner)
    first = _judged(world, listed, grace_s=grace_s, runs=runs, told=told)
    if not first:
        return [], silent
    # No machine ends on the word of one listing.
    world.clock.sleep(SIGHTINGS_S)
    before = {find.machine.handle for find in first}
    listed, silent = _listed(world, owner)
    again = _judged(world, listed, grace_s=grace_s, runs=runs)
    return [find for find in again if find.machine.handle in before], silent


def _listed(world: World, owner: Owner) -> tuple[list[Machine], CleanupUnverifiedError | None]:
    machines: dict[str, Machine] = {}
    try:
        for machine in release.listed(world, owner):
            machines[machine.handle] = machine
    except CleanupUnverifiedError as error:
        return [*machines.values()], error
    return [*machines.values()], None


def end(world: World, handles: Sequence[str], *, limit_s: float) -> list[str]:
    """Release the machines in batches, a minute apart; the handles that could not be verified after `limit_s` seconds."""
    deadline, left = world.clock.now() + limit_s, list[str]()
    for start in range(0, len(handles), BATCH):
        next_at = world.clock.now() + MINUTE_S
        last = start + BATCH >= len(handles)
        seconds = deadline - world.clock.now() if last else MINUTE_S
        left += release.end(world, handles[start : start + BATCH], limit_s=seconds, resend_s=MINUTE_S)
        if not last and next_at >= deadline:
            return [*left, *handles[start + BATCH :]]
        if not last:
            world.clock.sleep(max(0.0, next_at - world.clock.now()))
    return release.end(world, left, limit_s=max(0.0, deadline - world.clock.now()), resend_s=MINUTE_S)


def tell(world: World, find: Find) -> None:
    """Warn: a sweeper that finds something has found a bug, of ours or of a cloud."""
    world.job.warning("leaked machine", f"{find.machine.handle}: {find.why}. Every find of the sweeper is an incident")


def watch(world: World, workflow: str, *, handle: str) -> None:
    """Warn when the machine's cloud ends none by itself and the sweeper's workflow has not succeeded for SILENT_S."""
    github = world.github
    if github is None or not workflow or world.machines.capabilities(handle).native_lifetime_limit:
        return
    try:
        last = github.last_success(workflow)
    except (errors.CloudError, errors.ConfigurationError) as error:
        world.job.log(f"GitHub does not tell when {workflow} ran last: {error}")
        return
    told = f"not swept for {(world.clock.now() - last.started_at) / 3600:.0f} hours" if last else "never swept"
    if last is None or last.started_at + SILENT_S < world.clock.now():
        world.job.warning(
            "no sweeper",
            f"{workflow} has {told}: a machine whose run dies lives on. See docs/reliability.md; when your sweeper has "
            "another name, say it with the input `sweeper`",
        )


def _judged(
    world: World,
    machines: Sequence[Machine],
    *,
    grace_s: float,
    runs: dict[int, WorkflowRun | None] | None,
    told: bool = False,
) -> list[Find]:
    finds = []
    for machine in machines:
        run = None if runs is None else _run(world, machine, runs)
        finding = overdue.judge(machine.labels, now=world.clock.now(), grace_s=grace_s, run=run)
        if told:
            world.job.log(f"{'to end' if finding.overdue else 'left alone'}: {machine.handle}: {finding.why}")
            if lease.kept(machine.labels, now=world.clock.now()):
                release.warn_of_cost(world, machine)
        if finding.overdue:
            finds.append(Find(machine=machine, why=finding.why))
    return finds


def _run(world: World, machine: Machine, runs: dict[int, WorkflowRun | None]) -> WorkflowRun | None:
    """The run that leased the machine; None when GitHub does not tell: then its expiry alone decides."""
    run_id = overdue.run_id(machine.labels)
    if world.github is None or not run_id or (run_id not in runs and len(runs) >= MOST_RUNS):
        return None
    if run_id not in runs:
        try:
            runs[run_id] = world.github.run(run_id)
        except (errors.CloudError, errors.ConfigurationError) as error:
            world.job.log(f"GitHub does not tell how run {run_id} stands: {error}")
            runs[run_id] = None
    return runs[run_id]
