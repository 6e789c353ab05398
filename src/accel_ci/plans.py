"""What inputs ask for, in the terms of the core: orders, sources, plans, and the record to begin with."""

from __future__ import annotations

from dataclasses import replace

from accel_ci import __version__
from accel_ci.domain import check, errors, grant
from accel_ci.domain.context import Context
from accel_ci.domain.grant import Grant
from accel_ci.domain.record import Identity, RunRecord, Target
from accel_ci.domain.trigger import Policy
from accel_ci.domain.workload import Caps, CommitSource, Source, WorkspaceSource
from accel_ci.inputs.models import GateInputs, ProvisionInputs, RunInputs
from accel_ci.journey import Plan
from accel_ci.operations.acquire import Order
from accel_ci.operations.publish import Publication

# An account's tokens can be had by whatever runs on the machine, and root can open what we closed.
NOT_FOR_STRANGERS = {"machine-account", "sudo"}


def begun(here: Context, inputs: ProvisionInputs, permission: Grant | None, *, now: float) -> RunRecord:
    """The record of a run at its very beginning."""
    spec = inputs.spec()
    target = Target(backend=spec.backend, accelerator=spec.accelerator, zones=list(spec.zones), spot=spec.spot)
    return RunRecord(
        accel_ci=__version__,
        identity=_identity(here, permission, slot=inputs.slot),
        target=target,
        started_at=now,
    )


def nothing(here: Context, permission: Grant | None, *, slot: str, now: float) -> RunRecord:
    """The record of a run that left none: something ended it before provision began, or took its runner away."""
    return RunRecord(
        accel_ci=__version__,
        identity=_identity(replace(here, sha=commit(here, permission)), permission, slot=slot),
        target=Target(backend="", accelerator=""),
        started_at=now,
    )


def commit(here: Context, permission: Grant | None) -> str:
    """The commit that the run is about; "" where only a grant tells, and there is none."""
    if permission is not None:
        return permission.sha
    # With these events the job's own commit is the base branch's, which nobody tests.
    return here.head_sha or ("" if here.event in grant.FOREIGN_CODE_EVENTS else here.sha)


def _identity(here: Context, permission: Grant | None, *, slot: str) -> Identity:
    return Identity(
        name=here.key(slot=slot).name,
        repository=here.repository,
        repository_id=here.repository_id,
        run_id=here.run_id,
        attempt=here.attempt,
        job=here.job,
        instance=here.instance,
        slot=slot,
        event=here.event,
        actor=here.actor,
        sha=permission.sha if permission else here.sha,
        trust=(permission.trust if permission else grant.Trust.TRUSTED).value,
        ref=here.ref,
        pull_request=here.pull_request,
        url=here.run_url,
    )


def order(inputs: ProvisionInputs, record: RunRecord) -> Order:
    """What to lease and for how long; ConfigurationError when a stranger's commit would get what only our own may have."""
    unsafe = sorted(NOT_FOR_STRANGERS & {name for name, value in inputs.options.items() if value != "false"})
    if unsafe and record.identity.trust != grant.Trust.TRUSTED.value:
        raise errors.ConfigurationError(
            f"a stranger's commit may not have these options: {', '.join(unsafe)}",
            what_to_do="leave them out for pull requests from forks",
        )
    return Order(spec=inputs.spec(), ttl_s=float(inputs.ttl))


def source(here: Context, record: RunRecord, *, wanted: str, directory: str) -> Source:
    """The record's commit, or the directory as it is; the latter never under a stranger's grant.

    `auto` means the commit in a GitHub Actions job and the directory elsewhere.
    """
    if wanted == "auto":
        wanted = "commit" if here.on_github else "workspace"
    if wanted == "commit":
        repository = f"{here.server_url}/{here.repository}" if here.on_github else directory
        return CommitSource(repository=repository, sha=record.identity.sha)
    if record.identity.trust != grant.Trust.TRUSTED.value:
        raise errors.ConfigurationError(
            "the workspace may not be sent for a stranger's commit", what_to_do="leave `source` out: the commit is sent"
        )
    return WorkspaceSource(directory=directory)


def plan(here: Context, inputs: RunInputs, record: RunRecord, *, directory: str) -> Plan:
    """Everything that the journey does."""
    parts, wanted = inputs.run_remote(), inputs.collect()
    work = parts.work(source(here, record, wanted=parts.source, directory=directory))
    return Plan(
        order=order(inputs.provision(), record),
        work=work,
        paths=wanted.paths if wanted else (),
        caps=wanted.caps() if wanted else Caps(),
        publication=publication(here, name=inputs.check),
    )


def publication(here: Context, *, name: str = check.NAME, failure_issue: bool = True) -> Publication:
    """How the run is shown on GitHub."""
    return Publication(check=name, siblings=here.siblings, workflow=here.workflow, failure_issue=failure_issue)


def policy(inputs: GateInputs) -> Policy:
    """What gate allows."""
    return Policy(
        label=inputs.label,
        branches=inputs.branches,
        paths=inputs.paths,
        drafts=inputs.drafts,
        skip_words=inputs.skip_words,
        until_push=inputs.label_lasts == "until-push",
        quiet_s=float(inputs.quiet_period),
        max_running=inputs.max_running,
    )
