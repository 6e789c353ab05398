"""Steps that are told to stop as the real runner does it, while a cloud hangs: SIGINT to what was bash and is our process."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from accel_ci.commands.steps import COLLECT_S
from tests.end_to_end import kills
from tests.end_to_end.kills import INTERRUPTED_S, LEASES, Job, Jobs
from tests.servers.simulator import SimulatorProcess

LIMIT_S = 120.0
CANCELLED = 130
TRAPPED = "trap 'echo politely; exit 3' TERM; echo begun; while :; do sleep 0.1; done"
CREATIONS = ("POST /compute/v1/projects/sim-project/zones/us-central1-b/instances", "POST /v2/projects/sim-project/")
pytestmark = pytest.mark.judge("ssh")


@pytest.fixture
def job(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Job]:
    """A job on a runner, with a cloud of its own; the parameter is its lease."""
    jobs, cloud = Jobs(tmp_path), SimulatorProcess(tmp_path)
    made = Job(cloud, tmp_path, sha=jobs.sha, server=tmp_path / "server", run_id=77)
    made.lease = getattr(request, "param", LEASES[0])
    yield made
    cloud.kill()


def _until(job: Job, process: subprocess.Popen[bytes], text: str) -> None:
    deadline = time.monotonic() + LIMIT_S
    while text not in job.cloud.log() + job.log():
        assert process.poll() is None and time.monotonic() < deadline, job.log()
        time.sleep(0.02)


def _interrupted(process: subprocess.Popen[bytes]) -> tuple[float, int]:
    """When it was told, and its exit code; it must end before the runner would send the second signal."""
    told_at = time.time()
    process.send_signal(signal.SIGINT)
    return told_at, process.wait(timeout=INTERRUPTED_S)


@pytest.mark.parametrize("job", LEASES, indirect=True, ids=lambda lease: lease["backend"])
@pytest.mark.parametrize("knob", ["unanswered", "boot_s"])
def test_a_creation_that_hangs_is_ended_at_the_first_signal(job: Job, knob: str) -> None:
    """Whether the machine boots, or its request still waits for an answer: the delete leaves before the process ends."""
    job.cloud.turn(**{knob: 60.0 if knob == "boot_s" else CREATIONS})
    process = job.begin("provision", job.lease)
    _until(job, process, "POST /")
    while not job.cloud.machines():
        time.sleep(0.02)
    told_at, code = _interrupted(process)
    assert code == CANCELLED, job.log()
    assert kills.first_delete(job.cloud, told_at) is not None
    assert [machine["name"] for machine in job.cloud.machines() if machine["gone_at"] is None] == []


def test_a_command_is_stopped_politely(job: Job) -> None:
    """run-remote ends the command with TERM and its grace, waits for its last words, and leaves the machine to cleanup."""
    assert job.begin("provision", job.lease).wait(timeout=LIMIT_S) == 0, job.log()
    process = job.begin("run-remote", {"run": TRAPPED})
    _until(job, process, "begun")
    _, code = _interrupted(process)
    assert code == CANCELLED and "politely" in job.log(), job.log()
    (machine,) = job.cloud.machines()
    assert machine["gone_at"] is None
    assert job.begin("cleanup", {}, status="cancelled").wait(timeout=LIMIT_S) == 0, job.log()
    assert job.cloud.machines()[0]["gone_at"] is not None


def test_collect_waits_for_no_machine_that_is_gone(job: Job) -> None:
    """In a cancelled job it ends with the first failed connection, and leaves the rest of its minute to cleanup."""
    assert job.begin("provision", job.lease).wait(timeout=LIMIT_S) == 0, job.log()
    assert job.begin("run-remote", {"run": "echo x > kept.txt"}).wait(timeout=LIMIT_S) == 0, job.log()
    assert job.begin("collect", {"paths": "*.txt"}, status="cancelled").wait(timeout=LIMIT_S) == 0, job.log()
    assert "kept.txt: 2 bytes" in job.log()
    assert job.fresh("cleanup").begin("cleanup", {"for": "tpu"}).wait(timeout=LIMIT_S) == 0, job.log()
    collect = job.begin("collect", {"paths": "*.txt"}, status="cancelled")
    assert collect.wait(timeout=COLLECT_S / 2) == 3, job.log()
    assert "is gone, and what was on it: somebody ended it" in job.log() and "60 s are over" not in job.log()


def test_a_silent_zone_delays_no_other_zones_deletes(job: Job) -> None:
    """A cleanup on another runner, with a zone that never answers: what the others have is asked to end all the same."""
    assert job.begin("provision", {**job.lease, "zones": "us-east5-b"}).wait(timeout=LIMIT_S) == 0, job.log()
    job.cloud.turn(hanging=["us-central1-b"])
    process = job.fresh("cleanup").begin("cleanup", {"for": "tpu"})
    _until(job, process, "DELETE /v2/projects/sim-project/locations/us-east5-b/nodes")
    process.kill()
    process.wait()
    assert job.cloud.machines()[0]["gone_at"] is not None
