"""What the verbs add to their use cases."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from accel_ci import commands
from accel_ci.adapters.stop_signals import StopSignals
from accel_ci.commands import Call
from tests.fakes.job import FakeJob


@pytest.mark.parametrize(("status", "limited"), [("cancelled", True), ("failure", False), ("", False)])
def test_collect_hurries_in_a_cancelled_job_only(status: str, limited: bool) -> None:
    """What is left of a cancelled job is 285 s: bringing files back keeps to 60 of them, and otherwise to none."""
    call = Call(given={}, environ={"ACCEL_CI_JOB_STATUS": status}, job=FakeJob(), stop=StopSignals())
    assert isinstance(commands._hurried(call), nullcontext) is not limited
    assert commands.COLLECT_S == 60.0
