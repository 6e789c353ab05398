"""provision: machines that boot and are not well, and what the log says of those that never boot."""

from __future__ import annotations

import pytest

from accel_ci.domain import errors
from accel_ci.domain.record import RunRecord
from accel_ci.domain.verdict import Verdict
from accel_ci.operations import records
from accel_ci.usecases import provision
from tests.fakes.machines import Script
from tests.usecases import worlds
from tests.usecases.worlds import KEY, Fakes

SICK = Script(boot_error=errors.UnhealthyError("Xid 79: GPU has fallen off the bus"))


def _provision(fakes: Fakes) -> RunRecord:
    return provision.provision(fakes.world, worlds.record(), KEY, order=worlds.order())


def test_an_unhealthy_machine_is_replaced() -> None:
    """In the only zone there is another machine is asked for, under another name, once the sick one is gone."""
    fakes = Fakes(zones={"a": [SICK, Script()]})
    record = _provision(fakes)
    assert [(each.zone, each.outcome) for each in record.tries] == [("a", "boot-failed"), ("a", "ready")]
    assert len({each.name for each in record.tries}) == 2
    assert record.machine is not None and fakes.machines.living() == [record.machine.handle]


def test_another_zone_is_better_than_the_same_one() -> None:
    """Where there is another place the sick machine's is left."""
    fakes = Fakes(zones={"a": SICK, "b": Script()})
    assert [each.zone for each in _provision(fakes).tries] == ["a", "b"]


def test_it_is_replaced_once() -> None:
    """A second sick machine is no accident any more: boot-failed, with its words, and nothing lives."""
    fakes = Fakes(zones={"a": SICK})
    with pytest.raises(errors.UnhealthyError, match="Xid 79"):
        _provision(fakes)
    kept = records.load(fakes.files, "")
    assert (len(kept.tries), kept.verdict, fakes.machines.living()) == (2, Verdict.BOOT_FAILED, [])
    assert "Xid 79" in kept.reason


def test_the_consoles_last_lines_are_in_the_log() -> None:
    """Whoever reads the log sees what the machine wrote last, before it was ended."""
    fakes = Fakes(zones={"a": [SICK, Script()]})
    _provision(fakes)
    assert "console: fake console" in fakes.job.of_kind("log")
    calls = [call for call, _ in fakes.machines.calls]
    assert calls.index("console_tail") < calls.index("release")


def test_a_console_that_cannot_be_had_is_no_obstacle() -> None:
    """The walk goes on without it."""
    fakes = Fakes(zones={"a": [SICK, Script()]})
    fakes.machines.fail("console_tail", errors.AccessError("compute.instances.getSerialPortOutput is missing"))
    assert _provision(fakes).machine is not None
    assert any("no console of" in line for line in fakes.job.of_kind("log"))
