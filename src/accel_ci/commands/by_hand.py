"""What a person does at a terminal: one function per verb that no action has."""

from __future__ import annotations

import functools
from contextlib import AbstractContextManager

from accel_ci import journey, wiring
from accel_ci.adapters import sealed_box, typed_value, workflow_files
from accel_ci.commands import look
from accel_ci.commands.call import Call
from accel_ci.doctor import examine, findings
from accel_ci.domain import accelerators
from accel_ci.domain.context import Context
from accel_ci.domain.machine import Machine
from accel_ci.inputs import by_hand
from accel_ci.inputs.by_hand import LookInputs
from accel_ci.inputs.diagnosis import DoctorInputs
from accel_ci.inputs.sealing import SecretsInputs
from accel_ci.ports.world import World
from accel_ci.render import catalogue, sealing, terminal
from accel_ci.usecases import end, keep, ssh

MOST = 5


def keep_(call: Call) -> int:
    """Keep a machine."""
    inputs = call.read(by_hand.KeepInputs)
    found = look.sought(call, inputs)
    with _looking(call, found.here, inputs, backend=found.backend, machine=found.wanted) as world:
        owner = inputs.owner(found.here.repository_id)
        keep.keep(world, found.wanted, owner=owner, seconds=float(inputs.until))
    return 0


def end_(call: Call) -> int:
    """End one machine and prove it."""
    inputs = call.read(by_hand.EndInputs)
    found = look.sought(call, inputs)
    with _looking(call, found.here, inputs, backend=found.backend, machine=found.wanted) as world:
        owner = inputs.owner(found.here.repository_id)
        # As in cleanup: whoever sends a signal wants the machine gone all the more.
        journey.to_the_end(lambda: end.end(world, found.wanted, owner=owner, known=found.known, force=inputs.force))
    return 0


def list_(call: Call) -> int:
    """Name the machines of this repository that exist now."""
    inputs = look.everywhere(call.read(by_hand.ListInputs))
    here = look.continued(call, inputs.verb)
    if not here.on_github and not inputs.repository_id:
        call.job.log(f"leased from {wiring.directory(call.environ)}:")  # each directory has its own machines
    look.tell_unseen(call, here, inputs)
    with _looking(call, here, inputs, backend=inputs.backend) as world:
        machines, whole = list[Machine](), False
        try:
            machines.extend(world.machines.list_owned(inputs.owner(here.repository_id)))
            whole = True
        finally:  # where a part of the cloud is silent, what the rest has is worth knowing; nothing seen is not "none"
            if machines or whole:
                call.job.stream("".join(f"{line}\n" for line in terminal.machines(machines, now=world.clock.now())))
        for machine in machines[:MOST] if not here.on_github else ():
            of = f" --repository-id {inputs.repository_id}" if inputs.repository_id else ""
            call.job.log(f"end it: accel-ci end {machine.handle}{of}")
    return 0


def _looking(
    call: Call, here: Context, inputs: LookInputs, *, backend: str, machine: str = ""
) -> AbstractContextManager[World]:
    cloud = look.cloud(inputs, machine=machine)
    return wiring.world(call.environ, here, backend=backend, cloud=cloud, talk=call.job)


def ssh_(call: Call) -> int:
    """Open a shell on a leased machine, or run a command there; the exit code is the command's."""
    inputs = call.read(by_hand.SshInputs)
    here, files, slot = wiring.leased(call.environ, inputs.machine, slot=inputs.slot)
    machine = ssh.leased(files, slot)
    with wiring.doors(call.environ, here, machine) as (machines, shell):
        visit = ssh.Visit(machine=machine, worker=inputs.worker, command=inputs.run)
        # What a machine says may command a CI's runner: only a person's terminal gets it as it is.
        return ssh.ssh(machines, shell, call.job, visit=visit, sanitized=here.on_github)


def secrets_(call: Call) -> int:
    """Make keys, seal a value, or see what is sealed in a file."""
    inputs = call.read(SecretsInputs)
    match inputs.action:
        case "keygen":
            private, file = sealed_box.new_private_key(), inputs.key_file or sealed_box.KEY_FILE
            sealed_box.keep(private, file)
            call.job.stream(sealing.keys(sealed_box.public_key(private), file=file))
        case "encrypt":
            content = inputs.content(typed_value.read(inputs.variable)).model_dump_json().encode()
            call.job.stream(sealing.box(inputs.variable, sealed_box.seal(content, inputs.public_key)))
        case "list":
            key = wiring.private_key(call.environ, inputs.key_file)
            open_ = functools.partial(sealed_box.open_box, private=key) if key else None
            call.job.stream(sealing.table(wiring.text_of(inputs.file), open_=open_))
    return 0


def accelerators_(call: Call) -> int:
    """Show the catalogue."""
    inputs = call.read(by_hand.AcceleratorsInputs)
    rows = accelerators.rows(zone=inputs.zone)
    call.job.stream(catalogue.document(rows) if inputs.json_ else catalogue.table(rows))
    return 0


def doctor_(call: Call) -> int:
    """Say what is wrong with workflows, and what mends it: 1 when there is something."""
    inputs = call.read(DoctorInputs)
    found = [each for path, content in workflow_files.read(inputs.files) for each in examine.examine(path, content)]
    call.job.stream(findings.document(found) if inputs.json_ else findings.text(found))
    return 1 if found else 0
