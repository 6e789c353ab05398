"""provision: one machine or an error that says why, and never a second machine."""

from __future__ import annotations

from dataclasses import replace

import pytest

from accel_ci.domain import errors, lease
from accel_ci.domain.record import RunRecord
from accel_ci.domain.verdict import Verdict
from accel_ci.operations import records
from accel_ci.usecases import cleanup, provision
from tests.fakes.machines import Script
from tests.usecases import worlds
from tests.usecases.worlds import KEY, Fakes

FULL = Script(error=errors.NoCapacityError("no more capacity in the zone"))


def _provision(fakes: Fakes, *, ttl_s: float = 3600.0) -> RunRecord:
    return provision.provision(fakes.world, worlds.record(), KEY, order=worlds.order(ttl_s=ttl_s))


def _kept(fakes: Fakes) -> RunRecord:
    return records.load(fakes.files, "")


def test_the_first_zone_that_has_one_gives_the_machine() -> None:
    """The record names the machine, when it was asked for and ready, its price and its lease's end."""
    fakes = Fakes(zones={"a": Script(boot_s=30)})
    machine = _provision(fakes).machine
    assert machine is not None and machine.zone == "a"
    assert machine.ready_at - machine.requested_at >= 30
    assert machine.expires_at == int(machine.requested_at + 3600)
    assert machine.dollars_per_hour == 1.0
    assert fakes.machines.living() == [machine.handle]


def test_a_full_zone_is_followed_by_the_next() -> None:
    """Each try and its answer stands in the record; the names of tries differ."""
    fakes = Fakes(zones={"a": FULL, "b": Script()})
    record = _provision(fakes)
    assert [(each.zone, each.outcome) for each in record.tries] == [("a", "no-capacity"), ("b", "ready")]
    assert len({each.name for each in record.tries}) == 2
    assert record.identity.name == record.tries[1].name


def test_a_partial_machine_is_gone_before_the_next_try() -> None:
    """A creation that failed and left a machine is released and verified first."""
    fakes = Fakes(
        zones={"a": Script(error=errors.NoCapacityError("x"), leaves_machine=True, release_s=5), "b": Script()}
    )
    record = _provision(fakes)
    assert record.machine is not None and fakes.machines.living() == [record.machine.handle]
    calls = [call for call, _ in fakes.machines.calls]
    assert calls.index("release") < len(calls) - 1 - calls[::-1].index("begin_create")
    assert record.machine.requested_at - record.tries[0].started_at >= 5


def test_a_machine_that_never_boots_is_given_back() -> None:
    """At the boot limit the machine is released, and the next zone is tried."""
    fakes = Fakes(zones={"a": Script(boot_s=10_000), "b": Script()})
    record = _provision(fakes, ttl_s=20_000)
    assert [each.outcome for each in record.tries] == ["boot-failed", "ready"]
    assert len(fakes.machines.living()) == 1


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (errors.NoCapacityError("none"), Verdict.NO_CAPACITY),
        (errors.QuotaError("limit 0"), Verdict.QUOTA),
        (errors.AccessError("denied"), Verdict.INFRA_ERROR),
        (errors.BootError("broken image"), Verdict.BOOT_FAILED),
    ],
)
def test_no_machine_anywhere_leaves_the_verdict(error: errors.AccelError, verdict: Verdict) -> None:
    """When every place fails, the last error is raised, its verdict is kept, and nothing lives."""
    fakes = Fakes(zones={"a": Script(error=error)})
    with pytest.raises(type(error)):
        _provision(fakes)
    assert (_kept(fakes).verdict, fakes.machines.living()) == (verdict, [])
    assert str(error) in _kept(fakes).reason


def test_denied_access_stops_the_walk() -> None:
    """There is no second try after an answer that holds everywhere."""
    fakes = Fakes(zones={"a": Script(error=errors.AccessError("denied")), "b": Script()})
    with pytest.raises(errors.AccessError):
        _provision(fakes)
    assert len(_kept(fakes).tries) == 1


def test_a_lost_reply_is_asked_again_and_adopted() -> None:
    """A creation whose reply was lost is found by its own name: one machine, one try."""
    fakes = Fakes()
    fakes.machines.fail("begin_create", errors.TransientError("reply lost"), times=2)
    assert len(_provision(fakes).tries) == 1
    assert len(fakes.machines.living()) == 1


def test_looking_may_fail_for_a_while() -> None:
    """Polling goes on over answers that were lost."""
    fakes = Fakes(zones={"a": Script(boot_s=5)})
    fakes.machines.fail("poll", errors.TransientError("503"), times=3)
    assert _provision(fakes).machine is not None


def test_cancelling_asks_for_the_end_at_once() -> None:
    """A signal while the machine boots releases it before the error leaves, and the record says cancelled."""
    fakes = Fakes(zones={"a": Script(boot_s=300)})
    fakes.clock.cancel_at = fakes.clock.now() + 20
    with pytest.raises(errors.CancelledError):
        _provision(fakes)
    assert (_kept(fakes).verdict, fakes.machines.living()) == (Verdict.CANCELLED, [])


def test_cancelling_while_the_cloud_is_silent_leaves_the_rest_to_cleanup() -> None:
    """When even the look-up fails, the cancellation still leaves as a cancellation."""
    fakes = Fakes(zones={"a": Script(boot_s=300)})
    fakes.clock.cancel_at = fakes.clock.now() + 20
    fakes.machines.fail("find", errors.TransientError("503"), times=5)
    with pytest.raises(errors.CancelledError):
        _provision(fakes)


def test_a_partial_machine_that_does_not_go_stops_everything() -> None:
    """Rather than having two machines, provision ends with the command that ends the first by hand."""
    fakes = Fakes(
        zones={"a": Script(error=errors.NoCapacityError("x"), leaves_machine=True, immortal=True), "b": Script()}
    )
    with pytest.raises(errors.CleanupUnverifiedError) as raised:
        _provision(fakes)
    assert "fake-cloud delete fake://a/" in raised.value.commands[0]
    assert len(fakes.machines.living()) == 1


def test_a_creation_in_flight_is_ended_when_it_lands() -> None:
    """A signal amid the request: what lands seconds later is looked for, and asked to end, before the step is killed."""
    fakes = Fakes()
    create, now = fakes.machines.begin_create, fakes.clock.now()

    def in_flight(*given: object, **more: object) -> object:
        create(*given, **more)  # type: ignore[arg-type]
        raise errors.CancelledError("SIGINT asked us to stop")

    fakes.machines.begin_create = in_flight  # type: ignore[assignment, method-assign]
    seen = fakes.machines.find
    fakes.machines.find = lambda key, zones: seen(key, zones) if fakes.clock.now() > now + 3 else []  # type: ignore[method-assign]
    with pytest.raises(errors.CancelledError):
        _provision(fakes)
    assert fakes.machines.living() == []
    assert fakes.clock.now() - now < 7.5


def test_a_signal_before_anything_was_asked_for_ends_at_once() -> None:
    """Where no request was made nothing is looked for: the step ends without a wait."""
    fakes = Fakes()
    fakes.machines.fail("candidates", errors.CancelledError("SIGINT asked us to stop"))
    now = fakes.clock.now()
    with pytest.raises(errors.CancelledError):
        _provision(fakes)
    assert fakes.clock.now() == now and not any(call == "find" for call, _ in fakes.machines.calls)


def test_what_is_known_is_ended_without_a_look() -> None:
    """A signal while the machine boots: the first request after it is the deletion."""
    fakes = Fakes(zones={"a": Script(boot_s=300)})
    fakes.clock.cancel_at = fakes.clock.now() + 20
    with pytest.raises(errors.CancelledError):
        _provision(fakes)
    calls = [call for call, _ in fakes.machines.calls]
    assert calls[-1] == "release" and "find" not in calls


def test_a_sibling_with_the_same_key_is_not_adopted() -> None:
    """Two jobs that have one key by mistake: the second fails, and its failure leaves the first one's machine alone."""
    fakes, second = Fakes(), Fakes()
    _provision(fakes)
    second.machines, second.clock = fakes.machines, fakes.clock
    second.entropy.token()
    with pytest.raises(errors.ConfigurationError, match="another lease"):
        _provision(second)
    assert cleanup.cleanup(second.world, KEY, owner=lease.of_job(KEY)).found == []
    assert len(fakes.machines.living()) == 1
    assert len(cleanup.cleanup(fakes.world, KEY, owner=lease.of_job(KEY)).released) == 1


def test_two_slots_of_one_job_are_two_machines() -> None:
    """The same job leases twice, in two slots: two names, two records, and a cleanup that ends both."""
    fakes = Fakes()
    for slot in ("", "second"):
        key = replace(KEY, slot=slot)
        provision.provision(fakes.world, worlds.record(key), key, order=worlds.order())
    assert len(fakes.machines.living()) == 2


def test_a_second_machine_needs_a_slot() -> None:
    """Another provision of the same job and slot is refused before it asks for anything; the first machine stays known."""
    fakes = Fakes()
    provision.provision(fakes.world, worlds.record(), KEY, order=worlds.order())
    kept, alive = records.load(fakes.files, ""), fakes.machines.living()
    second = worlds.record()
    second.started_at = 500.0
    with pytest.raises(errors.ConfigurationError, match="for the same slot already"):
        provision.provision(fakes.world, second, KEY, order=worlds.order())
    assert (records.load(fakes.files, ""), fakes.machines.living()) == (kept, alive)


def test_the_free_slots() -> None:
    """The unnamed slot first, then numbered ones that nobody took."""
    fakes = Fakes()
    assert records.free_slot(fakes.files) == ""
    for taken, free in (("", "run-2"), ("run-2", "run-3"), ("other", "run-3")):
        record = worlds.record()
        record.identity = record.identity.model_copy(update={"slot": taken})
        records.save(fakes.files, record)
        assert records.free_slot(fakes.files) == free
