"""What the tests of the Compute Engine backend share: a cloud on this computer, a lease, and how to wait for a machine."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from accel_ci.adapters.gce import GceMachines
from accel_ci.domain.lease import Lease
from accel_ci.domain.machine import Candidate, Creation, Machine, MachineSpec
from accel_ci.domain.runkey import RunKey
from tests.servers.gce_over_http import Cloud, GceServer
from tests.servers.tpu_over_http import Document

KEY = RunKey(repository_id=4711, repository="org/repo", run_id=77, job="gpu")
TTL_S = 2700
LEASE = Lease(key=KEY, expires_at=int(time.time()) + TTL_S)
ZONE = "us-central1-a"
SPOT = Candidate(zone=ZONE, spot=True)
ON_DEMAND = Candidate(zone=ZONE, spot=False)
SPEC = MachineSpec(backend="gce", accelerator="l4-1")
PUBLIC_KEY = "ssh-ed25519 AAAA accel-ci"
HANDLE = f"gce://my-project/{ZONE}/{KEY.name}"
POLLS = 50


@dataclass(frozen=True)
class GceWorld:
    """The cloud, and the backend that talks to it."""

    cloud: Cloud
    machines: GceMachines
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

    def body(self, spec: MachineSpec = SPEC, *, candidate: Candidate = SPOT) -> Document:
        """The body of the request that asks for such a machine."""
        self.begin(spec, candidate=candidate)
        (body,) = self.asked("POST /instances")
        return body

    def asked(self, line: str) -> list[Document]:
        """The bodies of the requests with this `METHOD path-end`."""
        method, end = line.split()
        return [each.body for each in self.cloud.requests if each.method == method and each.path.endswith(end)]


def spec(accelerator: str, **options: str) -> MachineSpec:
    """A machine with these options, `_` for `-`."""
    given = {name.replace("_", "-"): value for name, value in options.items()}
    return MachineSpec(backend="gce", accelerator=accelerator, options=given)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GceWorld]:
    """An empty cloud. Repeated reads do not pause."""
    monkeypatch.setattr("accel_ci.adapters.google_calls.PAUSE_S", 0.001)
    (tmp_path / "token").write_text("a-token\n")
    with GceServer() as server:
        environment = server.environment(str(tmp_path / "token"))
        yield GceWorld(server.cloud, GceMachines(environment), environment)
