"""Rules about accel-ci's own actions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from accel_ci.doctor.rule import Found, rule
from accel_ci.doctor.workflow import Job, Step, Workflow
from accel_ci.domain.runkey import SHARED
from accel_ci.formats.yaml_tree import Tree

CHECK = "accel-ci"
# What the jobs of .github/workflows/test.yml ask for: GitHub starts no call that gives less.
CALLED = {
    "actions": "read",
    "checks": "write",
    "contents": "read",
    "id-token": "write",
    "issues": "write",
    "pull-requests": "write",
}


@rule(
    why="""Outside `schedule`, `push` and `workflow_dispatch` provision needs the gate's grant: who allowed which
    commit. Without it provision refuses, and nothing is tested.""",
    mend="""
    jobs:
      gate:
        runs-on: ubuntu-latest
        permissions: {checks: write, contents: read, pull-requests: write}
        outputs: {allowed: "${{ steps.gate.outputs.allowed }}", grant: "${{ steps.gate.outputs.grant }}"}
        steps: [{id: gate, uses: org/accel-ci/gate@v1}]
      tpu:
        needs: gate
        if: needs.gate.outputs.allowed == 'true'
        runs-on: ubuntu-latest
        permissions: {checks: write, contents: read, id-token: write, pull-requests: write}
        steps:
          - {uses: org/accel-ci/provision@v1, with: {grant: "${{ needs.gate.outputs.grant }}", accelerator: v6e-1}}
    """,
)
def provision_without_gate(workflow: Workflow) -> Found:
    """`provision` for pull requests without a grant."""
    if not workflow.for_pull_requests and "issue_comment" not in workflow.events:
        return
    for step in workflow.steps:
        if step.ours == "provision" and ".outputs.grant" not in step.tree.get("with", "grant").text:
            yield step.tree, "a pull request's machine needs the gate's grant, and none is given"


@rule(
    why="""Nothing but a step after it gives the machine back in time: without one it lives, and costs money, until its
    lease ends.""",
    mend="""
    steps:
      - {uses: org/accel-ci/provision@v1, with: {accelerator: v6e-1}}
      - {uses: org/accel-ci/run-remote@v1, with: {run: "python -m pytest"}}
      - {if: always(), uses: org/accel-ci/cleanup@v1}
    """,
)
def provision_without_cleanup(workflow: Workflow) -> Found:
    """`provision` in a job without a `cleanup` step behind it."""
    for job in workflow.jobs:
        # What all jobs of the run share, a job after them ends: see no-second-defence.
        steps = [step.ours for step in job.steps if not step.tree.get("with", "slot").text.startswith(SHARED)]
        if "provision" in steps and "cleanup" not in steps[steps.index("provision") :]:
            yield job.steps[steps.index("provision")].tree, "no step of this job gives the machine back"


@rule(
    why="""The gate opens a check under its name, and report ends the check of the name that it is given. Where the two
    differ the gate's check stays pending for ever, and a pull request that requires it can never be merged.""",
    mend="""
    steps:
      - {uses: org/accel-ci/gate@v1, with: {check: accel-ci}}
      # ... and in the testing job
      - {if: always(), uses: org/accel-ci/report@v1, with: {check: accel-ci}}
    """,
)
def check_names_differ(workflow: Workflow) -> Found:
    """A `report` that ends a check which no gate of the workflow opened."""
    opened = {step.tree.get("with", "check").text or CHECK for step in workflow.steps if step.ours == "gate"}
    for step in workflow.steps:
        name = step.tree.get("with", "check").text or CHECK
        if opened and step.ours == "report" and name not in opened:
            yield (
                step.tree,
                f"ends the check `{name}`; the gate opened {', '.join(f'`{each}`' for each in sorted(opened))}",
            )


@rule(
    why="""After a failed test every step without `if: always()` is left out: then the comment, the check and the files
    are missing just where there is something to read.""",
    mend="""
    steps:
      - {if: always(), uses: org/accel-ci/collect@v1, with: {paths: "results/**"}}
      - {if: always(), uses: org/accel-ci/cleanup@v1}
      - {if: always(), uses: org/accel-ci/report@v1}
    """,
)
def report_not_always(workflow: Workflow) -> Found:
    """`collect` or `report` behind a step that may fail, without `always()`."""
    for job in workflow.jobs:
        for number, step in enumerate(job.steps):
            if step.ours in ("collect", "report") and number and not step.always:
                yield step.tree, f"`{step.ours}` is left out when a test fails"


@rule(
    why="""A job that lists permissions has those and no others. Without the ones that an action asks for there is no
    check to require, no comment, or no sign-in; a called workflow that is given less than its jobs ask for does not
    even start. docs/permissions.md says what each is for.""",
    mend="""
    jobs:
      gate:
        permissions: {checks: write, contents: read, pull-requests: write}
      tpu:
        permissions: {actions: read, checks: write, contents: read, id-token: write, issues: write, pull-requests: write}
      cleanup:
        permissions: {id-token: write}
    """,
)
def permission_not_given(workflow: Workflow) -> Found:
    """A job with permissions, among which one of our actions misses some."""
    for job in workflow.jobs:
        given = next(
            (each.get("permissions") for each in (job.tree, workflow.tree) if "permissions" in each.members), None
        )
        if given is None:
            continue  # another rule's
        for who, wanted in _asking(workflow, job):
            lacking = [f"{name}: {level}" for name, level in wanted.items() if not _has(given, name, level)]
            if lacking:
                place = job.tree.members.get("permissions") or job.tree
                yield place, f"job `{job.name}` lacks `{', '.join(lacking)}`, which {who} asks for"


def _has(given: Tree, name: str, level: str) -> bool:
    found = given.text.removesuffix("-all") or given.get(name).text
    return found == "write" or found == level


def _asking(workflow: Workflow, job: Job) -> Iterator[tuple[str, Mapping[str, str]]]:
    if job.calls_us:
        yield "the called workflow", CALLED
    for step in job.steps:
        wanted = _wanted(step, pull_requests=workflow.for_pull_requests or "issue_comment" in workflow.events)
        if wanted:
            yield f"`{step.ours}`", wanted


def _wanted(step: Step, *, pull_requests: bool) -> Mapping[str, str]:
    given, wanted = step.tree.get("with"), dict[str, str]()
    if step.ours in ("gate", "report", "run", "container"):
        wanted["checks"] = "write"
        wanted |= {"pull-requests": "write"} if pull_requests else {}
    if step.ours == "gate" and pull_requests:
        wanted["contents"] = "read"
    if given.get("max-running").text not in ("", "0"):
        wanted["actions"] = "read"
    if given.get("workload-identity-provider").text:
        wanted["id-token"] = "write"
    return wanted
