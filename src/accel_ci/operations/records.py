"""The record and the machine of a slot, kept between the steps of a job."""

from __future__ import annotations

import json
from collections.abc import Iterable

from pydantic import TypeAdapter

from accel_ci.domain import errors
from accel_ci.domain.machine import Machine
from accel_ci.domain.record import RunRecord
from accel_ci.domain.workload import CommitSource, Work
from accel_ci.ports.files import Files

SENT = "source-sent"  # the document that says what was sent to the slot's machine
_MACHINE = TypeAdapter(Machine)


def place(slot: str, name: str) -> str:
    """The name of a slot's document: `<slot>/<name>`, the slot without a name being `main`."""
    # Uploaded artifacts may have no colon in a path.
    return f"{slot.replace(':', '.') or 'main'}/{name}"


def save(files: Files, record: RunRecord) -> None:
    """Write the record as it is now."""
    files.write(place(record.identity.slot, "record.json"), record.model_dump_json(indent=1).encode())


def load(files: Files, slot: str) -> RunRecord:
    """The slot's record; ConfigurationError when nothing was provisioned in this job."""
    record = find(files, slot)
    if record is None:
        raise errors.ConfigurationError(
            f"no machine was provisioned in this job{f' in slot {slot!r}' if slot else ''}",
            what_to_do="put the provision step before this one, in the same job and with the same slot",
        )
    return record


def find(files: Files, slot: str) -> RunRecord | None:
    """The slot's record, or None when there is none."""
    name = place(slot, "record.json")
    content = files.read(name)
    try:
        return None if content is None else RunRecord.model_validate_json(content)
    except ValueError as error:
        raise errors.damaged(name) from error


def slots(files: Files) -> list[str]:
    """The slots that have a record in this job; "" stands for the one without a name."""
    ends = [name.removesuffix("/record.json") for name in files.names("") if name.endswith("/record.json")]
    return ["" if slot == "main" else slot.replace(".", ":") for slot in ends if "/" not in slot]


def free_slot(files: Files) -> str:
    """The first slot without a record: "", then `run-2`, `run-3` and so on."""
    taken = slots(files)
    return next(slot for slot in ("", *(f"run-{number}" for number in range(2, len(taken) + 3))) if slot not in taken)


def same_secrets(files: Files, slot: str, names: Iterable[str]) -> None:
    """Whoever goes on with the slot's run must know what it was begun with, or its output would show what was hidden."""
    place_, known = place(slot, "secrets.json"), set(names)
    begun: list[str] = json.loads(files.read(place_) or b"[]")
    if lacking := sorted(set(begun) - known):
        raise errors.ConfigurationError(
            f"the run was begun with secrets that are not given now: {', '.join(lacking)}",
            what_to_do="give the same ones, so that they can be hidden in what comes",
        )
    if known:
        files.write(place_, json.dumps(sorted(known)).encode())


def same_work(files: Files, slot: str, work: Work) -> None:
    """Whoever goes on must ask for the very commands that ran, on the same code: no other end is a verdict on these."""
    commits = [work.source.sha, work.source.base] if isinstance(work.source, CommitSource) else []
    asked = json.dumps([work.setup, work.run, work.directory, sorted(work.environment.items()), commits]).encode()
    if files.read(place(slot, "work.json")) not in (None, asked):
        raise errors.ConfigurationError(
            "this machine has run other commands already, and these were not run",
            what_to_do="put all commands into one run-remote step, or lease a second machine with a `slot` of its own",
        )
    files.write(place(slot, "work.json"), asked)


def save_machine(files: Files, slot: str, machine: Machine) -> None:
    """Keep the leased machine, with the addresses and host keys of its workers, for the steps that follow."""
    files.write(place(slot, "machine.json"), _MACHINE.dump_json(machine))


def load_machine(files: Files, slot: str) -> Machine:
    """The slot's leased machine; ConfigurationError when there is none."""
    content = files.read(place(slot, "machine.json"))
    if content is None:
        raise errors.ConfigurationError(
            "there is no leased machine to work on",
            what_to_do="lease one first; in a workflow look at the provision step, which did not get one",
        )
    try:
        return _MACHINE.validate_json(content)
    except ValueError as error:
        raise errors.damaged(place(slot, "machine.json")) from error


def lease_place(slot: str, name: str) -> str:
    """The name of the document that holds the expiry and the nonce of the machine that was asked for by this name."""
    return place(slot, f"lease-{name}")


def foreign(files: Files, machine: Machine) -> bool:
    """True when this job asked for a machine of that name, and the machine was asked for by somebody else."""
    ends = f"/lease-{machine.name}"
    asked = [files.read(name) or b"" for name in files.names("") if name.endswith(ends)]
    nonces = [text.decode().partition(" ")[2] for text in asked]
    return bool(nonces) and machine.labels.get("accel-ci-nonce", nonces[0]) not in nonces
