"""The supervisor of the model: when phases end, and what they leave."""

from __future__ import annotations

import pytest

from accel_ci_sim.world.worker import NEVER, End, Running, Script, Worker
from tests.world import models

TALKING = Script(seconds=100.0, output=((0.0, b"a"), (50.0, b"bc"), (99.0, b"d")))


def _end(running: Running, now: float) -> End:
    running.settle(now)
    assert running.end is not None
    return running.end


def test_a_command_ends_by_itself() -> None:
    """Its record carries key, nonce, phase, exit code, and all output; before the end there is none."""
    running = models.running(TALKING)
    running.settle(99.9)
    assert running.end is None
    end = _end(running, 100.0)
    assert (end.key, end.nonce, end.phase, end.reason, end.exit_code) == ("k", "n", "run", "exited", 0)
    assert (end.started_at, end.ended_at, end.output_bytes) == (0.0, 100.0, 4)


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"limit_s": 60.0}, "timed-out"),
        ({"lease_expires_at": 60.0}, "lease-expired"),
        ({"unattended_s": 60.0}, "unattended"),
    ],
)
def test_limits_end_a_command(limits: dict[str, float], reason: str) -> None:
    """Time limit, end of the lease and nobody attached end it by TERM; what it wrote until then counts."""
    end = _end(models.running(TALKING, **limits), 1000.0)
    assert (end.reason, end.exit_code, end.signal, end.ended_at) == (reason, None, 15, 60.2)
    assert end.output_bytes == 3


def test_a_stubborn_command_is_killed_after_its_grace() -> None:
    """TERM, 20 s, KILL: the record says signal 9."""
    end = _end(models.running(Script(seconds=100.0, stubborn=True), limit_s=60.0), 1000.0)
    assert (end.reason, end.signal, end.ended_at) == ("timed-out", 9, 80.0)


def test_a_polite_stop() -> None:
    """A stop ends the phase as cancelled; a second one, or one after the end, changes nothing."""
    running = models.running(TALKING)
    running.stop(10.0)
    running.stop(10.1)
    assert _end(running, 11.0).reason == "cancelled"
    running.stop(12.0)
    assert _end(running, 12.0).ended_at == 10.2


def test_attending_keeps_a_command_alive() -> None:
    """The unattended limit counts from the last detachment, not from the start."""
    running = models.running(TALKING, unattended_s=30.0)
    running.attach(20.0)
    running.detach(60.0)
    running.settle(89.0)
    assert running.end is None
    assert _end(running, 91.0).reason == "unattended"


def test_two_followers_are_counted() -> None:
    """While one of them is left the phase is attended."""
    running = models.running(TALKING, unattended_s=10.0)
    running.attach(0.0)
    running.attach(1.0)
    running.detach(2.0)
    running.settle(99.0)
    assert running.end is None


def test_an_orphaned_phase_leaves_no_record() -> None:
    """When the supervisor is gone the phase is over, and stays without an end."""
    running = models.running(Script(seconds=100.0, orphaned=True))
    running.settle(49.0)
    assert not running.over
    running.settle(50.0)
    running.settle(5000.0)
    assert running.over and running.end is None


def test_a_command_that_cannot_be_started() -> None:
    """The record says so at once."""
    assert _end(models.running(Script(seconds=1.0, starts=False)), 0.0).reason == "not-started"


def test_output_is_there_when_it_was_written() -> None:
    """By offset: what is there now, and when the next byte comes."""
    running = models.running(TALKING)
    assert (running.written(49.0), running.written(50.0)) == (b"a", b"abc")
    assert (running.next_output_at(0), running.next_output_at(1), running.next_output_at(3)) == (0.0, 50.0, 99.0)
    assert running.next_output_at(4) == NEVER


def test_output_stops_with_its_command() -> None:
    """A phase ended early never writes the rest."""
    running = models.running(TALKING, limit_s=60.0)
    running.settle(1000.0)
    assert running.written(1000.0) == b"abc" and running.next_output_at(3) == NEVER


def test_a_machine_that_dies_leaves_no_record() -> None:
    """Phases that were running stay without an end for ever; those that had ended keep theirs."""
    worker = Worker(0, {})
    worker.phases = {"setup": models.running(Script(seconds=5.0)), "run": models.running(TALKING)}
    worker.die(50.0)
    for running in worker.phases.values():
        running.settle(1000.0)
    assert worker.phases["setup"].end is not None and worker.phases["run"].end is None
