"""Rules about rights, keys, limits and the code of others."""

from __future__ import annotations

import re

from accel_ci.doctor.rule import Found, rule
from accel_ci.doctor.workflow import Workflow

PINNED = re.compile(r"[^@]+@(?:[0-9a-f]{40}|[0-9a-f]{64}|sha256:[0-9a-f]{64})")
LOCAL = re.compile(r"(?:\.{1,2}|\$)/")
LASTS = "a key that works from anywhere and does not expire"
KEY = re.compile(r"\$\{\{[^}]{0,300}\bsecrets\.", re.IGNORECASE)
KEY_VARIABLES = re.compile(
    r"AWS_SECRET_ACCESS_KEY|AZURE_CREDENTIALS|GOOGLE_CREDENTIALS|GOOGLE_APPLICATION_CREDENTIALS\w*|G(?:CP|CLOUD)_\w*KEY\w*"
)
# What the sign-in actions of the clouds call it.
KEY_INPUTS = ("credentials_json", "service_account_key", "aws-secret-access-key", "creds")


@rule(
    why="""Without `permissions` a job has whatever the repository's settings give, often a token that may write
    everything. Code that gets at the token, through an action or an install script, then may too.""",
    mend="""
    permissions: {} # nothing, and each job says what it needs
    jobs:
      tpu:
        permissions: {contents: read}
    """,
)
def missing_permissions(workflow: Workflow) -> Found:
    """A job without `permissions` in a workflow without them."""
    if "permissions" not in workflow.tree.members:
        for job in workflow.jobs:
            if "permissions" not in job.tree.members:
                yield job.tree, f"job `{job.name}` has all permissions that the repository's settings give"


@rule(
    why="""A tag or a branch can be moved to other code, and has been: everybody who used it ran it the same hour. The
    commit cannot. Keep the release in a comment, so that Dependabot and people can read it. accel-ci's own actions may
    be used by their version.""",
    mend="""
    steps:
      - uses: actions/checkout@df4cb1c069e1874edd31b4311f1884172cec0e10 # v6.0.3
    """,
)
def unpinned_action(workflow: Workflow) -> Found:
    """Somebody else's action by a name that can be moved."""
    for step in workflow.steps:
        uses = step.uses
        # A version of ours is as good as our name: who takes over one has the other.
        if uses and not step.ours and not LOCAL.match(uses) and not PINNED.fullmatch(uses):
            yield step.tree.get("uses"), f"`{uses[:80]}` can become other code at any time"
    for job in workflow.jobs:
        uses = job.tree.get("uses").text
        if uses and not job.calls_us and not LOCAL.match(uses) and not PINNED.fullmatch(uses):
            yield job.tree.get("uses"), f"`{uses[:80]}` can become other code at any time"


@rule(
    why="""A key in a secret works from anywhere, for as long as nobody takes it back, and whoever sees it once has it.
    GitHub signs a token for each job that a cloud can trust instead: nothing is stored, and it ends with the job.""",
    mend="""
    permissions: {id-token: write}
    steps:
      - uses: org/accel-ci/provision@v1
        with:
          accelerator: v6e-1
          workload-identity-provider: ${{ vars.WORKLOAD_IDENTITY_PROVIDER }}
          service-account: ${{ vars.SERVICE_ACCOUNT }}
    """,
)
def key_in_a_secret(workflow: Workflow) -> Found:
    """A long-lived cloud key from a secret."""
    for step in workflow.steps:
        for name in KEY_INPUTS:
            place = step.tree.get("with", name)
            if KEY.search(place.text):
                yield place, LASTS
    places = [workflow.tree, *(job.tree for job in workflow.jobs), *(step.tree for step in workflow.steps)]
    for name, place in (member for each in places for member in each.get("env").members.items()):
        if KEY_VARIABLES.fullmatch(name) and KEY.search(place.text):
            yield place, LASTS


@rule(
    why="""A job may run for six hours before GitHub ends it, and a machine that it holds as long. A hanging test then
    costs a day's budget.""",
    mend="""
    jobs:
      tpu:
        timeout-minutes: 30
    """,
)
def missing_timeout(workflow: Workflow) -> Found:
    """A job that holds a machine, its own or its runner's, without a time limit."""
    for job in workflow.jobs:
        # The machine's lifetime ends what is ours alone, and a limit of the job would cut off report and cleanup.
        only_ours = job.steps and all(step.ours for step in job.steps)
        holds = (job.leases or job.on_own_runner) and not only_ours
        if holds and "timeout-minutes" not in job.tree.members:
            yield job.tree, f"job `{job.name}` may run for six hours"


@rule(
    why="""Two pushes, or a label and a push, run side by side: twice the machines, and the older result may come last.
    A group per pull request lets the newest commit win.""",
    mend="""
    concurrency:
      group: tpu-${{ github.event.pull_request.number || github.run_id }}
      cancel-in-progress: true
    """,
)
def missing_concurrency(workflow: Workflow) -> Found:
    """A job that leases a machine, in no concurrency group."""
    if "concurrency" not in workflow.tree.members:
        for job in workflow.jobs:
            if job.leases and "concurrency" not in job.tree.members:
                yield job.tree, f"runs of job `{job.name}` go side by side, each with a machine of its own"
