"""Where a verb looks for machines, and what it cannot see."""

from __future__ import annotations

from accel_ci import wiring
from accel_ci.commands.call import Call
from accel_ci.domain.context import Context
from accel_ci.inputs.by_hand import KeepInputs, ListInputs
from accel_ci.inputs.models import CleanupInputs, ProvisionInputs
from accel_ci.wiring import Cloud


def cloud(inputs: ProvisionInputs | CleanupInputs | KeepInputs | ListInputs) -> Cloud:
    """What the inputs say about the cloud: the project that pays, and whom we are to be there."""
    return Cloud(
        project=inputs.project,
        provider=inputs.workload_identity_provider,
        service_account=inputs.service_account,
    )


def tell_unseen(call: Call, here: Context, inputs: CleanupInputs | ListInputs, *, loud: bool = False) -> None:
    """Say which clouds are not looked into: "no machine" must not be read as the proof of more than was seen."""
    left_out = wiring.unseen(call.environ, here, backend=inputs.backend, cloud=cloud(inputs))
    if left_out:
        text = f"not looked through, for nothing here signs in there, or its library is not here: {', '.join(left_out)}"
        # A sweeper that sees no cloud would be green for ever.
        call.job.warning(inputs.verb, text) if loud else call.job.log(text)
