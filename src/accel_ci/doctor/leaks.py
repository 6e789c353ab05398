"""Rules about machines that nobody ends."""

from __future__ import annotations

import re

from accel_ci.doctor.rule import Found, rule
from accel_ci.doctor.workflow import CREATES, DELETES, STARTER, Job, Workflow

# `echo` says something and ends with 0 all the same.
HIDDEN = re.compile(r"\|\|\s*(?:true\b|:|exit 0\b|echo\b)|;\s*true\b|2>\s*/dev/null\s*$")
RUN, ATTEMPT = re.compile(r"github\.run_id|GITHUB_RUN_ID"), re.compile(r"github\.run_attempt|GITHUB_RUN_ATTEMPT")
CLASH = "a second attempt of the run meets the first one's machine of the same name"
# Outputs of steps are there as long as the job is; only those of other jobs get lost.
FROM_JOBS = re.compile(r"\bneeds\.[\w-]+\.outputs\.")
CLEANUP_JOB = """
    jobs:
      cleanup: # a runner of its own: the first may be gone, with everything on it
        needs: [gate, tpu]
        if: always() && needs.gate.outputs.allowed == 'true'
        runs-on: ubuntu-latest
        permissions: {id-token: write}
        steps: [{uses: org/accel-ci/cleanup@v1, with: {for: tpu}}]
    """


@rule(
    why="""A delete that failed ends green, and the machine goes on costing money until somebody reads the bill.
    Deleting what is gone already is no error to accel-ci; whatever else goes wrong is told, with the command to run by
    hand.""",
    mend="""
    steps:
      - if: always()
        uses: org/accel-ci/cleanup@v1
    """,
)
def hidden_failure_of_delete(workflow: Workflow) -> Found:
    """`|| true` behind a command that ends a machine."""
    for step in workflow.steps:
        for line in step.lines:
            if DELETES.search(line.text) and HIDDEN.search(line.text):
                yield line, "a delete that fails is hidden, and the machine stays"
        if step.deletes and step.tree.get("continue-on-error").text == "true":
            yield step.tree.get("continue-on-error"), "a delete that fails is hidden, and the machine stays"


@rule(
    why="""Without `if: always()` the step is left out as soon as one before it failed or the run was cancelled: just
    when a machine is likely to be left.""",
    mend="""
    steps:
      - if: always()
        uses: org/accel-ci/cleanup@v1
    """,
)
def cleanup_not_always(workflow: Workflow) -> Found:
    """A step or job that ends machines and does not always run."""
    leasing = {job.name for job in workflow.jobs if job.leases}
    for job in workflow.jobs:
        after_another = not job.leases and not leasing.isdisjoint(job.needs)
        for number, step in enumerate(job.steps):
            ends = step.deletes or (step.ours == "cleanup" and step.tree.get("with", "mode").text != "sweep")
            begun = any(each.leases for each in job.steps[:number])
            left_out = begun or (after_another and not job.always)
            if ends and left_out and not step.always and not step.creates:
                yield step.tree, "is left out when a step before it fails or the run is cancelled"


@rule(
    why="""Steps run on a runner, and a runner can be lost, or killed five minutes after a cancel. Then no step of the
    job runs any more, `always()` or not. A job of its own, on another runner, ends what is left; a sweeper on a
    schedule ends what even that missed.""",
    mend=CLEANUP_JOB,
)
def no_second_defence(workflow: Workflow) -> Found:
    """A job that leases a machine, and no other job that ends it."""
    for job in workflow.jobs:
        if job.leases and not any(_ends(other, job) for other in workflow.jobs) and not _journey_only(job):
            yield job.tree, f"when the runner of job `{job.name}` is lost, nothing ends its machine"


def _ends(other: Job, job: Job) -> bool:
    # A job that does not wait for this one ends its machine too early, or none.
    after = other.name != job.name and job.name in other.needs and other.always
    return after and any(step.deletes or step.ours == "cleanup" for step in other.steps)


# The whole journey in one step has a post step, a lease and the sweeper; a cleanup job is advice in its docs.
def _journey_only(job: Job) -> bool:
    return all(step.ours in ("run", "container") for step in job.steps if step.ours or step.creates)


@rule(
    why="""Outputs of a job that was cancelled are empty, and GitHub drops an output that holds anything masked. Then
    the job that stops the machine does not know which. A name that can be computed from the run needs no output; that
    is how `cleanup` finds its machines.""",
    mend=CLEANUP_JOB,
)
def machine_known_by_output(workflow: Workflow) -> Found:
    """A machine's id that reaches the job which ends it through job outputs."""
    for job in workflow.jobs:
        for step in job.steps:
            given = " ".join(
                [*step.tree.get("env").texts(), *step.tree.get("with").texts(), *job.tree.get("env").texts()]
            )
            if STARTER.fullmatch(step.uses) and step.deletes and FROM_JOBS.search(given):
                yield step.tree, "the machine is known by a job's output, which is empty when that job was cancelled"
            for line in step.lines:
                if DELETES.search(line.text) and FROM_JOBS.search(f"{line.text} {given}"):
                    yield line, "the machine is known by a job's output, which is empty when that job was cancelled"


@rule(
    why="""`run_id` stays the same when somebody presses "Re-run": the second attempt meets the first one's machine, or
    its name while it is being deleted. accel-ci names machines after run, attempt, job and matrix instance.""",
    mend="""
    env:
      NAME: ci-${{ github.run_id }}-${{ github.run_attempt }}
    """,
)
def name_clash_on_rerun(workflow: Workflow) -> Found:
    """A machine's name with the run's id and without the attempt."""
    if not any(step.creates for step in workflow.steps):
        return
    for line in (line for step in workflow.steps for line in step.lines if CREATES.search(line.text)):
        if RUN.search(line.text) and not ATTEMPT.search(line.text):
            yield line, CLASH
    places = [workflow.tree, *(job.tree for job in workflow.jobs), *(step.tree for step in workflow.steps)]
    for each in (member for place in places for member in place.get("env").members.values()):
        if RUN.search(each.text) and not ATTEMPT.search(each.text):
            yield each, CLASH


@rule(
    why="""One zone is full, or the quota is used, more often than not, and a spot machine can be taken back in the
    middle. A run that says "failed" then makes people look for a bug that is not there. accel-ci tries the zones in
    turn and tells the cloud's failures from the tests'.""",
    mend="""
    steps:
      - uses: org/accel-ci/provision@v1
        with: {accelerator: v6e-1, zones: "us-central1-b, us-east5-b", spot: true}
    """,
)
def one_zone_one_try(workflow: Workflow) -> Found:
    """A create command outside of a loop."""
    for step in workflow.steps:
        for line in step.lines:
            # In a loop another zone is tried, or the same one later.
            if CREATES.search(line.text) and not line.looped:
                yield line, "one try in one zone: no capacity, or a machine taken back, looks like failed tests"


@rule(
    why="""A machine is ready when it answers, which takes ten seconds or ten minutes. A fixed pause is too long for one
    and too short for the other; then ssh fails, and the tests look broken.""",
    mend="""
    steps:
      - uses: org/accel-ci/provision@v1
        with: {accelerator: v6e-1, boot-timeout: 10m} # waits until every worker answers
    """,
)
def sleep_for_readiness(workflow: Workflow) -> Found:
    """`sleep` after a create, outside of a loop that looks."""
    for job in workflow.jobs:
        created = False
        for line in (line for step in job.steps for line in step.lines):
            created = created or bool(CREATES.search(line.text))
            if created and not line.looped and re.match(r"sleep\s+[0-9]", line.text):
                yield line, "a fixed pause in place of looking whether the machine answers"
