"""The run record: one versioned JSON document that tells a whole run, begun by provision and finished by report."""

from __future__ import annotations

import json
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from accel_ci.domain.verdict import Reason, Verdict

Seconds = Annotated[float, Field(description="Seconds since 1970, UTC.")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Identity(_Part):
    """Which run this is, in its CI's own terms."""

    name: str = Field(description="The machine's name, made from the run key.")
    repository: str
    repository_id: int
    run_id: int
    attempt: int
    job: str
    instance: str = ""
    slot: str = ""
    event: str = ""
    actor: str = ""
    sha: str = Field("", description="The commit under test; empty for a workspace.")
    base_sha: str = Field("", description="Pull requests: what the grant says that the commit is to be merged into.")
    trust: str = Field("trusted", description="trusted, or fork for a stranger's commit.")
    ref: str = ""
    pull_request: int | None = None
    url: str = Field("", description="Where the run's log can be read.")


class Target(_Part):
    """What was asked for."""

    backend: str
    accelerator: str
    zones: list[str] = []
    spot: bool = True
    sudo: bool = Field(False, description="The commands were to be administrators: the machine's option `sudo`.")
    setup: str = ""
    run: str = ""


class Try(_Part):
    """One attempt to get a machine, and its answer."""

    number: int
    name: str
    zone: str
    spot: bool
    backend: str = Field(
        "", description="Whose place it was, where several could have been; else empty or the only one."
    )
    started_at: Seconds
    ended_at: Seconds
    outcome: str = Field(description="ready, no-capacity, quota, access, boot-failed, transient or cancelled.")
    message: str = ""


class MachineFacts(_Part):
    """The machine that was leased."""

    handle: str
    zone: str
    accelerator: str
    spot: bool
    workers: int
    expires_at: int
    requested_at: Seconds
    ready_at: Seconds
    released_at: Seconds | None = Field(None, description="When it was verified to be gone.")
    dollars_per_hour: float | None = Field(None, description="The whole machine's price; null when unknown.")
    hardware: dict[str, str] = Field({}, description="What the health probe found: name, devices, driver, cuda ...")


class WorkerEnd(_Part):
    """How a phase ended on one worker."""

    worker: int
    verdict: Verdict
    reason: Reason | None = None
    exit_code: int | None = None
    signal: int | None = None
    peak_memory_bytes: int = 0
    output_bytes: int = 0
    output_dropped_bytes: int = 0
    detail: str = ""


class PhaseFacts(_Part):
    """One phase (setup or run) on all workers."""

    name: str
    started_at: Seconds
    ended_at: Seconds
    verdict: Verdict
    workers: list[WorkerEnd] = []
    reattached: int = Field(0, description="How often the connection broke and was made again.")


class CaseFacts(_Part):
    """A test worth naming."""

    name: str
    outcome: str
    worker: int = 0
    duration_s: float = 0.0
    message: str = ""
    attempts: int = 1


class TestFacts(_Part):
    """The tests, counted from single cases; `failures` may be cut at 200, the counts never are."""

    __test__ = False

    counts: dict[str, int]
    failures: list[CaseFacts] = []
    flaky: list[CaseFacts] = []
    slowest: list[CaseFacts] = []
    duration_s: float = 0.0
    problems: list[str] = []


class Artifact(_Part):
    """A file that came back, or that was refused and why."""

    name: str
    worker: int = 0
    path: str = ""
    size_bytes: int = 0
    sha256: str = ""
    refused: str = ""


class Cost(_Part):
    """Money: from the request of the machine to its verified end. Unknown prices stay null."""

    machine_seconds: float
    dollars_per_hour: float | None = None
    dollars: float | None = None


class SourceFacts(_Part):
    """What git on the machine proved to be in the source directory before anything ran there."""

    sha: str = Field("", description="The commit; empty for a workspace.")
    base_sha: str = Field("", description="What it was merged into; empty when it was tested as it is.")
    merge_sha: str = Field("", description="The merge that was tested: the same two commits always give the same one.")
    tree: str = Field("", description="The merge's files.")
    submodules: int = Field(0, description="How many submodules were not fetched with it.")
    lfs: int = Field(0, description="How many files (1,000 at most) are only pointers of Git LFS.")


class OpenDoor(_Part):
    """A way out of the test user's confinement that stood open on a worker before anything ran there."""

    worker: int
    name: str = Field(description="What it is: root, sudo, metadata, sockets, processes, memory, keys, files.")
    detail: str = Field("", description="How it was found, as the machine told it.")


class DoorFacts(_Part):
    """What the test user tried on the machine, from inside, before anything ran there, and what stood open."""

    tried: list[str] = []
    open: list[OpenDoor] = []


class CleanupFacts(_Part):
    """The proof that nothing was left: what existed, what was released, and the listing afterwards."""

    found: list[str] = []
    released: list[str] = []
    left: list[str] = []
    listed: list[str] | None = Field(None, description="What a listing showed afterwards; null when there was none.")
    unseen: list[str] = Field([], description="What could not be looked at, so that a machine may still live there.")
    kept: list[str] = Field(
        [], description="What somebody keeps on purpose: it goes on costing money until its own end."
    )
    commands: list[str] = Field([], description="What ends by hand whatever may still live.")
    verified_at: Seconds | None = None


class RunRecord(_Part):
    """A run from its request to its verdict."""

    schema_version: Literal[1] = 1
    accel_ci: str = Field(description="The version of accel-ci that wrote this.")
    identity: Identity
    target: Target
    started_at: Seconds
    ended_at: Seconds | None = None
    tries: list[Try] = []
    machine: MachineFacts | None = None
    source: SourceFacts | None = Field(None, description="null until it was sent.")
    doors: DoorFacts | None = Field(
        None, description="null where the machine is this computer, and until it was tried."
    )
    phases: list[PhaseFacts] = []
    verdict: Verdict | None = Field(None, description="null while the run is going on.")
    reason: str = Field("", description="One sentence that says why the verdict is what it is.")
    exit_code: int | None = Field(None, description="The command's own exit code (first failing worker's).")
    tests: TestFacts | None = Field(None, description="null when no report of tests was found.")
    artifacts: list[Artifact] = []
    artifact_url: str = Field(
        "", description="Where files, log and record can be had; empty when they were not uploaded."
    )
    cleanup: CleanupFacts | None = None
    cost: Cost | None = None


def schema() -> str:
    """The JSON Schema of the run record as it is kept in docs/run-record.schema.json, ending in a newline."""
    document = {"$schema": "https://json-schema.org/draft/2020-12/schema", **RunRecord.model_json_schema()}
    return json.dumps(document, indent=2) + "\n"
