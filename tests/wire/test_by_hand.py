"""What accel-ci prints for people to paste, pasted: the real gcloud against the simulated cloud is the judge."""

from __future__ import annotations

import shlex
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from accel_ci.adapters.gce import GceMachines
from accel_ci.adapters.tpu import TpuMachines
from accel_ci.domain import lease
from accel_ci.domain.lease import Lease, Owner
from accel_ci.domain.machine import Candidate, MachineSpec
from accel_ci.domain.runkey import RunKey
from accel_ci.ports.machines import Machines
from tests.servers.simulator import SimulatorProcess

KEY = RunKey(repository_id=4711, repository="org/hello", run_id=77, attempt=2, job="tpu")
SLOT = replace(KEY, slot="second")
OTHERS = (
    replace(KEY, job="other"),
    replace(KEY, attempt=3),
    replace(KEY, run_id=78),
    replace(KEY, repository_id=815),
)
PROJECT = "by-hand"
pytestmark = pytest.mark.judge("gcloud")


@pytest.fixture
def tpu(simulator: SimulatorProcess) -> TpuMachines:
    """The Cloud TPU API in a project of its own."""
    return TpuMachines(simulator.exports, project=PROJECT)


@pytest.fixture
def gce(simulator: SimulatorProcess) -> GceMachines:
    """Compute Engine in the same project."""
    return GceMachines(simulator.exports, project=PROJECT)


@pytest.fixture(autouse=True)
def empty(tpu: TpuMachines, gce: GceMachines) -> Iterator[None]:
    """Nothing is left for other tests on the same simulator."""
    yield
    for machines in (tpu, gce):
        for handle in _living(machines):
            machines.release(handle)


def _lease(machines: Machines, key: RunKey, zone: str, *, accelerator: str, queued: bool = False) -> str:
    spec = MachineSpec(backend="", accelerator=accelerator, options={"queued": "true"} if queued else {})
    wanted = Lease(key=key, expires_at=int(time.time()) + 3600)
    return machines.begin_create(spec, wanted, Candidate(zone=zone, spot=True), public_key="").handle


def _paste(simulator: SimulatorProcess, commands: Sequence[str]) -> None:
    for command in commands:
        done = subprocess.run(
            ["bash", "-c", command], env=simulator.environ, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, f"{command}\n{done.stderr}"


def _living(*backends: Machines) -> set[str]:
    owners = (Owner(repository_id=4711), Owner(repository_id=815))
    return {each.handle for machines in backends for owner in owners for each in machines.list_owned(owner)}


def test_the_search_for_a_jobs_machines_ends_them_and_no_others(
    simulator: SimulatorProcess, tpu: TpuMachines, gce: GceMachines
) -> None:
    """Nodes, queued resources and instances of the job in any zone go, up to its attempt; others live; twice does no harm."""
    spared = {_lease(tpu, key, "us-central1-b", accelerator="v6e-1") for key in OTHERS}
    spared |= {_lease(gce, key, "us-central1-b", accelerator="e2-standard-2") for key in OTHERS}
    kept = _lease(gce, replace(KEY, slot="kept"), "us-central1-b", accelerator="e2-standard-2")
    gce.annotate(kept, "accel-ci-keep-until", str(int(time.time()) + 600))
    _lease(tpu, KEY, "us-east5-b", accelerator="v6e-1")
    _lease(tpu, SLOT, "us-east5-b", accelerator="v6e-1", queued=True)
    _lease(gce, KEY, "us-east1-b", accelerator="e2-standard-2")
    commands = [*gce.search_commands(lease.of_job(KEY)), *tpu.search_commands(lease.of_job(KEY))]
    _paste(simulator, commands)
    assert _living(tpu, gce) == spared | {kept}
    _paste(simulator, commands)


def test_the_search_for_a_repositorys_machines_only_shows_them(
    simulator: SimulatorProcess, tpu: TpuMachines, gce: GceMachines
) -> None:
    """Live runs have machines, too: what the sweeper prints when it cannot look ends nothing."""
    there = _living(tpu, gce) | {_lease(gce, replace(KEY, run_id=79), "us-east1-b", accelerator="e2-standard-2")}
    owner = Owner(repository_id=4711)
    _paste(simulator, [*gce.search_commands(owner), *tpu.search_commands(owner)])
    assert _living(tpu, gce) == there


@pytest.mark.parametrize("queued", [False, True])
def test_a_machine_that_is_only_known_by_name_is_ended(
    simulator: SimulatorProcess, tpu: TpuMachines, gce: GceMachines, queued: bool
) -> None:
    """The commands for a name in a zone end what is there, whichever kind it is; for what is not there gcloud says so."""
    key = replace(KEY, run_id=90 + queued)
    there = _lease(tpu, key, "us-east5-b", accelerator="v6e-1", queued=queued)
    assert tpu.handles(key, ("us-east5-b",)) == [there]
    (nowhere,) = gce.handles(key, ("us-east5-b",))
    for command in (tpu.release_command(there), gce.release_command(nowhere)):
        subprocess.run(["bash", "-c", command], env=simulator.environ, capture_output=True, timeout=120, check=False)
    assert tpu.released(there) and shlex.split(gce.release_command(nowhere))[:4] == [
        "gcloud",
        "compute",
        "instances",
        "delete",
    ]
