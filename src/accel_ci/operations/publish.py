"""Showing a finished run on GitHub: the check, the comment of the pull request, the issue of a branch."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from accel_ci.domain import check, errors
from accel_ci.domain.check import Check, Conclusion
from accel_ci.domain.record import RunRecord
from accel_ci.domain.verdict import Verdict
from accel_ci.ports.github import GitHub
from accel_ci.ports.world import World
from accel_ci.render import comment, issue, summary

Answer = TypeVar("Answer")
# What the cloud did is no bug of the branch: no issue is opened for it.
BAD = (Verdict.FAILED, Verdict.TIMED_OUT)
SHARED = "Several jobs wrote this check: give each a name of its own with the input `check`"


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """How a run is shown: under which check's name, in a matrix of how many, and whether failures open an issue.

    `sweeper` is the file name of the workflow that sweeps; "": nobody looks whether it runs.
    """

    check: str = check.NAME
    siblings: int = 1
    workflow: str = ""
    failure_issue: bool = True
    sweeper: str = ""


def publish(world: World, record: RunRecord, how: Publication) -> None:
    """Show what the token may show; what it may not is a warning, never a failure: the tests' verdict is not at stake."""
    github = world.github
    if github is None or not record.identity.event:
        return
    sections = [(how.check, comment.section(record))]
    if record.identity.sha:
        sections = _shown(world, "the check", lambda: _checked(github, record, how)) or sections
    number = record.identity.pull_request
    if number is not None:
        _shown(world, "the comment", lambda: _comment(world, github, record, how, sections=sections))
    elif how.failure_issue:
        _shown(world, "the issue", lambda: _issue(github, record, how))


def _shown(world: World, what: str, show: Callable[[], Answer]) -> Answer | None:
    try:
        return show()
    except (errors.CloudError, errors.ConfigurationError) as error:
        world.job.warning("report", f"{what} could not be written: {error}; {error.what_to_do}")
        return None


def concluded(github: GitHub, *, sha: str, run_id: int, attempt: int, name: str) -> bool:
    """True when a job of this attempt has ended the commit's check already, and every copy that a doubled request left."""
    mark = check.external_id(run_id, attempt)
    own = [each.conclusion for each in github.checks(sha, name) if each.external_id == mark]
    return bool(own) and None not in own


def _comment(
    world: World, github: GitHub, record: RunRecord, how: Publication, *, sections: Sequence[tuple[str, str]]
) -> None:
    """The pull request's one comment tells of its newest run: one that began earlier and ends later leaves it alone."""
    assert record.identity.pull_request is not None
    # Run ids grow with time: a re-run of an old one keeps its id, and is the older one still.
    newer = _newer(github, record, name=how.check)
    if newer:
        world.job.notice("report", f"the comment is left to run {newer}, which began later")
        return
    github.put_comment(record.identity.pull_request, f"report {how.check}", comment.comment(sections))


def _newer(github: GitHub, record: RunRecord, *, name: str) -> int | None:
    """The newest run that has our check on the pull request's newest commit, when it began after this one."""
    assert record.identity.pull_request is not None
    head = github.pull_request(record.identity.pull_request).head_sha
    runs = [run for each in github.checks(head, name) if (run := check.run_of(each)) is not None]
    return max((run for run in runs if run > record.identity.run_id), default=None)


def _checked(github: GitHub, record: RunRecord, how: Publication) -> list[tuple[str, str]]:
    """The sections of all jobs that tested this commit in this run, after this job's check has ended."""
    own = _check(record, name=check.instance_name(how.check, record.identity.instance))
    # Read at the last moment: jobs of a matrix end at the same time.
    own = _no_better(own, github.checks(own.sha, own.name))
    github.put_check(own)
    if own.name == how.check:
        return [(own.name, own.text)]
    return _with_siblings(github, record, how)


def _no_better(own: Check, known: Sequence[Check]) -> Check:
    """The check as it may be written. Of two jobs under one name the second's pass must not hide the first's failure."""
    others = [each.conclusion for each in known if each.external_id == own.external_id]
    worst = check.worst([own.conclusion, *filter(None, others)])
    if worst is own.conclusion:
        return own
    return replace(own, conclusion=worst, title=SHARED, text=f"> {SHARED}. The worst of them counts.\n\n{own.text}")


def _with_siblings(github: GitHub, record: RunRecord, how: Publication) -> list[tuple[str, str]]:
    """The same for a matrix. Whoever ends last sees all, and ends the check of the whole."""
    of_run = check.of_run(record.identity.run_id)
    parts = [
        each
        for each in github.checks(record.identity.sha)
        if each.external_id.startswith(of_run) and each.name.startswith(f"{how.check} (")
    ]
    # Every job writes the same text whatever order they end in.
    parts.sort(key=lambda each: each.name)
    whole = check.worst([each.conclusion for each in parts]) if len(parts) >= how.siblings else None
    if whole is not None:
        github.put_check(_of_whole(record, parts, name=how.check, conclusion=whole))
    return [(each.name, each.text) for each in parts]


def _of_whole(record: RunRecord, parts: Sequence[Check], *, name: str, conclusion: Conclusion) -> Check:
    good = sum(each.conclusion is Conclusion.SUCCESS for each in parts)
    return Check(
        sha=record.identity.sha,
        name=name,
        external_id=check.external_id(record.identity.run_id, record.identity.attempt),
        conclusion=conclusion,
        title=f"{good} of {len(parts)} jobs passed",
        summary="The check of each job tells more.",
        url=record.identity.url,
    )


def _check(record: RunRecord, *, name: str) -> Check:
    assert record.verdict is not None
    return Check(
        sha=record.identity.sha,
        name=name,
        external_id=check.external_id(record.identity.run_id, record.identity.attempt),
        conclusion=check.conclusion(record.verdict),
        title=comment.title(record),
        summary=summary.head(record),
        text=comment.section(record),
        url=record.identity.url,
    )


def _issue(github: GitHub, record: RunRecord, how: Publication) -> None:
    """One open issue per workflow, job, matrix instance and branch; only the code's own failures count."""
    marker, run = f"issue {_key(record, how)}", f"{record.identity.run_id}.{record.identity.attempt}"
    if record.verdict in BAD:
        name = check.instance_name(how.check, record.identity.instance)
        known = github.open_issue(marker, issue.title(record, name=name), issue.body(record))
        # An issue that this very run opened tells it all already.
        if issue.tag(record) not in known.body:
            github.put_comment(known.number, f"run {run}", comment.section(record))
    elif record.verdict is Verdict.PASSED:
        for known in github.issues(marker):
            github.put_comment(known.number, f"run {run}", issue.green(record))
            github.close_issue(known.number)


def _key(record: RunRecord, how: Publication) -> str:
    identity = record.identity
    parts = (how.check, how.workflow, identity.job, identity.instance, identity.slot, identity.ref)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
