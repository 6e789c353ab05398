"""gate: decide, before anything costs money, whether this commit may use an accelerator. Runs nothing of the commit."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from accel_ci.domain import check, errors, evidence, grant, slash, trigger
from accel_ci.domain.check import Check, Conclusion
from accel_ci.domain.context import Context
from accel_ci.domain.grant import Grant
from accel_ci.domain.pullrequest import PullRequest, Push, Reaction
from accel_ci.domain.slash import Command
from accel_ci.domain.trigger import Nothing, Policy, Pushed, Refusal, Request
from accel_ci.formats import markup
from accel_ci.operations import budget
from accel_ci.ports.github import GitHub
from accel_ci.ports.world import World

MARKER = "gate"
NOT_RUN = "Not run on an accelerator"
LABELS = "pull_request_target"
COMMENTS = "issue_comment"
APPROVERS = 10  # anybody may approve a public repository's pull request, and each one's role costs a call


def gate(
    world: World, context: Context, *, event: Mapping[str, Any], policy: Policy, check_name: str = check.NAME
) -> Grant | None:
    """The grant for the event's commit, its check pending; None when the event asks for nothing or is refused.

    Both are outputs. ConfigurationError when the event gives no grant and nobody asked for one either.
    """
    if context.event == LABELS:
        given = _labelled(world, context, event=event, policy=policy, check_name=check_name)
    elif context.event == COMMENTS:
        given = _commented(world, context, event=event, policy=policy, check_name=check_name)
    else:
        given = _direct(world, context, event=event, policy=policy, check_name=check_name)
    if given is None:
        world.job.output("allowed", "false")
        return None
    _open_check(world, context, given, name=check_name)
    for name, value in grant.outputs(given).items():
        world.job.output(name, value)
    world.job.log(f"granted: {given.sha} for {given.evidence} ({given.trust.value})")
    return given


def _direct(
    world: World, context: Context, *, event: Mapping[str, Any], policy: Policy, check_name: str
) -> Grant | None:
    branch = trigger.queue_of(event)
    given = grant.of_event(context, branches=policy.branches, now=world.clock.now(), branch=branch)
    head = event.get("head_commit")
    if isinstance(head, dict) and trigger.skipped(str(head.get("message", "")), policy):
        world.job.notice("gate", "the commit's message asks to be skipped: nothing is done")
        return None
    if world.github is not None and budget.limited(policy):
        try:
            book = budget.opened(world.github, context, check_name=check_name, now=world.clock.now())
            book.write(f"{context.event} by {context.actor}")
        except (errors.CloudError, errors.ConfigurationError) as error:
            # Nobody asked for this run whom a refusal could tell what to do: it is not counted, and goes on.
            world.job.warning("gate", f"this run is not counted: {error}; {error.what_to_do}")
    return given


def _labelled(
    world: World, context: Context, *, event: Mapping[str, Any], policy: Policy, check_name: str
) -> Grant | None:
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
            return _decided(world, context, request, policy=policy, check_name=check_name)


def _commented(
    world: World, context: Context, *, event: Mapping[str, Any], policy: Policy, check_name: str
) -> Grant | None:
    said = slash.read(event)
    if isinstance(said, Nothing):
        world.job.log(f"nothing to do: {said.why}")
        return None
    try:
        if isinstance(said, Request):
            return _decided(world, context, said, policy=policy, check_name=check_name)
        _obey(world, context, said, check_name=check_name)
    except errors.AccelError:
        # The run that a comment starts is shown nowhere on the pull request: whoever asked would wait for ever.
        if world.github is not None and said.comment is not None:
            _react(world, world.github, said.comment, Reaction.FAILED)
        raise
    return None


def _decided(world: World, context: Context, request: Request, *, policy: Policy, check_name: str) -> Grant | None:
    github = _github(world)
    pull = github.pull_request(request.number)
    role = github.role(request.actor)
    changed = github.changed_files(request.number)
    # All is asked anew: the event tells how things were when somebody clicked.
    refusal = trigger.refused(request, policy, pull=pull, role=role, changed=changed)
    shown = "" if refusal else _shown(world, github, request, pull=pull, policy=policy, check_name=check_name)
    if not refusal and not shown:
        refusal = evidence.lacking(pull, policy)
    if not refusal:  # the last question: what it allows is counted
        refusal = budget.exceeded(github, context, request, policy=policy, check_name=check_name, now=world.clock.now())
    if request.comment is None and (refusal or pull.fork or not policy.until_push):
        github.remove_label(request.number, policy.label)  # one label is one decision on one commit
    if request.comment is not None:
        _react(world, github, request.comment, Reaction.REFUSED if refusal else Reaction.DONE)
    if refusal is not None:
        _refuse(world, github, request.number, refusal=refusal)
        return None
    _take_back(world, github, request.number)
    told = evidence.asked(request, policy, role=role.value, shown=shown)
    pinned = replace(pull, base_sha=_base(world, github, pull))
    return trigger.granted(context, request, pull=pinned, evidence=told, now=world.clock.now())


def _base(world: World, github: GitHub, pull: PullRequest) -> str:
    """The newest commit of the base branch: what a merge test merges into, in every attempt of the run."""
    try:
        push = github.last_push(pull.base_ref)
    except errors.CloudError as error:
        world.job.log(f"the base is that of the pull request's last push: {error}")
        push = None
    # GitHub's own `base.sha` stays what the base was when the pull request was last pushed to.
    return push.sha if push is not None and re.fullmatch(grant.SHA, push.sha) else pull.base_sha


def _shown(
    world: World, github: GitHub, request: Request, *, pull: PullRequest, policy: Policy, check_name: str
) -> str:
    """What shows that the commit was looked at, the cheapest question first; "" when nothing does."""
    if request.named:
        return f"{request.actor} named the commit"
    # Only our own app's check counts, and it was put there by an earlier grant for this very commit.
    if any(check.run_of(each) for each in github.checks(pull.head_sha, check_name)):
        return "it was granted before"
    # `rerun` is good for what ran before, and for nothing new.
    if request.rerun:
        return ""
    if not pull.fork:
        push = _last_push(world, github, pull.head_ref)
        told = evidence.of_push(request, push, head=pull.head_sha, quiet_s=policy.quiet_s)
        if told:
            return told
    for who in github.approvers(request.number, pull.head_sha)[:APPROVERS]:
        # Anybody may approve a public repository's pull request; only who could push it vouches for it.
        if github.role(who).may_write:
            return f"{who} approved the commit"
    return ""


def _last_push(world: World, github: GitHub, branch: str) -> Push | None:
    try:
        return github.last_push(branch)
    except errors.AccessError as error:
        world.job.warning("gate", f"nobody tells when the commit came: {error}; {error.what_to_do}")
        return None


def _obey(world: World, context: Context, command: Command, *, check_name: str) -> None:
    github = _github(world)
    if not command.person or not github.role(command.actor).may_write:
        _react(world, github, command.comment, Reaction.REFUSED)
        refusal = Refusal(why=trigger.MAY_NOT, what_to_do="ask a maintainer, who may give this command")
        _refuse(world, github, command.number, refusal=refusal, what="Not done")
    elif command.verb == "cancel":
        _cancel(world, context, github, command, check_name=check_name)
    else:
        title = "Commands" if command.verb else "Not understood"
        github.put_comment(command.number, MARKER, f"### {title}\n\n{slash.usage()}\n")
        _react(world, github, command.comment, Reaction.SEEN if command.verb else Reaction.REFUSED)


def _cancel(world: World, context: Context, github: GitHub, command: Command, *, check_name: str) -> None:
    known = github.checks(github.pull_request(command.number).head_sha, check_name)
    pending = {check.run_of(each) for each in known if each.conclusion is None}
    runs = sorted(run_id for run_id in pending if run_id and run_id != context.run_id)
    refusal = _cannot_end(github, runs)
    if refusal is None:
        world.job.notice("gate", f"asked to end: {', '.join(map(str, runs))}")
    else:
        _refuse(world, github, command.number, refusal=refusal, what="Nothing was cancelled")
    _react(world, github, command.comment, Reaction.REFUSED if refusal else Reaction.DONE)


def _cannot_end(github: GitHub, runs: Sequence[int]) -> Refusal | None:
    """None once all of these runs are asked to end."""
    if not runs:
        return Refusal(why="no run of the newest commit is going on", what_to_do="nothing")
    try:
        for run_id in runs:
            # Politely: a forced end would skip the steps that end the machine.
            github.cancel(run_id)
    except errors.AccessError as error:
        return Refusal(why="the gate may not end runs", what_to_do=error.what_to_do)
    return None


def _react(world: World, github: GitHub, comment: int, reaction: Reaction) -> None:
    try:
        github.react(comment, reaction)
    except (errors.CloudError, errors.ConfigurationError) as error:  # a comment may be deleted in the meantime
        world.job.warning("gate", f"no reaction to the comment: {error}; {error.what_to_do}")


def _github(world: World) -> GitHub:
    if world.github is None:
        raise errors.ConfigurationError(
            "the gate cannot ask GitHub about the pull request: it has no token",
            what_to_do="give the step GITHUB_TOKEN: ${{ github.token }}",
        )
    return world.github


def _refuse(world: World, github: GitHub, number: int, *, refusal: Refusal, what: str = NOT_RUN) -> None:
    world.job.warning(what.lower(), f"{refusal.why}; {refusal.what_to_do}")
    body = f"### ⛔ {what}\n\nBecause {refusal.why}. What to do: {refusal.what_to_do}.\n"
    try:
        github.put_comment(number, MARKER, body)
    except (errors.AccessError, errors.ConfigurationError) as error:
        world.job.warning("gate", f"no comment on the pull request: {error}; {error.what_to_do}")


def _take_back(world: World, github: GitHub, number: int) -> None:
    """An earlier refusal, which is no longer true, would stay above the run's report."""
    try:
        github.remove_comment(number, MARKER)
    except errors.CloudError as error:
        world.job.warning("gate", f"an earlier refusal stays on the pull request: {error}; {error.what_to_do}")


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
        if not _spoiled(world, world.github, pending, matrix=context.siblings > 1):
            world.github.put_check(pending)
    except errors.CloudError as error:
        world.job.warning("gate", f"no check on the commit: {error}; {error.what_to_do}")


def _spoiled(world: World, github: GitHub, pending: Check, *, matrix: bool) -> bool:
    """True when a step or job of this attempt has ended this very check badly: pending again, its failure would be lost."""
    known = [each for each in github.checks(pending.sha, pending.name) if each.external_id == pending.external_id]
    if known and not matrix:  # a matrix has one check for all, with each job's own beside it
        world.job.warning(
            "gate",
            f"another step or job of this run has the check `{pending.name}` too: the worst of them counts;"
            " give each a `check` of its own",
        )
    return any(each.conclusion not in (None, Conclusion.SUCCESS) for each in known)
