"""What every sign-in promises to whoever has to clean up."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Protocol

import pytest

from accel_ci.adapters.google_sign_in import GoogleSignIn
from accel_ci.ports.credentials import Credentials
from tests.fakes.clock import FakeClock
from tests.fakes.credentials import FakeCredentials
from tests.fakes.files import FakeFiles
from tests.servers import identity
from tests.servers.identity import IdentityServer

CANCELLED_JOB_S = 285


class World(Protocol):
    """A cloud that makes credentials, and those of a job that signed in at the start."""

    clock: FakeClock

    def credentials(self) -> Credentials:
        """As another step of the same job has them."""

    def left_s(self) -> float:
        """How long cleanup can still act without anybody's help."""

    def renewals(self) -> int:
        """How often new ones were made since the start."""

    def refuse(self, refused: bool) -> None:
        """Make no new ones from now on, or make them again."""


class FakeWorld:
    def __init__(self, *, signed_in: bool) -> None:
        self.clock = FakeClock()
        self._made = FakeCredentials(self.clock, signed_in=signed_in)

    def credentials(self) -> Credentials:
        return self._made

    def left_s(self) -> float:
        return self._made.expires_at - self.clock.now()

    def renewals(self) -> int:
        return self._made.renewed

    def refuse(self, refused: bool) -> None:
        self._made.refused = "no" if refused else ""


class GoogleWorld:
    def __init__(self, server: IdentityServer, clock: FakeClock, *, signed_in: bool) -> None:
        self.clock = clock
        self._server = server
        self._files = FakeFiles()
        if signed_in:
            self.credentials().credentials()[0].refresh(None)  # type: ignore[no-untyped-call]
        self._start = len(server.service.state.granted)

    def credentials(self) -> GoogleSignIn:
        variables, provider = self._server.variables(), self._server.service.provider
        return GoogleSignIn(variables, provider=provider, files=self._files, clock=self.clock)

    def left_s(self) -> float:
        return max(each.expires_at for each in self._server.service.state.granted.values()) - self.clock.now()

    def renewals(self) -> int:
        return len(self._server.service.state.granted) - self._start

    def refuse(self, refused: bool) -> None:
        self._server.turn(sign_in_refused=("github",) if refused else ())


@pytest.fixture(params=["fake", "google"])
def kind(request: pytest.FixtureRequest) -> str:
    """Each implementation in turn."""
    return str(request.param)


def world(kind: str, *, signed_in: bool = True) -> Iterator[World]:
    if kind == "fake":
        yield FakeWorld(signed_in=signed_in)
        return
    clock = FakeClock(time.time())
    with identity.opened(clock) as server:
        yield GoogleWorld(server, clock, signed_in=signed_in)


@pytest.fixture
def signed_in(kind: str) -> Iterator[World]:
    """A job that has signed in."""
    yield from world(kind)


@pytest.fixture
def nobody(kind: str) -> Iterator[World]:
    """A job that has not."""
    yield from world(kind, signed_in=False)


def test_nothing_is_done_without_need(signed_in: World) -> None:
    """Asked every second, nothing is made while what is there lasts."""
    credentials = signed_in.credentials()
    assert [credentials.keep_fresh() for _ in range(100)] == [""] * 100
    assert signed_in.renewals() == 0


def test_there_is_always_enough_for_a_cancelled_job(signed_in: World) -> None:
    """Through six hours of a silent run, cleanup has at least a quarter of an hour at any moment."""
    credentials = signed_in.credentials()
    for _ in range(360):
        signed_in.clock.advance(60)
        assert credentials.keep_fresh() == ""
        assert signed_in.left_s() >= 900 > CANCELLED_JOB_S
    assert 8 <= signed_in.renewals() <= 10


def test_a_refusal_is_told_and_tried_again(signed_in: World) -> None:
    """It raises nothing, says why once a minute, and the next success ends it."""
    credentials = signed_in.credentials()
    signed_in.refuse(True)
    signed_in.clock.advance(2500)
    assert credentials.keep_fresh() and credentials.keep_fresh() == ""
    signed_in.clock.advance(61)
    assert credentials.keep_fresh()
    signed_in.refuse(False)
    signed_in.clock.advance(61)
    assert credentials.keep_fresh() == "" and signed_in.renewals() == 1


def test_who_never_signed_in_has_nothing_to_keep(nobody: World) -> None:
    """A job without a cloud is asked for no identity."""
    credentials = nobody.credentials()
    nobody.clock.advance(100_000)
    assert credentials.keep_fresh() == "" and nobody.renewals() == 0
