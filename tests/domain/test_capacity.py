"""The capacity walk."""

from __future__ import annotations

from accel_ci.domain import capacity, errors
from accel_ci.domain.machine import Candidate


def _candidate(zone: str, *, spot: bool = True) -> Candidate:
    return Candidate(zone=zone, spot=spot)


A, B, OTHER, ON_DEMAND = (
    _candidate("us-central1-a"),
    _candidate("us-central1-b"),
    _candidate("us-east5-a"),
    _candidate("us-central1-a", spot=False),
)


def test_a_full_zone_tries_the_next() -> None:
    """No capacity, a failed boot or a lost answer leaves all other candidates in their order."""
    for error in (errors.NoCapacityError("x"), errors.BootError("x"), errors.TransientError("x")):
        assert capacity.remaining([B, OTHER], failed=A, error=error) == [B, OTHER]


def test_a_quota_skips_its_region() -> None:
    """A quota for spot in a region says nothing of other regions, nor of on-demand."""
    assert capacity.remaining([B, OTHER, ON_DEMAND], failed=A, error=errors.QuotaError("x")) == [OTHER, ON_DEMAND]


def test_a_quota_of_all_regions_skips_the_backend() -> None:
    """GPUS_ALL_REGIONS is the same everywhere; the other backend counts its own."""
    other = Candidate(zone="us-central1-a", spot=True, backend="tpu")
    error = errors.QuotaError("x", everywhere=True)
    assert capacity.remaining([B, OTHER, ON_DEMAND, other], failed=A, error=error) == [other]


def test_quotas_and_doors_are_a_backends_own() -> None:
    """A quota or a denial of one backend says nothing of the other one, in the same region."""
    other = Candidate(zone="us-central1-a", spot=True, backend="tpu")
    assert capacity.remaining([B, other], failed=A, error=errors.QuotaError("x")) == [other]
    assert capacity.remaining([B, other], failed=A, error=errors.AccessError("x")) == [other]


def test_everything_else_stops_the_walk() -> None:
    """Denied access, a bad configuration, a cancellation or an unverified cleanup ends it at once."""
    for error in (
        errors.AccessError("x"),
        errors.ConfigurationError("x"),
        errors.CancelledError("x"),
        errors.CleanupUnverifiedError("x", commands=()),
    ):
        assert capacity.remaining([B, OTHER], failed=A, error=error) == []


def test_each_answer_has_its_word() -> None:
    """The record names every kind of answer."""
    assert capacity.outcome(errors.NoCapacityError("x")) == "no-capacity"
    assert capacity.outcome(errors.QuotaError("x")) == "quota"
    assert capacity.outcome(errors.AccessError("x")) == "access"
    assert capacity.outcome(errors.BootError("x")) == "boot-failed"
    assert capacity.outcome(errors.ConnectionLostError("x")) == "transient"
    assert capacity.outcome(errors.CancelledError("x")) == "cancelled"
    assert capacity.outcome(errors.AccelError("x")) == "error"
