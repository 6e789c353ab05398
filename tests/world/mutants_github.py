"""Known bugs in what GitHub is told, and in who may start what."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from accel_ci.adapters.github_calls import Calls
from accel_ci.adapters.github_rest import GitHubRest
from accel_ci.domain import check, errors, queued, trigger
from accel_ci.domain.check import Check, Conclusion
from accel_ci.domain.pullrequest import PullRequest, Role
from accel_ci.domain.record import RunRecord
from accel_ci.domain.trigger import Refusal, Request
from accel_ci.domain.workload import Phase
from accel_ci.operations import follow, publish
from accel_ci.ports.world import World
from accel_ci.usecases import gate, reap_queued, run_remote
from accel_ci_sim.direct.sources import Sources
from tests.world.known_bugs import bug


@bug("a lost POST is repeated blindly", "I5", "I6", within=1500)
def _(patch: pytest.MonkeyPatch) -> None:
    def made(self: GitHubRest, find: Callable[[], Any], create: Callable[[], Any], *, shared: bool = True) -> Any:
        found = find()
        while not found:
            try:
                found = [create()]
            except errors.TransientError:
                continue
        return found[:1]

    patch.setattr(GitHubRest, "_made", made)


@bug("our comment is not looked for", "I5", "I6", within=600)
def _(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(GitHubRest, "_made", lambda self, find, create, **how: [create()])


@bug("duplicates are seen and left", "I5", "I6", within=3000)
def _(patch: pytest.MonkeyPatch) -> None:
    honest = GitHubRest._made
    patch.setattr(GitHubRest, "_made", lambda self, find, create, **how: honest(self, find, create, **how)[:1])


@bug("a green run closes no issue", "I6", within=1500)
def _(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(GitHubRest, "close_issue", lambda self, number: None)


@bug("every failure opens an issue of its own", "I6", within=1500)
def _(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(GitHubRest, "_issues", lambda self, marker: [])


@bug("the check is left pending", "I4", within=100)
def _(patch: pytest.MonkeyPatch) -> None:
    honest = publish._check
    patch.setattr(publish, "_check", lambda record, *, name: replace(honest(record, name=name), conclusion=None))


@bug("infrastructure errors end the check green", "I4", within=100)
def _(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(check, "conclusion", lambda given: check._OF_VERDICTS.get(given, Conclusion.SUCCESS))


@bug("one green sibling makes the whole green", "I4", within=3000)
def _(patch: pytest.MonkeyPatch) -> None:
    def best(conclusions: Any) -> Conclusion | None:
        known = [each for each in conclusions if each is not None]
        return Conclusion.SUCCESS if Conclusion.SUCCESS in known else next(iter(known), None)

    patch.setattr(check, "worst", best)


@bug("the check of the whole does not wait for all siblings", "I4", within=600)
def _(patch: pytest.MonkeyPatch) -> None:
    honest = publish._with_siblings
    patch.setattr(
        publish, "_with_siblings", lambda github, record, how: honest(github, record, replace(how, siblings=1))
    )


@bug("any label starts a run", "I7", within=600)
def _(patch: pytest.MonkeyPatch) -> None:
    honest = trigger.read

    def read(event: Any, policy: Any) -> Any:
        return honest({**event, "label": {"name": policy.label}}, policy)

    patch.setattr(trigger, "read", read)


@bug("anybody's label starts a run", "I7", within=600)
def _(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Role, "may_write", property(lambda self: True))
    patch.setattr(gate, "_shown", lambda *args, **kwargs: "it was granted before")


@bug("a closed pull request is tested", "I7", within=600)
def _(patch: pytest.MonkeyPatch) -> None:
    _refusing(patch, lambda request, pull: (request, replace(pull, open=True)))


@bug("a push just before the click is not noticed", "I7", within=600)
def _(patch: pytest.MonkeyPatch) -> None:
    _refusing(patch, lambda request, pull: (request, replace(pull, head_sha=request.sha)))
    patch.setattr(gate, "_shown", lambda *args, **kwargs: "it was granted before")


def _refusing(patch: pytest.MonkeyPatch, seen: Callable[[Request, PullRequest], tuple[Request, PullRequest]]) -> None:
    """Let the gate refuse by what `seen` makes of the request and the pull request."""
    honest = trigger.refused

    def refused(request: Request, policy: Any, *, pull: PullRequest, role: Role, changed: Iterable[str]) -> Any:
        request, pull = seen(request, pull)
        told: Refusal | None = honest(request, policy, pull=pull, role=role, changed=changed)
        return told

    patch.setattr(trigger, "refused", refused)


@bug("a label can be used twice", "I7", within=200)
def _(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(GitHubRest, "remove_label", lambda self, number, label: None)


@bug("another commit than the granted one is sent", "I7", within=100)
def _(patch: pytest.MonkeyPatch) -> None:
    honest = Sources.pack

    def pack(self: Sources, source: Any, *, into: str) -> Any:
        return honest(self, replace(source, sha="6" * 40), into=into)

    patch.setattr(Sources, "pack", pack)


@bug("the record holds the command's environment", "I8", within=60)
def _(patch: pytest.MonkeyPatch) -> None:
    honest = run_remote._phases

    def phases(world: World, machine: Any, work: Any, *, record: RunRecord) -> None:
        record.target.run = f"{dict(work.environment)} {work.run}"
        honest(world, machine, work, record=record)

    patch.setattr(run_remote, "_phases", phases)


@bug("the log shows the command's environment", "I8", within=60)
def _(patch: pytest.MonkeyPatch) -> None:
    honest = follow._started

    def started(world: World, state: Any) -> None:
        phase: Phase = state.phase
        world.job.log(f"starting {phase}")
        honest(world, state)

    patch.setattr(follow, "_started", started)


@bug("the comment shows the command's environment", "I8", within=600)
def _(patch: pytest.MonkeyPatch) -> None:
    honest = publish._check

    def told(record: RunRecord, *, name: str) -> Check:
        return replace(honest(record, name=name), text="TOKEN=canary-3f9d2c")

    patch.setattr(publish, "_check", told)


@bug("nobody waits for GitHub's lists", "I4", "I5", "I6", within=3000)
def _(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Calls, "settle", lambda self: None)


@bug("the queue's reaper cancels what is in progress", "I-queue", within=600)
def _(patch: pytest.MonkeyPatch) -> None:
    honest = queued.judge

    def judge(jobs: Any, *, limit_s: float, now: float) -> Any:
        return honest([replace(job, status="queued") for job in jobs], limit_s=limit_s, now=now)

    patch.setattr(queued, "judge", judge)


@bug("the queue's reaper counts from the first attempt", "I-queue", within=1500)
def _(patch: pytest.MonkeyPatch) -> None:
    honest = GitHubRest.jobs

    def jobs(self: GitHubRest, run_id: int) -> Any:
        known = self._calls.get(f"/actions/runs/{run_id}", needs="actions: read")
        began_at = datetime.fromisoformat(known["created_at"]).timestamp()
        return [replace(job, created_at=min(job.created_at, began_at)) for job in honest(self, run_id)]

    patch.setattr(GitHubRest, "jobs", jobs)


@bug("the queue's reaper takes another workflow's runs", "I-queue", within=600)
def _(patch: pytest.MonkeyPatch) -> None:
    honest = GitHubRest.waiting_runs
    patch.setattr(
        GitHubRest, "waiting_runs", lambda self, workflow: [*honest(self, workflow), *honest(self, "deploy.yml")]
    )


@bug("the queue's reaper cancels its own run", "I-queue", within=600)
def _(patch: pytest.MonkeyPatch) -> None:
    honest = reap_queued.reap_queued

    def reap(world: World, context: Any, workflows: Any, **how: Any) -> Any:
        return honest(world, replace(context, run_id=1), workflows, **how)

    patch.setattr(reap_queued, "reap_queued", reap)


@bug("the queue's reaper forces what cleans up", "I-queue", within=1500)
def _(patch: pytest.MonkeyPatch) -> None:
    def force(world: World, github: Any, runs: Any, *, limit_s: float) -> None:
        for run in reap_queued._still_there(world, github, runs):
            github.cancel(run.id, force=True)

    patch.setattr(reap_queued, "_force", force)


@bug("the queue's reaper only cancels politely", "I-queue", within=600)
def _(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(reap_queued, "_force", lambda world, github, runs, *, limit_s: None)
