"""How a run that is over is shown to whoever called, and what the process ends with."""

from __future__ import annotations

from accel_ci import wiring
from accel_ci.commands.call import Call
from accel_ci.domain import verdict
from accel_ci.domain.record import RunRecord
from accel_ci.domain.verdict import OnInfrastructure, Verdict
from accel_ci.operations import records
from accel_ci.ports.world import World
from accel_ci.render import terminal


def show(call: Call, world: World, record: RunRecord, *, html: str) -> None:
    """The run in the log, and a copy of its page where the user wants one; a copy that fails is a warning."""
    for line in terminal.render(record, colour=True).splitlines():  # the job drops them where nobody sees colours
        call.job.log(line)
    failed = wiring.copy_page(world.files, record.identity.slot, to=html) if html else ""
    if failed:
        call.job.warning("report", failed)


def documents(world: World, record: RunRecord) -> dict[str, str]:
    """Where the record and the page lie, by the words of render.outputs."""
    slot = record.identity.slot
    return {
        "document": world.files.path(records.place(slot, "record.json")),
        "html": world.files.path(records.place(slot, "report.html")),
    }


def exit_code(record: RunRecord, policy: OnInfrastructure) -> int:
    """The exit code of the verdict under the policy; a run without a verdict is an infrastructure error."""
    return verdict.exit_code(record.verdict or Verdict.INFRA_ERROR, policy)
