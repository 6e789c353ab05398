"""`accel-ci end` as a person calls it, against the simulated clouds, on machines that were leased elsewhere."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from accel_ci.adapters.gce import GceMachines
from accel_ci.adapters.tpu import TpuMachines
from accel_ci.domain.lease import Lease, Owner
from accel_ci.domain.machine import Candidate, MachineSpec
from accel_ci.domain.runkey import RunKey
from accel_ci.ports.machines import Machines
from tests.servers.simulator import SimulatorProcess

PROJECT = "by-name"
KEY = RunKey(repository_id=4711, repository="org/hello", run_id=77, attempt=2, job="tpu")
KINDS: Mapping[str, tuple[Callable[..., Machines], str, dict[str, str]]] = {
    "tpu": (TpuMachines, "v6e-1", {}),
    "queued": (TpuMachines, "v6e-1", {"queued": "true"}),
    "gce": (GceMachines, "e2-standard-2", {}),
}
Person = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def person(simulator: SimulatorProcess, tmp_path: Path) -> Person:
    """accel-ci in an empty directory of somebody who leased nothing, signed in to the simulated cloud."""

    def called(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "accel_ci", *words, "--project", PROJECT, "--repository-id", "4711"]
        return subprocess.run(
            command, cwd=tmp_path, env=simulator.environ, capture_output=True, text=True, timeout=120, check=False
        )

    return called


@pytest.fixture(autouse=True)
def empty(simulator: SimulatorProcess) -> Iterator[None]:
    """Nothing is left for other tests on the same simulator."""
    yield
    for make in (TpuMachines, GceMachines):
        machines: Machines = make(simulator.exports, project=PROJECT)
        for handle in _living(machines) | _living(machines, 815):
            machines.release(handle)


def _leased(simulator: SimulatorProcess, kind: str, key: RunKey, *, for_s: int = 3600) -> tuple[Machines, str]:
    make, accelerator, options = KINDS[kind]
    machines = make(simulator.exports, project=PROJECT)
    spec = MachineSpec(backend="", accelerator=accelerator, options=options)
    lease = Lease(key=key, expires_at=int(time.time()) + for_s)
    zone = Candidate(zone="us-east5-b" if accelerator == "v6e-1" else "us-east1-b", spot=True)
    return machines, machines.begin_create(spec, lease, zone, public_key="").handle


def _living(machines: Machines, repository_id: int = 4711) -> set[str]:
    return {each.handle for each in machines.list_owned(Owner(repository_id=repository_id))}


@pytest.mark.parametrize("kind", KINDS)
def test_one_machine_ends_and_no_other(simulator: SimulatorProcess, person: Person, kind: str) -> None:
    """`list` names what exists and the command; a live one needs --force; then it is gone for certain, its siblings not."""
    key = replace(KEY, job=kind)
    machines, handle = _leased(simulator, kind, key)
    _, sibling = _leased(simulator, kind, replace(key, slot="second"))
    listed = person("list")
    assert handle in listed.stdout and f"end it: accel-ci end {handle} --repository-id 4711" in listed.stderr
    refused = person("end", key.name)
    assert refused.returncode == 2 and "its lease goes on" in refused.stderr and "leased by run 77" in refused.stderr
    assert _living(machines) == {handle, sibling}
    done = person("end", key.name, "--force")
    assert done.returncode == 0 and f"{handle} is gone" in done.stderr and "an hour" in done.stderr, done.stderr
    assert machines.released(handle) and _living(machines) == {sibling}
    assert person("end", handle, "--force").returncode == 2  # nobody may read a mistyped handle as ended


@pytest.mark.parametrize("kind", ["tpu", "gce"])
def test_a_handle_says_its_project(simulator: SimulatorProcess, tmp_path: Path, kind: str) -> None:
    """The command that `list` prints works where another project is one's own: there the machine would not exist."""
    machines, handle = _leased(simulator, kind, replace(KEY, job="elsewhere"))
    command = [sys.executable, "-m", "accel_ci", "end", handle, "--repository-id", "4711"]

    def end(*words: str) -> subprocess.CompletedProcess[str]:
        environ = {**simulator.environ, "CLOUDSDK_CORE_PROJECT": "my-own"}
        return subprocess.run(
            [*command, *words], cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=120, check=False
        )

    refused = end()
    assert refused.returncode == 2 and "its lease goes on" in refused.stderr, refused.stderr
    assert end("--force", "--project", "a-third").returncode == 0 and machines.released(handle)


def test_another_repositorys_machine_lives_on(simulator: SimulatorProcess, person: Person) -> None:
    """Its handle and --force are not enough: the labels name somebody else."""
    machines, handle = _leased(simulator, "gce", replace(KEY, repository_id=815))
    refused = person("end", handle, "--force")
    assert refused.returncode == 2 and "has no machine" in refused.stderr
    assert _living(machines, 815) == {handle}


def test_what_is_kept_lives_on(simulator: SimulatorProcess, person: Person) -> None:
    """`keep` and `end` agree: what was kept a moment ago needs --force."""
    machines, handle = _leased(simulator, "tpu", replace(KEY, job="kept"), for_s=60)
    assert person("keep", handle, "--until", "1h").returncode == 0
    refused = person("end", handle)
    assert refused.returncode == 2 and "somebody keeps it" in refused.stderr and _living(machines) == {handle}
    assert person("end", handle, "--force").returncode == 0 and not _living(machines)
