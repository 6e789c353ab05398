"""Where we run: a GitHub Actions job or somebody's terminal, read from a mapping of environment variables."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from accel_ci.domain import errors, runkey
from accel_ci.domain.runkey import RunKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The run in its CI's own terms. `event` is "" outside GitHub Actions; `sha` "" where no commit is known.

    `head_sha` is the pull request's commit when the event was made; `siblings` counts the matrix that the job is in;
    `call` tells calls of one reusable workflow apart, "" outside of them; `workflow_file` is the path of the workflow that
    the event started, "" when that is not one of this repository.
    """

    repository: str
    repository_id: int
    run_id: int
    attempt: int = 1
    job: str
    instance: str = ""
    event: str = ""
    actor: str = ""
    sha: str = ""
    ref: str = ""
    server_url: str = ""
    run_url: str = ""
    pull_request: int | None = None
    head_sha: str = ""
    workflow: str = ""
    siblings: int = 1
    call: str = ""
    workflow_file: str = ""

    @property
    def on_github(self) -> bool:
        """True inside a GitHub Actions job."""
        return bool(self.event)

    def job_of(self, job: str) -> str:
        """A job of the workflow file that we are in, named so that other calls of that file have other jobs."""
        return f"{job}@{self.call}" if self.call else job

    def key(self, *, slot: str = "") -> RunKey:
        """The run key of this job's machine in `slot`, first try; of a shared slot the one that every job of the run has."""
        shared = runkey.shared(slot)
        return RunKey(
            repository_id=self.repository_id,
            repository=self.repository,
            run_id=self.run_id,
            attempt=self.attempt,
            # A shared slot stands where a job does: `for: run:trainer` ends its machine like another job's.
            job=self.job_of(slot if shared else self.job),
            instance="" if shared else self.instance,
            slot="" if shared else slot,
        )


CALLED = "ACCEL_CI_CALL"  # what our reusable workflow was called with, as JSON
REQUIRED = ("GITHUB_REPOSITORY", "GITHUB_RUN_ID", "GITHUB_JOB", "GITHUB_EVENT_NAME")


def of_github(environ: Mapping[str, str], event: Mapping[str, Any]) -> Context:
    """The context of a GitHub Actions job from its variables and its event file; ConfigurationError names what lacks."""
    lacking = [name for name in REQUIRED if not environ.get(name)]
    if lacking:
        raise errors.ConfigurationError(
            f"these variables of GitHub Actions are missing: {', '.join(lacking)}",
            what_to_do="run this inside a GitHub Actions job, or use `accel-ci run` elsewhere",
        )
    server, repository = environ.get("GITHUB_SERVER_URL", "https://github.com"), environ["GITHUB_REPOSITORY"]
    return Context(
        repository=repository,
        repository_id=_number(environ, "GITHUB_REPOSITORY_ID", default=0),
        run_id=_number(environ, "GITHUB_RUN_ID"),
        attempt=_number(environ, "GITHUB_RUN_ATTEMPT", default=1),
        job=environ["GITHUB_JOB"],
        instance=_instance(environ),
        event=environ["GITHUB_EVENT_NAME"],
        actor=environ.get("GITHUB_ACTOR", ""),
        sha=environ.get("GITHUB_SHA", ""),
        ref=environ.get("GITHUB_REF", ""),
        server_url=server,
        run_url=f"{server}/{repository}/actions/runs/{environ['GITHUB_RUN_ID']}",
        pull_request=_pull_request(event),
        head_sha=_head_sha(event),
        workflow=environ.get("GITHUB_WORKFLOW", ""),
        siblings=_siblings(environ),
        call=_call(environ),
        workflow_file=_workflow_file(environ),
    )


def of_terminal(*, directory: str, user: str, now: float, token: str) -> Context:
    """The context of a person's own run: the directory's name stands for the repository, the second for the run."""
    # Six bytes: a number that every JSON reader keeps exactly, in the place of GitHub's repository id.
    owner_id = int.from_bytes(hashlib.sha256(directory.encode()).digest()[:6])
    return Context(
        repository=directory.rstrip("/").rsplit("/", 1)[-1] or "root",
        repository_id=owner_id,
        run_id=int(now),
        job="terminal",
        # Two runs may begin in the same second.
        instance=token[:8],
        actor=user,
    )


def _instance(environ: Mapping[str, str]) -> str:
    """What tells matrix siblings apart: their matrix values and index, "" outside a matrix."""
    matrix, strategy = _json(environ, "ACCEL_CI_MATRIX"), _json(environ, "ACCEL_CI_STRATEGY")
    if not matrix:
        return ""
    # The index too: two rows of a matrix may have the same values.
    return json.dumps([matrix, strategy.get("job-index", 0)], sort_keys=True, separators=(",", ":"))


def _workflow_file(environ: Mapping[str, str]) -> str:
    """In a reusable workflow the caller's. An organisation's rules may start a workflow of another repository."""
    here = f"{environ['GITHUB_REPOSITORY']}/"
    path = environ.get("GITHUB_WORKFLOW_REF", "").partition("@")[0]
    return path.removeprefix(here) if path.startswith(here) else ""


def _call(environ: Mapping[str, str]) -> str:
    """A digest of what a reusable workflow was called with.

    GitHub tells a called job nothing else of its caller: its job id, matrix and strategy are those of the called file.
    """
    called = environ.get(CALLED, "")
    return runkey.short_digest(called) if called else ""


def _siblings(environ: Mapping[str, str]) -> int:
    total = _json(environ, "ACCEL_CI_STRATEGY").get("job-total")
    return total if isinstance(total, int) and total > 0 else 1


def _json(environ: Mapping[str, str], name: str) -> dict[str, Any]:
    try:
        value = json.loads(environ.get(name) or "{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _number(environ: Mapping[str, str], name: str, *, default: int | None = None) -> int:
    text = environ.get(name, "")
    if text.isascii() and text.isdigit():
        return int(text)
    if default is not None and not text:
        return default
    raise errors.ConfigurationError(
        f"{name} is not a number: {text[:40]!r}", what_to_do="unset it outside GitHub Actions"
    )


def _pull_request(event: Mapping[str, Any]) -> int | None:
    part, issue = event.get("pull_request"), event.get("issue")
    if isinstance(issue, dict) and isinstance(issue.get("pull_request"), dict):  # a comment on a pull request
        part = issue
    number = part.get("number") if isinstance(part, dict) else None
    return number if isinstance(number, int) else None


def _head_sha(event: Mapping[str, Any]) -> str:
    pull = event.get("pull_request")
    head = pull.get("head") if isinstance(pull, dict) else None
    sha = head.get("sha") if isinstance(head, dict) else None
    return sha if isinstance(sha, str) else ""
