"""What inputs ask for, in the terms of the core: orders, sources, plans, and the record to begin with."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from accel_ci import __version__
from accel_ci.domain import check, errors, grant, lease, sealed
from accel_ci.domain.context import Context
from accel_ci.domain.errors import Mistake
from accel_ci.domain.grant import Grant
from accel_ci.domain.record import Identity, RunRecord, Target
from accel_ci.domain.trigger import Policy
from accel_ci.domain.workload import Caps, CommitSource, Source, WorkspaceSource
from accel_ci.formats import redaction
from accel_ci.inputs import models
from accel_ci.inputs.models import GateInputs, ProvisionInputs, RunInputs
from accel_ci.journey import Plan
from accel_ci.operations.acquire import Order
from accel_ci.operations.publish import Publication

# An account's tokens can be had by whatever runs on the machine, and root can open what we closed.
NOT_FOR_STRANGERS = {"machine-account", "sudo"}


def begun(here: Context, inputs: ProvisionInputs, permission: Grant | None, *, now: float) -> RunRecord:
    """The record of a run at its very beginning."""
    spec = inputs.spec()
    target = Target(
        backend=spec.backend,
        accelerator=spec.accelerator,
        zones=list(spec.zones),
        spot=spec.spot,
        sudo=spec.options.get("sudo") == "true",
    )
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
        # GITHUB_SHA of a pull request's event is the base branch's commit, or a merge that nobody looked at.
        sha=permission.sha if permission else here.sha,
        base_sha=permission.base_sha if permission else "",
        trust=(permission.trust if permission else grant.Trust.TRUSTED).value,
        ref=here.ref,
        pull_request=here.pull_request,
        url=here.run_url,
    )


def order(inputs: ProvisionInputs, record: RunRecord, *, forks_here: bool = False) -> Order:
    """What to lease and for how long; ConfigurationError when a stranger's commit would get what only our own may have.

    `forks_here`: this computer holds nothing that a stranger's code may not have.
    """
    stranger = record.identity.trust != grant.Trust.TRUSTED.value
    # Whoever runs beside us as the same user reads our environment: the job's token, the key to what is sealed.
    if stranger and inputs.on_this_computer and not forks_here:
        raise errors.ConfigurationError(
            "a stranger's commit is not run on the runner itself, beside the job's credentials",
            what_to_do=f"lease a machine for it; on a runner that holds nothing set {grant.FORKS_HERE}: true",
        )
    # "false" is what they are without a word: a workflow may say so for everybody.
    unsafe = sorted(NOT_FOR_STRANGERS & {name for name, value in inputs.options.items() if value != "false"})
    if unsafe and stranger:
        raise errors.ConfigurationError(
            f"a stranger's commit may not have these options: {', '.join(unsafe)}",
            what_to_do="leave them out for pull requests from forks",
        )
    return Order(spec=inputs.spec(), ttl_s=float(inputs.ttl), scope=lease.scope_of(inputs.slot))


def source(here: Context, record: RunRecord, *, wanted: str, directory: str) -> Source:
    """The record's commit, its merge into the base, or the directory as it is; the last never under a stranger's grant.

    `auto` means the commit in a GitHub Actions job and the directory elsewhere. Without a pull request nothing is merged.
    """
    if wanted == "auto":
        # A job's workspace may be empty, another commit or changed by earlier steps; a person means what they see.
        wanted = "commit" if here.on_github else "workspace"
    if wanted in ("commit", "merge"):
        if not record.identity.sha:
            raise errors.ConfigurationError(
                "outside GitHub Actions a run has no commit to send",
                what_to_do="leave `source` out, and the directory is sent as it is now",
            )
        repository = f"{here.server_url}/{here.repository}" if here.on_github else directory
        base = _base(record) if wanted == "merge" else ""
        return CommitSource(repository=repository, sha=record.identity.sha, base=base)
    if record.identity.trust != grant.Trust.TRUSTED.value:
        raise errors.ConfigurationError(
            "the workspace may not be sent for a stranger's commit", what_to_do="leave `source` out: the commit is sent"
        )
    return WorkspaceSource(directory=directory)


def _base(record: RunRecord) -> str:
    """What gate pinned: no event of a moment later, and no ref that moves, decides what is merged."""
    if record.identity.pull_request is not None and not record.identity.base_sha:
        raise errors.ConfigurationError(
            "the grant names no base to merge into", what_to_do="pass the gate's output `grant` to provision unchanged"
        )
    return record.identity.base_sha


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """What the tests are handed, by the names that they know, and a sentence about what they are not; "" for nothing."""

    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    kept_back: str = ""


def secrets(here: Context, record: RunRecord, given: Mapping[str, str], *, now: float, open_: sealed.Open) -> Secrets:
    """What of these may go to the machine: nothing for a stranger's commit, and no box is even opened for one.

    ConfigurationError names, all at once, those that can be no variable, that belong elsewhere, or that cannot be hidden.
    """
    # By name only: even how long a value is could help a stranger.
    if given and record.identity.trust != grant.Trust.TRUSTED.value:
        return Secrets(kept_back=f"{', '.join(sorted(given))}: not handed over, this is a stranger's commit")
    mistakes = unfit(given)
    values, elsewhere = sealed.opened(given, here, now=now, open_=open_) if not mistakes else ({}, [])
    if mistakes := mistakes or unfit(values):
        raise errors.ConfigurationError(
            f"{len(mistakes)} of the secrets cannot be handed over",
            what_to_do="see docs/secrets.md",
            mistakes=tuple(mistakes),
        )
    kept = f"{', '.join(elsewhere)}: not handed over, they were not sealed for {here.event or 'a terminal'}"
    return Secrets(values=values, kept_back=kept if elsewhere else "")


def unfit(given: Mapping[str, str]) -> list[Mistake]:
    """What is wrong with secrets as they are, by name: those that can be no variable or cannot be hidden.

    What is in a sealed box is not looked at.
    """
    return [
        Mistake(name[:100], *problem) for name, value in sorted(given.items()) if (problem := _problem(name, value))
    ]


def _problem(name: str, value: str) -> tuple[str, str] | None:
    if not re.fullmatch(sealed.NAME, name) or name.upper().startswith("ACCEL_CI"):
        return "is not a name that tests can have", "letters, digits and `_`, and not `ACCEL_CI` in front"
    # A variable holds no zero byte, and what travels to the machine is UTF-8.
    if re.search("[\0\ud800-\udfff]", value):
        return "holds a zero byte, or bytes that are no UTF-8", "hand it over in base64"
    try:
        if not sealed.is_sealed(value):
            redaction.Redactor([value.encode()])
    except errors.ConfigurationError:
        why = f"is shorter than {redaction.SHORTEST} characters, so hiding it would hide ordinary text"
        return why, "hand over a longer one, or what is no secret in `env`"
    return None


def plan(
    here: Context, inputs: RunInputs, record: RunRecord, *, directory: str, handed: Secrets, forks_here: bool = False
) -> Plan:
    """Everything that the journey does."""
    parts, wanted = inputs.run_remote(), inputs.collect()
    work = parts.work(source(here, record, wanted=parts.source, directory=directory))
    work = replace(work, secrets=handed.values)
    return Plan(
        order=order(inputs.provision(), record, forks_here=forks_here),
        work=work,
        paths=wanted.paths if wanted else (),
        caps=wanted.caps() if wanted else Caps(),
        publication=publication(here, name=inputs.check),
    )


def publication(
    here: Context, *, name: str = check.NAME, failure_issue: bool = True, sweeper: str = models.SWEEPER
) -> Publication:
    """How the run is shown on GitHub."""
    return Publication(
        check=name, siblings=here.siblings, workflow=here.workflow, failure_issue=failure_issue, sweeper=sweeper
    )


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
        max_per_day=inputs.max_per_day,
    )
