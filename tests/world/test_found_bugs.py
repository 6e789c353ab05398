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
    """Neither their names nor their places: the walk goes on where it was (seed 5, world 1043)."""
    fakes = Fakes(zones={"a": Script(), "b": Script()})
    record = worlds.record()
    record.tries = [
        Try(number=1, name=KEY.name, zone="a", spot=True, started_at=0.0, ended_at=1.0, outcome="no-capacity")
    ]
    record = provision.provision(fakes.world, record, KEY, order=worlds.order())
    assert [(each.number, each.zone) for each in record.tries] == [(1, "a"), (2, "b")]
    assert record.identity.name == KEY.next_try().name


def test_a_walk_that_had_tried_every_place_is_over() -> None:
    """Whoever comes after the crash says so, and asks for nothing."""
    fakes = Fakes(zones={"a": Script()})
    record = worlds.record()
    record.tries = [Try(number=1, name=KEY.name, zone="a", spot=True, started_at=0.0, ended_at=1.0, outcome="quota")]
    with pytest.raises(errors.NoCapacityError, match="every place was tried"):
        provision.provision(fakes.world, record, KEY, order=worlds.order())
    assert "begin_create" not in [call for call, _ in fakes.machines.calls]


def test_a_machine_that_was_not_kept_is_asked_for_again() -> None:
    """A client that crashes between a try's answer and the machine's document does not pay for two (seed 5, world 662)."""
    fakes = Fakes(zones={"a": Script()})
    record = worlds.record()
    record.tries = [Try(number=1, name=KEY.name, zone="a", spot=True, started_at=0.0, ended_at=1.0, outcome="ready")]
    record = provision.provision(fakes.world, record, KEY, order=worlds.order())
    assert record.identity.name == KEY.name
    assert [each.number for each in record.tries] == [1]


def test_what_a_crashed_client_left_ends_before_the_next_place_is_asked() -> None:
    """The failed try's machine is looked up by its name and ended first (seed 5, world 181)."""
    fakes = Fakes(zones={"a": Script(), "b": Script()})
    record = worlds.record()
    record.tries = [
        Try(number=1, name=KEY.name, zone="a", spot=True, started_at=0.0, ended_at=1.0, outcome="boot-failed")
    ]
    provision.provision(fakes.world, record, KEY, order=worlds.order())
    calls = [call for call, _ in fakes.machines.calls]
    assert calls.index("find") < calls.index("begin_create")


def test_a_resumed_ledger_begins_with_the_first_request() -> None:
    """The seconds before the crash cost money, too (seed 5, world 115)."""
    fakes = Fakes(zones={"a": Script()})
    asked_at = int(fakes.clock.now())
    fakes.files.write(records.place("", f"lease-{KEY.name}"), str(asked_at + 1200).encode())
    fakes.clock.sleep(300.0)
    machine = provision.provision(fakes.world, worlds.record(), KEY, order=worlds.order()).machine
    assert machine is not None and machine.requested_at == asked_at + 1200 - worlds.order().ttl_s
