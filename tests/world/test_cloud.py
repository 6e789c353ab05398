"""The cloud of the model does what real clouds do."""

from __future__ import annotations

import pytest

from accel_ci_sim.world.cloud import AlreadyExistsError, QuotaExceededError, StockoutError
from accel_ci_sim.world.machine import State
from accel_ci_sim.world.schedule import EPOCH
from tests.world import models
from tests.world.models import Sky


def test_a_creation_takes_its_time() -> None:
    """The machine exists at once and is ready after its boot."""
    sky = Sky(models.weather())
    machine = sky.cloud.create(models.request())
    assert machine.state is State.CREATING
    assert sky.at(10.0, lambda: machine.state) is State.READY
    assert sky.heard == ["landed", "ready"]


def test_a_second_creation_of_the_name_is_a_conflict() -> None:
    """409 names the machine that is there; in another zone the name is free."""
    sky = Sky(models.weather())
    machine = sky.cloud.create(models.request())
    with pytest.raises(AlreadyExistsError) as conflict:
        sky.cloud.create(models.request())
    assert conflict.value.machine is machine
    assert sky.cloud.create(models.request(zone="us-a-2")) is not machine


def test_some_clouds_remember_requests() -> None:
    """The same request id is answered with the same machine, even when that is gone."""
    sky = Sky(models.weather(remembers=True))
    machine = sky.cloud.create(models.request())
    assert sky.cloud.create(models.request()) is machine
    sky.cloud.release("us-a-1", "m")
    assert sky.at(20.0, lambda: sky.cloud.create(models.request()) is machine and machine.state is State.GONE)


def test_a_full_zone() -> None:
    """Nothing is made, now or later."""
    sky = Sky(models.weather(stockout=1.0))
    with pytest.raises(StockoutError):
        sky.cloud.create(models.request())
    sky.schedule.run()
    assert sky.ledger.machines == []


def test_a_creation_that_failed_and_yet_lands() -> None:
    """The client heard of a stockout, and the machine appears a while later."""
    sky = Sky(models.weather(stockout=1.0, lands_anyway=1.0))
    with pytest.raises(StockoutError):
        sky.cloud.create(models.request())
    assert sky.cloud.get("us-a-1", "m") is None
    sky.schedule.run()
    assert sky.cloud.get("us-a-1", "m") is not None


def test_a_late_landing_finds_its_place_taken() -> None:
    """It makes no second machine of the name."""
    sky = Sky(models.weather())
    sky.cloud.create(models.request())
    sky.cloud.land_late(models.request())
    assert len(sky.ledger.machines) == 1


def test_a_stockout_may_come_late() -> None:
    """The creation was accepted, and the machine fails instead of getting ready: it must be deleted."""
    sky = Sky(models.weather(late_stockout=1.0))
    machine = sky.cloud.create(models.request())
    assert sky.at(10.0, lambda: machine.state) is State.FAILED
    assert machine.alive


def test_a_machine_may_hang() -> None:
    """It is never ready, and can be released all the same."""
    sky = Sky(models.weather(hangs=1.0))
    machine = sky.cloud.create(models.request())
    sky.schedule.at(EPOCH + 1000.0, lambda: sky.cloud.release(*machine.place))
    assert sky.at(1006.0, lambda: machine.state) is State.GONE


def test_the_quota_counts_the_region() -> None:
    """Machines of all zones of the region count until they are gone."""
    sky = Sky(models.weather(quota=1))
    sky.cloud.create(models.request())
    with pytest.raises(QuotaExceededError):
        sky.cloud.create(models.request(zone="us-a-2"))
    assert sky.cloud.create(models.request(zone="eu-b-1")).alive
    sky.cloud.release("us-a-1", "m")
    assert sky.at(5.0, lambda: sky.cloud.create(models.request(zone="us-a-2")))


def test_listings_lag_and_names_do_not() -> None:
    """A new machine is missing in listings for a while, an ended one is shown; looked up by name both are true."""
    sky = Sky(models.weather(listing_lag_s=15.0))
    machine = sky.cloud.create(models.request())
    machine.visible_at = EPOCH + 15.0
    assert sky.cloud.listed() == [] and sky.cloud.get(*machine.place) is machine
    sky.schedule.at(EPOCH + 20.0, lambda: sky.cloud.release(*machine.place))
    assert sky.at(30.0, sky.cloud.listed) == [(machine, State.READY)]
    assert sky.cloud.get(*machine.place) is None and sky.cloud.last(*machine.place) is machine
    assert sky.at(41.0, sky.cloud.listed) == []


def test_a_release_is_idempotent_and_kills_at_once() -> None:
    """Workers die when it begins; the machine is gone when it ends; a second request changes nothing."""
    sky = Sky(models.weather())
    machine = sky.cloud.create(models.request())
    sky.cloud.release(*machine.place)
    sky.cloud.release(*machine.place)
    sky.cloud.release("us-a-1", "nobody")
    assert machine.state is State.RELEASING and machine.workers[0].died_at is not None
    assert sky.at(5.0, lambda: machine.state) is State.GONE
    assert sky.heard == ["landed", "releasing", "gone"]


def test_a_release_may_stick() -> None:
    """It takes minutes, but ends."""
    sky = Sky(models.weather(sticks=1.0))
    machine = sky.cloud.create(models.request())
    sky.cloud.release(*machine.place)
    assert sky.at(25.0, lambda: machine.state) is State.RELEASING
    assert not machine.alive


def test_a_release_may_be_undone_once() -> None:
    """The machine comes back alive, its workers do not; the next request ends it."""
    sky = Sky(models.weather(refuses_release=1.0))
    machine = sky.cloud.create(models.request())
    sky.schedule.at(EPOCH + 20.0, lambda: sky.cloud.release(*machine.place))
    sky.schedule.at(EPOCH + 30.0, lambda: sky.cloud.release(*machine.place))
    assert sky.at(26.0, lambda: (machine.state, machine.reachable(EPOCH + 26.0))) == (State.READY, False)
    assert not machine.alive


def test_the_native_limit_ends_machines() -> None:
    """At the end of the lifetime, at most 30 s late, whoever forgot it; the reason is kept."""
    sky = Sky(models.weather(native_limit=True))
    machine = sky.cloud.create(models.request(ends_at=EPOCH + 600.0))
    assert sky.at(599.0, lambda: machine.alive)
    assert machine.gone_at is not None and 600.0 <= machine.gone_at - EPOCH <= 630.0
    assert machine.interruption == "lifetime limit reached"


def test_without_a_native_limit_nothing_ends_a_machine() -> None:
    """It lives on until somebody releases it."""
    sky = Sky(models.weather())
    sky.cloud.create(models.request())
    assert sky.at(1e7, lambda: len(sky.ledger.alive())) == 1


def test_preemption_takes_the_workers() -> None:
    """The machine is gone, or a dead one that has to be deleted; either way it says why."""
    states = set()
    for number in range(20):
        sky = Sky(models.weather(preempts=1.0))
        for _ in range(number):
            sky.cloud.create(models.request(name=f"m{_}"))
        machine = sky.cloud.create(models.request())
        sky.schedule.run()
        assert machine.interruption == "preempted" and not machine.reachable(sky.schedule.now)
        states.add(machine.state)
    assert states == {State.GONE, State.FAILED}


def test_labels_can_be_added() -> None:
    """An annotation joins the labels of the creation; of a machine that is gone nobody hears."""
    sky = Sky(models.weather())
    machine = sky.cloud.create(models.request())
    sky.cloud.annotate("us-a-1", "m", {"keep": "yes"})
    sky.cloud.annotate("us-a-1", "nobody", {"keep": "yes"})
    assert machine.labels == {"who": "m", "keep": "yes"} and machine.request.labels == {"who": "m"}
