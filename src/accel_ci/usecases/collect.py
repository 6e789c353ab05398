"""collect: bring named files back, within caps, as plain data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from accel_ci.domain import errors
from accel_ci.domain.machine import Machine
from accel_ci.domain.record import Artifact, RunRecord
from accel_ci.domain.workload import Caps, Fetched
from accel_ci.formats import output, redaction
from accel_ci.formats.redaction import Redactor
from accel_ci.operations import reach, records
from accel_ci.ports.world import World


def collect(world: World, patterns: Sequence[str], *, caps: Caps, slot: str, secrets: Iterable[str] = ()) -> RunRecord:
    """The record with one artifact per matching file of every worker; refused ones say why and hold no bytes.

    A file whose name holds one of the `secrets` is refused; what is in files is not looked at.
    """
    redactor = redaction.Redactor(value.encode() for value in secrets)
    record, machine = records.load(world.files, slot), records.load_machine(world.files, slot)
    if world.files.read(records.place(slot, records.SENT)) is None:
        # Our programs came with the source: a machine that has neither would be asked in vain for minutes.
        world.job.warning("collect", "nothing was sent to the machine, so there is nothing to bring back")
        return record
    place = records.place(slot, "artifacts")
    with world.job.group(f"collect {', '.join(patterns)}"):
        files = reach.retried(
            world,
            lambda: world.remote.get(machine, patterns, caps=caps, into=world.files.path(place)),
            what="collect",
            look=lambda: _still_there(world, machine),
        )
        record.artifacts = [_artifact(world, file, place, redactor=redactor) for file in files]
        for artifact in record.artifacts:
            world.job.log(_line(artifact))
        if not files:
            world.job.warning("collect", f"nothing matched {', '.join(patterns)}")
    records.save(world.files, record)
    return record


def _still_there(world: World, machine: Machine) -> None:
    """CloudError for a machine that is gone: in a cancelled job every second of waiting is one less for cleanup."""
    if why := reach.ended(world.machines, machine):
        raise errors.CloudError(
            f"{machine.handle} is gone, and what was on it: {why}", what_to_do="see the log for what it said before"
        )


def _artifact(world: World, file: Fetched, place: str, *, redactor: Redactor) -> Artifact:
    if redactor.finds(file.name):
        # Its bytes lie here under a name made from its own, which would be seen in the uploaded artifact.
        if not file.refused:
            world.files.remove(f"{place}/{file.path}")
        shown = output.one_line(redactor.hidden(file.name))
        return Artifact(name=shown, worker=file.worker, refused="its name holds a secret")
    return Artifact(
        name=output.one_line(file.name),
        worker=file.worker,
        path="" if file.refused else f"{place}/{file.path}",
        size_bytes=file.size_bytes,
        sha256=file.sha256,
        refused=output.one_line(redactor.hidden(file.refused)),
    )


def _line(artifact: Artifact) -> str:
    told = f"w{artifact.worker} {artifact.name}"
    if artifact.refused:
        return f"{told}: refused, {artifact.refused}"
    return f"{told}: {artifact.size_bytes} bytes, sha256 {artifact.sha256[:12]}"
