"""What the tests of the TPU backend share: a cloud on this computer, a key, a lease, and how to wait for a machine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from accel_ci.adapters.tpu import TpuMachines
from accel_ci.domain.lease import Lease
from accel_ci.domain.machine import Candidate, Creation, Machine, MachineSpec
from accel_ci.domain.runkey import RunKey
from tests.servers.tpu_over_http import Cloud, Document, TpuServer

KEY = RunKey(repository_id=4711, repository="org/repo", run_id=77, job="tpu")
LEASE = Lease(key=KEY, expires_at=1_900_000_000)
ZONE = "us-central1-b"
SPOT = Candidate(zone=ZONE, spot=True)
SPEC = MachineSpec(backend="tpu", accelerator="v6e-1")
QUEUED = MachineSpec(backend="tpu", accelerator="v6e-1", boot_limit_s=120.0, options={"queued": "true"})
PUBLIC_KEY = "ssh-ed25519 AAAA accel-ci"
NODE = f"projects/my-project/locations/{ZONE}/nodes/{KEY.name}"
POLLS = 50


@dataclass(frozen=True)
class TpuWorld:
    """The cloud, and the backend that talks to it."""

    cloud: Cloud
    machines: TpuMachines
    environment: dict[str, str]

    def begin(self, spec: MachineSpec = SPEC, *, candidate: Candidate = SPOT) -> Creation:
        """A creation under the usual lease."""
        return self.machines.begin_create(spec, LEASE, candidate, public_key=PUBLIC_KEY)

    def wait(self, creation: Creation) -> Machine:
        """The machine, looked for without pausing."""
        for _ in range(POLLS):
            creation = self.machines.poll(creation)
            if creation.machine is not None:
                return creation.machine
        raise AssertionError(f"still {creation.stage}")

    def ready(self, spec: MachineSpec = SPEC, *, candidate: Candidate = SPOT) -> Machine:
        """A machine under the usual lease."""
        return self.wait(self.begin(spec, candidate=candidate))

    def asked(self, line: str) -> list[Document]:
        """The bodies of the requests with this `METHOD path-end`."""
        method, end = line.split()
        return [each.body for each in self.cloud.requests if each.method == method and each.path.endswith(end)]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TpuWorld]:
    """An empty cloud. Repeated reads do not pause."""
    monkeypatch.setattr("accel_ci.adapters.google_calls.PAUSE_S", 0.001)
    (tmp_path / "token").write_text("a-token\n")
    with TpuServer() as server:
        environment = server.environment(str(tmp_path / "token"))
        yield TpuWorld(server.cloud, TpuMachines(environment), environment)
