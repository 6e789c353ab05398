"""The whole journey in one command, and going on with one."""

from __future__ import annotations

from accel_ci import journey, plans, wiring
from accel_ci.adapters import one_client
from accel_ci.commands import handover, look, packing, showing
from accel_ci.commands.call import Call
from accel_ci.domain import errors
from accel_ci.domain.context import Context
from accel_ci.domain.grant import Grant
from accel_ci.domain.record import RunRecord
from accel_ci.inputs import by_hand, parsing
from accel_ci.inputs.models import RunInputs
from accel_ci.operations import records
from accel_ci.ports.world import World
from accel_ci.render import outputs
from accel_ci.usecases import gate


def run_(call: Call) -> int:
    """The whole journey."""
    inputs, here = call.read(RunInputs, found=handover.mistakes(call)), wiring.here(call.environ)
    packing.check(call, here, wanted=inputs.run_remote().source)
    with wiring.world(
        call.environ,
        here,
        backend=inputs.backend,
        accelerator=inputs.accelerator,
        cloud=look.cloud(inputs.provision()),
        talk=call.job,
    ) as world:
        permission = _gate(call, world, here, inputs=inputs) if here.on_github else None
        if here.on_github and permission is None:
            return 0
        wiring.place(call.environ).remember(here, given=call.given)
        # A second journey of the same job has a machine and a record of its own.
        leases = inputs.provision().model_copy(update={"slot": records.free_slot(world.files)})
        record = plans.begun(here, leases, permission, now=world.clock.now())
        if not here.on_github:
            call.job.log(
                f"{here.key().name}: should this be interrupted, go on with: accel-ci attach {here.key().name}"
            )
        return _journey(call, world, here, inputs=inputs, record=record)


def _gate(call: Call, world: World, here: Context, *, inputs: RunInputs) -> Grant | None:
    event, wanted = wiring.event(call.environ), inputs.gate()
    return gate.gate(world, here, event=event, policy=plans.policy(wanted), check_name=wanted.check)


def attach_(call: Call) -> int:
    """Go on with a run whose client is gone."""
    wanted = call.read(by_hand.AttachInputs)
    here, given = wiring.recalled(call.environ, wanted.name)
    if "run" not in given:  # what `provision` was given is kept in the same place
        raise errors.ConfigurationError(
            f"{here.key().name} is only a lease, and no run to go on with",
            what_to_do="go on with `accel-ci run-remote`, or end it with `accel-ci cleanup`",
        )
    inputs = parsing.parse(RunInputs, given)
    with wiring.world(
        call.environ, here, backend=inputs.backend, accelerator=inputs.accelerator, talk=call.job
    ) as world:
        record = records.load(world.files, "")
        return _journey(call, world, here, inputs=inputs, record=record)


def _journey(call: Call, world: World, here: Context, *, inputs: RunInputs, record: RunRecord) -> int:
    handed = handover.secrets(call, world, here, record=record)
    directory, forks_here = wiring.directory(call.environ), wiring.forks_here(call.environ)
    plan = plans.plan(here, inputs, record, directory=directory, handed=handed, forks_here=forks_here)
    with one_client.alone(world.files.path("client.lock")):
        record = journey.run(world, record, here.key(slot=record.identity.slot), plan=plan)
    showing.show(call, world, record, html=inputs.html)
    directory = world.files.path(records.place(record.identity.slot, "artifacts"))
    call.tell(outputs.journey(record, directory=directory, **showing.documents(world, record)))
    return showing.exit_code(record, inputs.on_infrastructure)
