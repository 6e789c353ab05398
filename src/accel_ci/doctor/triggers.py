"""Rules about who starts a run, with which code and which secrets."""

from __future__ import annotations

import re
from collections.abc import Iterator

from accel_ci.doctor.rule import Found, rule
from accel_ci.doctor.workflow import LONGEST, Job, Line, Step, Workflow
from accel_ci.formats.yaml_tree import Tree

LABELS = re.compile(r"github\.event\.(?:pull_request|issue)\.labels\b")
# Uploads of coverage need no token where a fork has none.
SECRET = re.compile(r"\$\{\{[^}]{0,300}\bsecrets\.(?!(?:GITHUB_TOKEN|CODECOV_TOKEN)\b)")
HEAD = re.compile(
    r"pull_request\.(?:head\.|merge_commit_sha)|github\.head_ref|\bpull/.{1,100}?/(?:head|merge)\b|workflow_run\.head_"
)
# Whoever listens to comments has to ask for the pull request's commit first.
ASKED_FOR = re.compile(r"\b(?:steps|needs)\.[\w-]+\.outputs\.")
TAKES = re.compile(r"\bgit\b.{0,100}?\s(?:fetch|checkout|switch|merge|pull|clone|reset|worktree)(?![\w-])")
CHECKS_OUT = re.compile(r"\bgh pr checkout\b")
SPARES_FORKS = re.compile(r"\.fork\b|head\.repo\.|github\.event_name\b|github\.ref(?:_name)?\b")
ASKS_WHO = re.compile(
    r"author_association|permission(?!s\b)|membership|github\.(?:triggering_)?actor\b|\.login\b", re.IGNORECASE
)
LONGEST_VALUE = 300  # of a variable that stands in a script
ONE_LABEL = re.compile(r"github\.event\.(?:label\.name|pull_request\.labels)")


@rule(
    why="""The condition asks whether the pull request *has* the label, and GitHub starts the workflow for *every*
    label. A bot that adds `size/L` starts the run again, on whatever was pushed since a maintainer looked. Ask for the
    label of the event; better, let the gate decide, which also checks who set it and that the commit is still the same.""",
    mend="""
    on:
      pull_request_target: {types: [labeled]}
    jobs:
      gate:
        runs-on: ubuntu-latest
        permissions: {checks: write, contents: read, pull-requests: write}
        outputs: {allowed: "${{ steps.gate.outputs.allowed }}", grant: "${{ steps.gate.outputs.grant }}"}
        steps:
          - {id: gate, uses: org/accel-ci/gate@v1, with: {label: run-tpu-tests}}
    # and the job that tests has: needs: gate, if: needs.gate.outputs.allowed == 'true'
    # without accel-ci, at least: if: github.event.label.name == 'run-tpu-tests'
    """,
)
def any_label(workflow: Workflow) -> Found:
    """A gate on the pull request's labels in place of the event's own."""
    labelled = any("labeled" in tree.texts() for tree in workflow.events.values())
    # Without `types` it is pushes that start it, and the label of last week still stands.
    pushed = "pull_request_target" in workflow.events and not labelled
    if not labelled and not pushed:
        return
    what = "push" if pushed else "label that is added"
    for part in workflow.conditional:
        if LABELS.search(part.condition) and "github.event.label.name" not in part.condition:
            yield part.tree.get("if"), f"any other {what} later starts this again, with code that nobody looked at"


@rule(
    why="""GitHub counts a skipped job as passed. When this job is a required check, a pull request can be merged
    without the tests ever having run. Require a check that is pending until the tests have ended, such as the one that
    the gate opens.""",
    mend="""
    # in the branch's rules require the check `accel-ci`, which gate opens and report ends, not this job
    steps:
      - {id: gate, uses: org/accel-ci/gate@v1, with: {label: run-tpu-tests, check: accel-ci}}
    """,
)
def skipped_is_green(workflow: Workflow) -> Found:
    """A pull request's job that a label's absence skips, where no check of ours tells that nothing ran."""
    if workflow.gated or not workflow.for_pull_requests:
        return
    for job in workflow.jobs:
        if ONE_LABEL.search(job.condition):
            yield (
                job.tree.get("if"),
                f"job `{job.name}` is skipped without the label, and a skipped job satisfies a required check",
            )


@rule(
    why="""A fork's pull request has no secrets on `pull_request`, so whatever needs one fails there, and the
    contributor can do nothing about it. Let a maintainer's label start the run on `pull_request_target`, where nothing
    of the pull request is checked out.""",
    mend="""
    on:
      pull_request_target: {types: [labeled]}
    permissions: {}
    jobs:
      tpu:
        permissions: {actions: read, checks: write, contents: read, id-token: write, issues: write, pull-requests: write}
        uses: org/accel-ci/.github/workflows/test.yml@v1
        with: {accelerator: v6e-1, run: "python -m pytest"}
    """,
)
def no_secrets_for_forks(workflow: Workflow) -> Found:
    """A secret in a job that pull requests from forks start too."""
    if "pull_request" in workflow.events:
        for job in workflow.jobs:
            if not SPARES_FORKS.search(job.condition) and any(SECRET.search(text) for text in _needed(job)):
                yield job.tree, f"job `{job.name}` needs a secret, which a pull request from a fork does not have"


def _needed(job: Job) -> Iterator[str]:
    """The job's texts without the steps that a fork's pull request leaves out, or that may fail."""
    spared = {
        id(step.tree)
        for step in job.steps
        if SPARES_FORKS.search(step.condition) or step.tree.get("continue-on-error").text == "true"
    }
    for name, part in job.tree.members.items():
        for each in part.items if name == "steps" else (part,):
            if id(each) not in spared:
                yield from each.texts()


@rule(
    why="""On a public repository everybody may comment, and the words of a comment are no right. Whoever finds the
    command in this file can start the run, as often as they like. `gate` asks GitHub for the role of whoever commented,
    and takes the whole commit that they name for the one that they looked at.""",
    mend="""
    on:
      issue_comment: {types: [created]}
    jobs:
      gate: # answers /accel-ci run, rerun, cancel and help to people who may write
        runs-on: ubuntu-latest
        permissions: {actions: write, checks: write, contents: read, pull-requests: write}
        outputs: {allowed: "${{ steps.gate.outputs.allowed }}", grant: "${{ steps.gate.outputs.grant }}"}
        steps: [{id: gate, uses: org/accel-ci/gate@v1}]
    # and the job that tests has: needs: gate, if: needs.gate.outputs.allowed == 'true'
    """,
)
def anybody_may_comment(workflow: Workflow) -> Found:
    """A command in a comment, in a workflow that asks nobody for their rights."""
    if "issue_comment" not in workflow.events or workflow.gated:
        return
    if any(ASKS_WHO.search(text) for job in workflow.jobs for text in job.tree.texts()):
        return
    for job in workflow.jobs:
        if any("comment.body" in text for text in job.tree.texts()):
            yield job.tree.get("if") or job.tree, f"anybody who may comment starts job `{job.name}`"


@rule(
    why="""`pull_request_target`, `workflow_run` and `issue_comment` have a token that writes, and the repository's
    secrets, and wait for nobody's approval before they use a machine of yours. Code of the pull request that is checked
    out there can take it all: installing a package is enough. Send the commit to a machine that holds nothing, and
    never run it on the runner.""",
    mend="""
    # no checkout at all: run-remote sends the granted commit to the machine, where no credential is
    steps:
      - {uses: org/accel-ci/provision@v1, with: {grant: "${{ needs.gate.outputs.grant }}", accelerator: v6e-1}}
      - {uses: org/accel-ci/run-remote@v1, with: {run: "python -m pytest"}}
    """,
)
def strangers_code_with_secrets(workflow: Workflow) -> Found:
    """A checkout of the head beside a token that writes, a secret, or a machine of yours."""
    if workflow.events.keys().isdisjoint(("pull_request_target", "workflow_run", "issue_comment")):
        return
    for job in workflow.jobs:
        beside = _beside(workflow, job)
        for step in job.steps if beside else ():
            place = _taken(workflow, job, step)
            if place:
                yield place, f"takes a stranger's code {beside}"


def _beside(workflow: Workflow, job: Job) -> str:
    """What a stranger's code could take; "" for a runner of GitHub's with a token that only reads, as any fork has."""
    allowed = next(
        (each.get("permissions") for each in (job.tree, workflow.tree) if "permissions" in each.members), None
    )
    # Nothing said means what the settings give: in older repositories, everything.
    if allowed is None or any("write" in text for text in allowed.texts()):
        return "beside a token that writes"
    if any(SECRET.search(text) for place in (workflow.tree.get("env"), job.tree) for text in place.texts()):
        return "beside a secret"
    # GitHub runs a fork's `pull_request` just so; on machines of yours it would ask first.
    return "" if job.hosted else "to a machine of yours, and asks nobody"


def _taken(workflow: Workflow, job: Job, step: Step) -> Tree | Line | None:
    given = step.tree.get("with")
    said = f"{given.get('ref').text} {given.get('repository').text}"
    asked = "issue_comment" in workflow.events and ASKED_FOR.search(said)
    if step.uses.startswith("actions/checkout@") and (HEAD.search(said) or asked):
        return step.tree
    env = {
        name: value.text[:LONGEST_VALUE]
        for place in (workflow.tree, job.tree, step.tree)
        for name, value in place.get("env").members.items()
    }
    for line in step.lines:
        # What a careful script takes from the environment is the event's all the same.
        meant = re.sub(r"\$\{?(\w+)\}?", lambda found: env.get(found[1], found[0]), line.text)[: 2 * LONGEST]
        if CHECKS_OUT.search(meant) or (TAKES.search(meant) and HEAD.search(meant)):
            return line
    return None
