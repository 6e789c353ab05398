"""What the simulator found too rarely for the bank of known bugs, each in its shortest form."""

from __future__ import annotations

import pytest

from accel_ci.domain import errors
from accel_ci.domain.record import Try
from accel_ci.operations import records
from accel_ci.usecases import provision
from tests.fakes.machines import Script
from tests.usecases import worlds
from tests.usecases.worlds import KEY, Fakes


def test_a_lease_that_is_over_is_not_renewed_under_its_name() -> None:
    """A sweeper that is still ending the first machine would end the second of the same name (seed 1, world 6625)."""
    fakes = Fakes(zones={"a": Script()})
    fakes.files.write(records.place("", f"lease-{KEY.name}"), b"1")
    with pytest.raises(errors.BootError, match="ended while nobody was there"):
        provision.provision(fakes.world, worlds.record(), KEY, order=worlds.order())
    assert "begin_create" not in [call for call, _ in fakes.machines.calls]
    assert records.load(fakes.files, "").tries[0].outcome == "boot-failed"


def test_a_lease_is_asked_for_again_as_it_was() -> None:
    """The expiry of a try is kept before its request, so that a later client adopts its machine (seed 1, world 22)."""
    fakes = Fakes(zones={"a": Script()})
    expires_at = int(fakes.clock.now()) + 900
    fakes.files.write(records.place("", f"lease-{KEY.name}"), str(expires_at).encode())
    machine = provision.provision(fakes.world, worlds.record(), KEY, order=worlds.order()).machine
    assert machine is not None and machine.expires_at == expires_at


def test_tries_of_a_crashed_client_are_not_tried_again() -> None:
    """The names of machines that were released are not given to new ones."""
    fakes = Fakes(zones={"a": Script()})
    record = worlds.record()
    record.tries = [
        Try(number=1, name=KEY.name, zone="a", spot=True, started_at=0.0, ended_at=1.0, outcome="no-capacity")
    ]
    record = provision.provision(fakes.world, record, KEY, order=worlds.order())
    assert [each.number for each in record.tries] == [1, 2]
    assert record.identity.name == KEY.next_try().name
