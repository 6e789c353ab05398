"""keep: a machine lives on, and people know until when and for how much."""

from __future__ import annotations

import pytest

from accel_ci.domain import errors, lease
from accel_ci.domain.lease import Owner
from accel_ci.usecases import cleanup, keep, provision
from tests.usecases import worlds
from tests.usecases.worlds import KEY, Fakes


def _kept(fakes: Fakes, wanted: str, *, hours: float = 2.0) -> float:
    return keep.keep(fakes.world, wanted, owner=Owner(repository_id=KEY.repository_id), seconds=3600 * hours)


def _leased(*, native: bool = False) -> tuple[Fakes, str]:
    fakes = Fakes()
    fakes.machines._native = native
    provision.provision(fakes.world, worlds.record(), KEY, order=worlds.order(ttl_s=600))
    return fakes, fakes.machines.living()[0]


@pytest.mark.parametrize("by_name", [True, False])
def test_every_layer_honours_it_until_then(by_name: bool) -> None:
    """Named by handle or name it outlives cleanup and sweeps until its time, and not longer than that and the grace."""
    fakes, handle = _leased()
    until = _kept(fakes, KEY.name if by_name else handle)
    assert until == fakes.clock.now() + 7200
    assert cleanup.cleanup(fakes.world, KEY, owner=lease.of_job(KEY)).found == []
    fakes.clock.advance(7200 + 3500)
    assert cleanup.sweep(fakes.world, KEY.repository_id, grace_s=3600).found == []
    fakes.clock.advance(200)
    assert cleanup.sweep(fakes.world, KEY.repository_id, grace_s=3600).released == [handle]


def test_it_tells_the_price() -> None:
    """The warning says until when, what an hour costs, and what that makes."""
    fakes, handle = _leased()
    _kept(fakes, handle)
    (warning,) = fakes.job.of_kind("warning")
    assert "$1.00 an hour, $2.00 until then" in str(warning) and "UTC" in str(warning)


@pytest.mark.parametrize("extendable", [False, True])
def test_the_clouds_own_limit_is_named(extendable: bool) -> None:
    """Where the cloud ends machines by itself and cannot be told otherwise, the person is told that it will."""
    fakes, handle = _leased(native=True)
    fakes.machines.extendable = extendable
    _kept(fakes, handle)
    assert ("may end it at" in str(fakes.job.of_kind("warning")[1:])) is not extendable


def test_a_machine_that_is_not_there() -> None:
    """Another repository's machine, or none, is named as missing, with those that exist."""
    fakes, handle = _leased()
    with pytest.raises(errors.ConfigurationError) as raised:
        _kept(fakes, "fake://a/other")
    assert handle in raised.value.what_to_do
