"""What the user hands over for the tests to know, and nobody else to see."""

from __future__ import annotations

from accel_ci import plans, wiring
from accel_ci.commands.call import Call
from accel_ci.domain import grant
from accel_ci.domain.context import Context
from accel_ci.domain.errors import Mistake
from accel_ci.domain.record import RunRecord
from accel_ci.operations import records
from accel_ci.plans import Secrets
from accel_ci.ports.world import World


def secrets(call: Call, world: World, here: Context, *, record: RunRecord) -> Secrets:
    """What the tests are handed; from now on no log shows it, in this process and in whichever goes on with the run."""
    handed = opened(call, world, here, record=record)
    records.same_secrets(world.files, record.identity.slot, handed.values)
    for value in handed.values.values():
        call.job.mask(value)  # GitHub hides what it is told from here on, in later steps too
    if handed.kept_back:
        call.job.notice("secrets", handed.kept_back)
    return handed


def mistakes(call: Call) -> list[Mistake]:
    """What is wrong with what the environment hands over, as far as can be said before anything is opened."""
    return plans.unfit(wiring.handed(call.environ))


def opened(call: Call, world: World, here: Context, *, record: RunRecord) -> Secrets:
    """What of the secrets, sealed ones opened, this run may have; ConfigurationError names those that are wrong."""
    # For a stranger's commit not even the file is read: whatever goes wrong there would be seen in their log.
    trusted = record.identity.trust == grant.Trust.TRUSTED.value
    given, open_ = wiring.secrets(call.environ, here, read_file=trusted), wiring.opener(call.environ)
    return plans.secrets(here, record, given, now=world.clock.now(), open_=open_)
