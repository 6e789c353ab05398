"""What the fake Remote can be told to do, beyond what every Remote does."""

from __future__ import annotations

from dataclasses import replace

import pytest

from accel_ci.domain.errors import ConnectionLostError
from accel_ci.domain.machine import Worker
from accel_ci.domain.verdict import Reason
from accel_ci.domain.workload import Caps
from accel_ci.ports.remote import Ended, Event, Lost, Output
from tests.contracts import remote_worlds
from tests.fakes.clock import FakeClock
from tests.fakes.files import FakeFiles
from tests.fakes.remote import FakeRemote, Script

MACHINE = remote_worlds.machine("m", [Worker(index=0, address="a"), Worker(index=1, address="b")])
PHASE = replace(remote_worlds.phase("true"), lease_expires_at=1e10)


def attached(remote: FakeRemote, offsets: dict[int, int]) -> list[Event]:
    """The events of the phase, which is started when it was not."""
    remote.prepare(MACHINE)
    remote.start(MACHINE, PHASE)
    return [*remote.attach(MACHINE, PHASE, offsets)]


def test_attachment_is_lost_once_at_the_byte() -> None:
    """`lose_after` breaks the first attachment at exactly that byte; the second goes on behind it."""
    remote = FakeRemote({"run": Script(output=b"0123456789", lose_after=4)})
    assert attached(remote, {0: 0}) == [Output(0, 0, b"0123"), Lost(0, "connection reset")]
    first, second = attached(remote, {0: 4})
    assert first == Output(0, 4, b"456789")
    assert isinstance(second, Ended)


def test_dead_worker_stays_dead() -> None:
    """After `dies_after` bytes one worker is gone for good; its sibling goes on."""
    remote = FakeRemote({"run": Script(output=b"ab", workers={1: Script(output=b"ab", dies_after=1)})})
    events = attached(remote, {0: 0, 1: 0})
    assert [type(event) for event in events] == [Output, Output, Ended, Lost]
    with pytest.raises(ConnectionLostError, match=r"w1 \(b\)"):
        remote.stop(MACHINE, PHASE, [1])
    assert [type(event) for event in remote.attach(MACHINE, PHASE, {1: 1})] == [Lost]


def test_endless_phase_ends_at_its_limit() -> None:
    """`never_ends` moves the clock while it is followed, until the phase's own limit is over."""
    clock = FakeClock()
    begun = clock.now()
    last = attached(FakeRemote({"run": Script(never_ends=True)}, clock=clock), {0: 0})[-1]
    assert isinstance(last, Ended)
    assert last.record is not None
    assert last.record.reason is Reason.TIMED_OUT
    assert clock.now() - begun == PHASE.limit_s


def test_missing_and_forged_records_can_be_had() -> None:
    """A phase can end without a record, or with one of the test's making."""
    assert attached(FakeRemote({"run": Script(no_record=True)}), {0: 0}) == [Ended(0, None)]
    (honest,) = attached(FakeRemote(), {0: 0})
    assert isinstance(honest, Ended)
    assert honest.record is not None
    forged = replace(honest.record, nonce="guessed")
    assert attached(FakeRemote({"run": Script(record=forged)}), {0: 0}) == [Ended(0, forged)]


def test_files_can_land_in_the_fake_files() -> None:
    """With `lands_in`, what comes back is a document there; single workers may have files of their own."""
    documents = FakeFiles()
    remote = FakeRemote(files={"a.xml": b"<a/>"}, worker_files={1: {"b.xml": b"<b/>"}}, lands_in=documents)
    got = remote.get(MACHINE, ["*.xml"], caps=Caps(), into=documents.path("place"))
    assert [(file.worker, file.name) for file in got] == [(0, "a.xml"), (1, "a.xml"), (1, "b.xml")]
    assert [documents.read(f"place/{file.path}") for file in got] == [b"<a/>", b"<a/>", b"<b/>"]


def test_calls_are_remembered_in_order() -> None:
    """`calls` says what was asked, in order."""
    remote = FakeRemote()
    attached(remote, {0: 0})
    assert remote.calls == [("prepare", "m"), ("start", "run"), ("attach", "run", {0: 0})]
