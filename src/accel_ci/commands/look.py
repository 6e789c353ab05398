"""Where a verb looks for machines, and what it cannot see."""

from __future__ import annotations

from dataclasses import dataclass

from accel_ci import wiring
from accel_ci.adapters import google_machines, registry
from accel_ci.commands.call import Call
from accel_ci.domain import errors
from accel_ci.domain.context import Context
from accel_ci.domain.machine import Machine
from accel_ci.inputs.by_hand import EndInputs, KeepInputs, LookInputs
from accel_ci.inputs.models import CleanupInputs, ProvisionInputs
from accel_ci.operations import records
from accel_ci.wiring import Cloud


@dataclass(frozen=True, slots=True, kw_only=True)
class Sought:
    """The machine that a person means: its handle or else the word that they gave, the run it may be of, and its backend.

    `known` is the machine as it was leased from here, None where that was elsewhere.
    """

    wanted: str
    here: Context
    backend: str
    known: Machine | None = None


def cloud(inputs: ProvisionInputs | CleanupInputs | LookInputs, *, machine: str = "") -> Cloud:
    """What the inputs say about the cloud: the project that pays, and whom we are to be there.

    The project in the handle of the `machine` that is meant goes before: no other one can have it.
    """
    return Cloud(
        project=google_machines.project_of(machine) or inputs.project,
        provider=inputs.workload_identity_provider,
        service_account=inputs.service_account,
    )


def tell_unseen(call: Call, here: Context, inputs: CleanupInputs | LookInputs, *, loud: bool = False) -> None:
    """Say which clouds are not looked into: "no machine" must not be read as the proof of more than was seen."""
    left_out = wiring.unseen(call.environ, here, backend=inputs.backend, cloud=cloud(inputs))
    if left_out:
        text = f"not looked through, for nothing here signs in there, or its library is not here: {', '.join(left_out)}"
        # A sweeper that sees no cloud would be green for ever.
        call.job.warning(inputs.verb, text) if loud else call.job.log(text)


def sought(call: Call, inputs: KeepInputs | EndInputs) -> Sought:
    """What `machine` means; ConfigurationError when it is empty and nothing was leased from here."""
    try:
        here, files, slot = wiring.leased(call.environ, inputs.machine, slot="")
        known = records.load_machine(files, slot)
        return Sought(wanted=known.handle, here=here, backend=known.backend, known=known)
    except (errors.ConfigurationError, errors.ComputerError):
        if not inputs.machine:
            raise
    scheme, handle, _ = inputs.machine.partition("://")
    widely = everywhere(inputs)
    here = continued(call, inputs.verb)
    if not handle:
        tell_unseen(call, here, widely)
    return Sought(wanted=inputs.machine, here=here, backend=scheme if handle else widely.backend)


def everywhere(inputs: LookInputs) -> LookInputs:
    """The same, looking in every backend: where the last run leased is not where all machines are."""
    return inputs.model_copy(update={"backend": registry.EVERY}) if inputs.backend == "auto" else inputs


def continued(call: Call, verb: str) -> Context:
    """The context with what the last run was told about the cloud; a new one where that cannot be read."""
    try:
        return wiring.continued(call.environ)
    except errors.ComputerError as error:
        call.job.warning(verb, f"{error}; looking with what this call says")
        return wiring.here(call.environ)
