"""What the scripts of the fake cloud mean: use-case tests rest on them."""

from __future__ import annotations

import pytest

from accel_ci.domain.errors import BootError, CloudError, NoCapacityError, TransientError
from accel_ci.domain.lease import Lease, Owner
from accel_ci.domain.machine import Creation, State
from accel_ci.domain.runkey import RunKey
from tests.fakes.clock import FakeClock
from tests.fakes.machines import SPEC, FakeMachines, Script

KEY = RunKey(repository_id=1, repository="org/repo", run_id=7, job="tpu")
OWNER = Owner(repository_id=1)


@pytest.fixture
def clock() -> FakeClock:
    """Virtual time."""
    return FakeClock()


def _begin(machines: FakeMachines, clock: FakeClock, zone: int = 0) -> Creation:
    lease = Lease(key=KEY, expires_at=int(clock.now()) + 1000)
    return machines.begin_create(SPEC, lease, machines.candidates(SPEC)[zone], public_key="")


def test_zones_follow_their_scripts(clock: FakeClock) -> None:
    """A full zone raises and leaves nothing; the next one gives a machine after its boot time."""
    machines = FakeMachines(clock, {"full": Script(error=NoCapacityError("full")), "free": Script(boot_s=30)})
    with pytest.raises(NoCapacityError):
        _begin(machines, clock)
    assert machines.living() == []
    creation = _begin(machines, clock, 1)
    assert machines.poll(creation).machine is None
    clock.advance(30)
    ready = machines.poll(creation).machine
    assert ready is not None
    assert ready.zone == "free"


def test_scripts_in_a_row(clock: FakeClock) -> None:
    """A zone's list serves one creation each; the last script goes on for ever."""
    full = Script(error=NoCapacityError("full"))
    machines = FakeMachines(clock, {"zone": [full, full, Script()]})
    for _ in range(2):
        with pytest.raises(NoCapacityError):
            _begin(machines, clock)
    for _ in range(2):
        machines.release(_begin(machines, clock).handle)


def test_lost_answer(clock: FakeClock) -> None:
    """A creation whose answer was lost left its machine, and asking again adopts that one."""
    machines = FakeMachines(clock, {"zone": Script(error=TransientError("lost"), leaves_machine=True)})
    with pytest.raises(TransientError):
        _begin(machines, clock)
    (left,) = machines.living()
    assert _begin(machines, clock).handle == left
    assert len(machines.living()) == 1


def test_failed_boot(clock: FakeClock) -> None:
    """A machine that fails to boot says so when its time is over, and stays until it is released."""
    machines = FakeMachines(clock, {"zone": Script(boot_s=10, boot_error=BootError("no driver"))})
    creation = _begin(machines, clock)
    machines.poll(creation)
    clock.advance(10)
    with pytest.raises(BootError, match="no driver"):
        machines.poll(creation)
    assert [machine.state for machine in machines.list_owned(OWNER)] == [State.FAILED]
    machines.release(creation.handle)
    assert machines.released(creation.handle)


def test_slow_and_lost_releases(clock: FakeClock) -> None:
    """A lost release changes nothing; the one that arrives takes its time."""
    machines = FakeMachines(clock, {"zone": Script(lost_releases=1, release_s=20)})
    handle = _begin(machines, clock).handle
    machines.release(handle)
    assert [machine.state for machine in machines.list_owned(OWNER)] == [State.READY]
    machines.release(handle)
    assert [machine.state for machine in machines.list_owned(OWNER)] == [State.RELEASING]
    clock.advance(20)
    assert machines.released(handle)


def test_immortal(clock: FakeClock) -> None:
    """An immortal machine never counts as released."""
    machines = FakeMachines(clock, {"zone": Script(immortal=True)})
    handle = _begin(machines, clock).handle
    machines.release(handle)
    clock.advance(10**6)
    assert not machines.released(handle)
    assert machines.living() == [handle]


def test_interruptions(clock: FakeClock) -> None:
    """A machine that the cloud takes away, by its script or by the test, is gone and says why."""
    machines = FakeMachines(clock, {"a": Script(interrupted_after_s=50), "b": Script()})
    first, second = _begin(machines, clock).handle, _begin(machines, clock, 1).handle
    clock.advance(49)
    assert machines.interruption(first) == ""
    clock.advance(1)
    assert (machines.interruption(first), machines.released(first)) == ("preempted", True)
    machines.interrupt(second, "maintenance")
    assert (machines.interruption(second), machines.released(second)) == ("maintenance", True)


def test_without_native_limit(clock: FakeClock) -> None:
    """A backend without a lifetime limit lets a machine outlive its lease."""
    machines = FakeMachines(clock, native_lifetime_limit=False)
    handle = _begin(machines, clock).handle
    clock.advance(10**6)
    assert machines.living() == [handle]


def test_listing_lag(clock: FakeClock) -> None:
    """A young machine is hidden from the listing, and found by its name."""
    machines = FakeMachines(clock, listing_lag_s=60)
    _begin(machines, clock)
    assert list(machines.list_owned(OWNER)) == []
    assert [machine.name for machine in machines.find(KEY, ())] == [KEY.name]
    clock.advance(60)
    assert len(list(machines.list_owned(OWNER))) == 1


def test_failing_calls(clock: FakeClock) -> None:
    """A planned failure happens as often as it was planned, without effect, and every call is written down."""
    machines = FakeMachines(clock)
    handle = _begin(machines, clock).handle
    machines.fail("release", CloudError("503"), times=2)
    for _ in range(2):
        with pytest.raises(CloudError):
            machines.release(handle)
    assert machines.living() == [handle]
    machines.release(handle)
    assert machines.living() == []
    assert [method for method, _ in machines.calls].count("release") == 3
