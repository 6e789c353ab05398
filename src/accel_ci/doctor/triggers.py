"""Rules about who starts a run, with which code and which secrets."""

from __future__ import annotations

import re

from accel_ci.doctor.rule import Found, rule
from accel_ci.doctor.workflow import Workflow

LABELS = re.compile(r"contains\(\s*github\.event\.(?:pull_request|issue)\.labels")
SECRET = re.compile(r"\$\{\{[^}]{0,300}\bsecrets\.(?!GITHUB_TOKEN\b)")
HEAD = re.compile(r"pull_request\.head\.|github\.head_ref|refs/pull/|workflow_run\.head_")
SPARES_FORKS = re.compile(r"\.fork\b|head\.repo\.|github\.event_name\b")
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
    # without accel-ci, at least: if: github.event.label.name == 'run-tpu-tests'
    """,
)
def any_label(workflow: Workflow) -> Found:
    """A gate on the pull request's labels in place of the event's own."""
    if not any("labeled" in tree.texts() for tree in workflow.events.values()):
        return
    for part in workflow.conditional:
        if LABELS.search(part.condition):
            yield (
                part.tree.get("if"),
                "any other label that is added later starts this again, with code that nobody looked at",
            )


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
            if not SPARES_FORKS.search(job.condition) and any(SECRET.search(text) for text in job.tree.texts()):
                yield job.tree, f"job `{job.name}` needs a secret, which a pull request from a fork does not have"


@rule(
    why="""`pull_request_target` and `workflow_run` have a token that writes, and the repository's secrets. Code of the
    pull request that is checked out beside them can take both: installing a package is enough. Send the commit to the
    machine, and never run it on the runner.""",
    mend="""
    # no checkout at all: run-remote sends the granted commit to the machine, where no credential is
    steps:
      - {uses: org/accel-ci/provision@v1, with: {grant: "${{ needs.gate.outputs.grant }}", accelerator: v6e-1}}
      - {uses: org/accel-ci/run-remote@v1, with: {run: "python -m pytest"}}
    """,
)
def strangers_code_with_secrets(workflow: Workflow) -> Found:
    """A checkout of the head where the token writes."""
    if workflow.events.keys().isdisjoint(("pull_request_target", "workflow_run", "issue_comment")):
        return
    for step in workflow.steps:
        given = step.tree.get("with")
        said = f"{given.get('ref').text} {given.get('repository').text}"
        fetched = [each for each in step.lines if HEAD.search(each.text) and re.search(r"\bgit\b|\bgh pr\b", each.text)]
        if step.uses.startswith("actions/checkout@") and HEAD.search(said):
            yield step.tree, "checks out a stranger's code beside a token that writes"
        for line in fetched:
            yield line, "fetches a stranger's code beside a token that writes"
