"""report: finish the record, show it to people, keep it."""

from __future__ import annotations

import re

from accel_ci.domain import runkey
from accel_ci.domain.record import Cost, MachineFacts, RunRecord
from accel_ci.domain.verdict import Verdict
from accel_ci.operations import publish, reach, records, sweeping
from accel_ci.operations.publish import Publication
from accel_ci.ports.world import World
from accel_ci.render import page, summary

DEFAULT = Publication()
UPLOADED = "artifact-url"
# The file is written by a step that ran beside a stranger's code: only such an address becomes a link.
ADDRESS = re.compile(r"https?://[A-Za-z0-9.:-]+/[A-Za-z0-9._/-]+/actions/runs/[0-9]+/artifacts/[0-9]+")


def report(
    world: World, record: RunRecord, *, cancelled: bool = False, publication: Publication = DEFAULT
) -> RunRecord:
    """The finished record: verdict, end and cost set, the step summary and HTML page written, a copy in the history,

    and on GitHub the check, the comment or the issue.

    A run that left no verdict was `cancelled` with its job, or is an `infra-error`: something ended it before it could tell.
    """
    if record.verdict is None:
        record.verdict = Verdict.CANCELLED if cancelled else Verdict.INFRA_ERROR
        record.reason = f"the {'job was cancelled' if cancelled else 'run ended'} before it came to a verdict"
    if record.ended_at is None:
        record.ended_at = world.clock.now()
    record.cost = _cost(record.machine, until=record.ended_at)
    record.artifact_url = _artifact_url(world, record.identity.slot)
    records.save(world.files, record)
    world.files.write(records.place(record.identity.slot, "report.html"), page.render(record).encode())
    world.job.summary(summary.render(record, cleanup=record.cleanup is None))  # which wrote its proof there itself
    document = record.model_dump_json().encode()
    reach.retried(world, lambda: world.history.keep(_kept_as(record), document), what="history")
    # Last: what GitHub refuses must not cost the record.
    publish.publish(world, record, publication)
    if record.machine is not None:
        sweeping.watch(world, publication.sweeper, handle=record.machine.handle)
    return record


def _kept_as(record: RunRecord) -> str:
    """Its name in the history: the machine's, and where jobs share that the job's beside it, or one would replace another."""
    identity = record.identity
    who = runkey.short_digest(f"{identity.job} {identity.instance}")
    return f"{identity.name}-{who}" if runkey.shared(identity.slot) else identity.name


def _artifact_url(world: World, slot: str) -> str:
    """Where collect's own upload step wrote that the artifact is; "" for anything but such an address."""
    told = (world.files.read(records.place(slot, UPLOADED)) or b"").decode(errors="replace").strip()
    return told if ADDRESS.fullmatch(told) else ""


def _cost(machine: MachineFacts | None, *, until: float) -> Cost:
    """From the request of the machine to its verified end, or to the report when it still lives."""
    if machine is None:
        return Cost(machine_seconds=0.0, dollars=0.0)
    seconds = max(0.0, (machine.released_at or until) - machine.requested_at)
    rate = machine.dollars_per_hour
    return Cost(machine_seconds=seconds, dollars_per_hour=rate, dollars=None if rate is None else rate * seconds / 3600)
