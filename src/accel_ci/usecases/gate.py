"""gate: decide, before anything costs money, whether this commit may use an accelerator. Runs nothing of the commit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from accel_ci.domain import check, errors, grant, trigger
from accel_ci.domain.check import Check
from accel_ci.domain.context import Context
from accel_ci.domain.grant import Grant
from accel_ci.domain.trigger import Nothing, Policy, Pushed, Refusal, Request
from accel_ci.formats import markup
from accel_ci.ports.github import GitHub
from accel_ci.ports.world import World

MARKER = "gate"
EVENT = "pull_request_target"


def gate(
    world: World, context: Context, *, event: Mapping[str, Any], policy: Policy, check_name: str = check.NAME
) -> Grant | None:
    """The grant for the event's commit, its check pending; None when the event asks for nothing or is refused.

    Both are outputs. ConfigurationError when the event gives no grant and nobody set a label either.
    """
    if context.event == EVENT:
        given = _labelled(world, context, event=event, policy=policy)
    else:
        given = _direct(world, context, event=event, policy=policy)
    if given is None:
        world.job.output("allowed", "false")
        return None
    _open_check(world, context, given, name=check_name)
    for name, value in grant.outputs(given).items():
        world.job.output(name, value)
    world.job.log(f"granted: {given.sha} for {given.evidence} ({given.trust.value})")
    return given


def _direct(world: World, context: Context, *, event: Mapping[str, Any], policy: Policy) -> Grant | None:
    given = grant.of_event(context, branches=policy.branches, now=world.clock.now())
    head = event.get("head_commit")
    if isinstance(head, dict) and trigger.skipped(str(head.get("message", "")), policy):
        world.job.notice("gate", "the commit's message asks to be skipped: nothing is done")
        return None
    return given


def _labelled(world: World, context: Context, *, event: Mapping[str, Any], policy: Policy) -> Grant | None:
    match trigger.read(event, policy):
        case Nothing(why=why):
            world.job.log(f"nothing to do: {why}")
            return None
        case Pushed(number=number):
            github = _github(world)
            github.remove_label(number, policy.label)
            refusal = Refusal(
                why="new commits came after the label was set",
                what_to_do=f"look at the new commits and set the label `{policy.label}` again",
            )
            _refuse(world, github, number, refusal=refusal)
            return None
        case Request() as request:
            return _decided(world, context, request, policy=policy)


def _decided(world: World, context: Context, request: Request, *, policy: Policy) -> Grant | None:
    github = _github(world)
    pull = github.pull_request(request.number)
    role = github.role(request.actor)
    changed = github.changed_files(request.number)
    refusal = trigger.refused(request, policy, pull=pull, role=role, changed=changed)
    if refusal is not None or pull.fork or not policy.until_push:
        github.remove_label(request.number, policy.label)  # one label is one decision on one commit
    if refusal is not None:
        _refuse(world, github, request.number, refusal=refusal)
        return None
    return trigger.granted(context, request, pull=pull, role=role, label=policy.label, now=world.clock.now())


def _github(world: World) -> GitHub:
    if world.github is None:
        raise errors.ConfigurationError(
            "the gate cannot ask GitHub about the pull request: it has no token",
            what_to_do="give the step GITHUB_TOKEN: ${{ github.token }}",
        )
    return world.github


def _refuse(world: World, github: GitHub, number: int, *, refusal: Refusal) -> None:
    world.job.warning("not run", f"{refusal.why}; {refusal.what_to_do}")
    body = f"### ⛔ Not run on an accelerator\n\nBecause {refusal.why}. What to do: {refusal.what_to_do}.\n"
    try:
        github.put_comment(number, MARKER, body)
    except errors.AccessError as error:
        world.job.warning("gate", f"no comment on the pull request: {error}; {error.what_to_do}")


def _open_check(world: World, context: Context, given: Grant, *, name: str) -> None:
    """Pending on the granted commit, so that it can be a required check from its first second."""
    if world.github is None:
        return
    pending = Check(
        sha=given.sha,
        name=name,
        external_id=check.external_id(context.run_id, context.attempt),
        title="Waiting for an accelerator",
        summary=f"Allowed: {markup.markdown(given.evidence, 300)} ({given.trust.value}).",
        url=context.run_url,
    )
    try:
        world.github.put_check(pending)
    except errors.CloudError as error:
        world.job.warning("gate", f"no check on the commit: {error}; {error.what_to_do}")
