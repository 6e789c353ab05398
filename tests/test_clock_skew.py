"""A runner whose clock is minutes off: what is counted by other clocks than its own ends neither early nor late."""

from __future__ import annotations

import datetime as dt

import pytest
from google.auth import credentials

from accel_ci.adapters import gce_instances, gce_options, google_exchange
from accel_ci.adapters.github_calls import Calls
from accel_ci.adapters.github_rest import GitHubRest
from accel_ci.domain import overdue
from accel_ci.domain.errors import TransientError
from accel_ci.domain.lease import Lease
from accel_ci.domain.machine import Candidate, MachineSpec
from accel_ci.operations import sweeping
from tests.contracts import github_worlds
from tests.fakes.clock import START, FakeClock
from tests.fakes.entropy import FakeEntropy
from tests.usecases import worlds

OFF = [600.0, -600.0]
KEY = worlds.KEY


@pytest.mark.parametrize("ahead_s", OFF)
def test_githubs_limits_are_counted_by_githubs_clock(ahead_s: float) -> None:
    """With a clock that is ahead nothing is asked before the time has come, with one that is behind nothing waits longer."""
    with github_worlds.wired() as setting:
        clock = FakeClock(START + ahead_s)
        calls = Calls(github_worlds.TOKEN, "org/hello", api_url=setting.address, clock=clock, entropy=FakeEntropy())
        setting.state.remaining, setting.state.resets_at = 0, setting.state.now() + 1800
        with pytest.raises(TransientError, match="used up for another 180"):
            GitHubRest(calls).pull_request(5)
        assert clock.slept == [] and len(setting.exchanges) == 1


@pytest.mark.parametrize("ahead_s", OFF)
def test_the_clouds_own_limit_is_the_lease_s_length(ahead_s: float) -> None:
    """Compute Engine is told how long, and not until when."""
    now = START + ahead_s
    spec = MachineSpec(backend="gce", accelerator="e2-standard-2")
    lease = Lease(key=KEY, expires_at=int(now + 1800))
    body = gce_instances.body(
        spec,
        gce_options.checked(spec),
        lease,
        Candidate(zone="us-central1-b", spot=True),
        public_key="",
        now=now,
    )
    assert body["scheduling"]["max_run_duration"]["seconds"] == 1800


@pytest.mark.parametrize("leased_s", OFF)
@pytest.mark.parametrize("sweeps_s", OFF)
def test_the_sweeper_s_grace_is_longer_than_two_clocks_are_off(leased_s: float, sweeps_s: float) -> None:
    """Leased by a clock that is behind, swept by one that is ahead: until the lease ends nobody's machine is overdue."""
    labels = Lease(key=KEY, expires_at=int(START + leased_s + 1800)).labels()
    last = START + 1800
    assert not overdue.judge(labels, now=last + sweeps_s, grace_s=sweeping.GRACE_S).overdue


class _Account(credentials.Credentials):
    """Acts as a service account, whose tokens end by Google's clock."""

    def __init__(self, ends_at: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._ends_at = ends_at

    def refresh(self, request: object) -> None:
        """Made an hour before its end, by Google's clock."""
        self.token = "x"
        self.expiry = dt.datetime.fromtimestamp(self._ends_at, dt.UTC).replace(tzinfo=None)


@pytest.mark.parametrize("ahead_s", [600.0, -600.0, -7200.0])
def test_a_token_is_renewed_before_its_end_by_any_clock(ahead_s: float) -> None:
    """A token lives an hour at most: with a clock two hours behind it is not used, dead, for two hours more."""
    now = dt.datetime.now(dt.UTC).timestamp()
    clock = FakeClock(now)
    token = google_exchange.refreshed(_Account(now - ahead_s + 3600), clock)
    assert token.renew_at <= now + 2400 and now < token.renew_at < token.expires_at <= now + 3600
