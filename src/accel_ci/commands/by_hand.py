"""What a person does at a terminal: one function per verb that no action has."""

from __future__ import annotations

import functools

from accel_ci import wiring
from accel_ci.adapters import registry, sealed_box, typed_value, workflow_files
from accel_ci.commands import look
from accel_ci.commands.call import Call
from accel_ci.doctor import examine, findings
from accel_ci.domain import accelerators, errors
from accel_ci.domain.context import Context
from accel_ci.domain.lease import Owner
from accel_ci.domain.machine import Machine
from accel_ci.inputs import by_hand
from accel_ci.inputs.diagnosis import DoctorInputs
from accel_ci.inputs.sealing import SecretsInputs
from accel_ci.operations import records
from accel_ci.render import catalogue, sealing, terminal
from accel_ci.usecases import keep, ssh

MOST = 5


def keep_(call: Call) -> int:
    """Keep a machine."""
    inputs, here = call.read(by_hand.KeepInputs), wiring.continued(call.environ)
    wanted = inputs.machine or _last(call)
    scheme = wanted.partition("://")[0] if "://" in wanted else inputs.backend
    with wiring.world(call.environ, here, backend=scheme, cloud=look.cloud(inputs), talk=call.job) as world:
        keep.keep(world, wanted, repository_id=here.repository_id, seconds=float(inputs.until))
    return 0


def _last(call: Call) -> str:
    """The handle of what was leased last from here."""
    _, files, slot = wiring.leased(call.environ, "", slot="")
    return records.load_machine(files, slot).handle


def list_(call: Call) -> int:
    """Name the machines of this repository that exist now."""
    asked, here = call.read(by_hand.ListInputs), _repository(call)
    # Where the last run leased is not where all machines are.
    inputs = asked.model_copy(update={"backend": registry.EVERY}) if asked.backend == "auto" else asked
    if not here.on_github:
        call.job.log(f"leased from {wiring.directory(call.environ)}:")  # each directory has its own machines
    look.tell_unseen(call, here, inputs)
    with wiring.world(call.environ, here, backend=inputs.backend, cloud=look.cloud(inputs), talk=call.job) as world:
        machines: list[Machine] = []
        try:
            machines.extend(world.machines.list_owned(Owner(repository_id=here.repository_id)))
        finally:  # where a part of the cloud is silent, what the rest has is worth knowing
            call.job.stream("".join(f"{line}\n" for line in terminal.machines(machines, now=world.clock.now())))
        for machine in machines[:MOST] if not here.on_github else ():
            call.job.log(f"end it by hand: {world.machines.release_command(machine.handle)}")
    return 0


def _repository(call: Call) -> Context:
    """The context with what the last run was told about the cloud; a new one where that cannot be read."""
    try:
        return wiring.continued(call.environ)
    except errors.ComputerError as error:
        call.job.warning("list", f"{error}; looking with what this call says")
        return wiring.here(call.environ)


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
