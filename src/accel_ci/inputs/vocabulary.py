"""Inputs and outputs that several actions share: the same words mean the same thing everywhere."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from accel_ci.domain.verdict import OnInfrastructure, Verdict
from accel_ci.inputs import fields
from accel_ci.inputs.declaration import Rule
from accel_ci.inputs.fields import Boolean, Choice, Pattern, Settings, Text, Words
from accel_ci.inputs.quantities import Duration

LOCAL = "local"
AUTO = "auto"
GLOB = Pattern("relative path", fields.RELATIVE, "results/**")
ZONE = Pattern("zone", r"[A-Za-z0-9][A-Za-z0-9-]{0,62}", "us-central1-b")

Backend = Annotated[
    str,
    Choice((AUTO, "gce", "tpu", "gke", "jarvis", "pool", LOCAL)),
    Field(description="Where the machine comes from; `auto` follows the type, Compute Engine before the TPU API."),
]
Options = Annotated[
    dict[str, str],
    Settings("image=v2-alpha-tpuv6e"),
    Field(description="What only some backends can be told, such as `image=v2-alpha-tpuv6e`: see the backend's page."),
]
Project = Annotated[
    str,
    Pattern("project id", r"(?:[a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]", "my-project"),
    Field(description="Google Cloud: the project that pays; empty: the one of the credentials."),
]
Provider = Annotated[
    str,
    Pattern(
        "workload identity provider",
        r"projects/[0-9]+/locations/global/workloadIdentityPools/[a-z0-9-]+/providers/[a-z0-9-]+",
        "projects/123456789/locations/global/workloadIdentityPools/github/providers/github",
    ),
    Field(description="Google Cloud: the identity provider that trusts this workflow; empty: the job's own sign-in."),
]
ServiceAccount = Annotated[
    str,
    Pattern(
        "service account", r"[a-z0-9-]+@[a-z0-9.-]+\.gserviceaccount\.com", "ci@my-project.iam.gserviceaccount.com"
    ),
    Field(description="Google Cloud: the service account to act as, through the workload identity provider."),
]
Slot = Annotated[
    str,
    # `main` is where the state of the only machine is kept.
    Pattern("slot name", r"(?!main$)(?:run:)?[a-z0-9](?:[a-z0-9-]{0,18}[a-z0-9])?", "second"),
    Field(
        description="Which machine, when a job leases several; `run:NAME`: one that all jobs of the run share;"
        " empty: the only one."
    ),
]
Setup = Annotated[
    str, Text(), Field(description="Commands that prepare the machine, before the time of `run` begins; empty: none.")
]
Run = Annotated[
    str, Text(), Field(description="The command that tests: shell text, run in the repository on every worker.")
]
Timeout = Annotated[
    int,
    Duration("1s", "24h"),
    Field(description="The most time for `run`; then it is ended, politely first."),
]
Paths = Annotated[
    tuple[str, ...],
    Words(GLOB),
    Field(description="Files to bring back: globs relative to the repository, where `**` crosses directories."),
]
Label = Annotated[
    str,
    Pattern("label", r"[^,\x00-\x1f]{1,50}", "run-tpu-tests"),
    Field(description="Pull requests: the label that lets a commit use an accelerator."),
]
Check = Annotated[
    str,
    Pattern("check name", r"[A-Za-z0-9][A-Za-z0-9 ._/-]{0,79}", "accel-ci"),
    Field(description="The name of the commit's check, which may be made required: the same for gate and report."),
]
# A text to us: its own module reads it and checks that it is this run's.
Grant = Annotated[
    str, Text(), Field(description="The gate's output `grant`, which says what commit it is; needed for pull requests.")
]
Infrastructure = Annotated[
    OnInfrastructure,
    Choice(tuple(OnInfrastructure)),
    Field(description="What the step does when not the code but the cloud failed: `fail`, or `tolerate` it (green)."),
]
HtmlCopy = Annotated[
    str,
    Pattern("path", r"[^\x00-\x1f]{1,4096}", "report.html"),
    Field(description="Where to put a copy of the HTML report; empty: no copy."),
]
DryRun = Annotated[bool, Boolean(), Field(description="Only say what would be done.")]

SEARCHED = "Where machines are looked for; `auto`: where this job leased, else in every backend of this version."
VERDICT = f"How the run ended: {', '.join(Verdict)}."
EXIT_CODE = "The command's own exit code; empty when it did not end by itself."
TESTS = 'The tests, counted by outcome, as JSON: {"passed": 12, "failed": 1}; empty when none reported.'
DIRECTORY = "The directory on the runner that holds the files that came back."
RECORD = "The path on the runner of the run's record, a JSON document."
HTML = "The path on the runner of the self-contained HTML report."


# Alone it would be ignored in silence, and the job would act as somebody else.
def _signs_in(service_account: str, provider: str) -> str:
    return "needs `workload-identity-provider` beside it" if service_account and not provider else ""


SIGN_IN = Rule(("service_account", "workload_identity_provider"), _signs_in, "see docs/sign-in.md")
