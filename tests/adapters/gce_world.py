"""What the tests of the Compute Engine backend share: a cloud on this computer, a lease, and how to wait for a machine."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from accel_ci.adapters.gce import GceMachines
from accel_ci.domain.lease import Lease
from accel_ci.domain.machine import Candidate, MachineSpec
from accel_ci.domain.runkey import RunKey
from tests.adapters import google_world
from tests.adapters.google_world import GoogleWorld
from tests.servers.gce_over_http import Cloud, GceServer
from tests.servers.tpu_over_http import Document

KEY = RunKey(repository_id=4711, repository="org/repo", run_id=77, job="gpu")
TTL_S = 2700
LEASE = Lease(key=KEY, expires_at=int(time.time()) + TTL_S)
ZONE = "us-central1-a"
SPOT = Candidate(zone=ZONE, spot=True)
ON_DEMAND = Candidate(zone=ZONE, spot=False)
SPEC = MachineSpec(backend="gce", accelerator="l4-1")
HANDLE = f"gce://my-project/{ZONE}/{KEY.name}"


class GceWorld(GoogleWorld[Cloud, GceMachines]):
    """A cloud with nothing in it, and the backend that talks to it."""

    SPEC, SPOT, LEASE = SPEC, SPOT, LEASE

    def body(self, spec: MachineSpec = SPEC, *, candidate: Candidate = SPOT) -> Document:
        """The body of the request that asks for such a machine."""
        self.begin(spec, candidate=candidate)
        (body,) = self.asked("POST /instances")
        return body


def spec(accelerator: str, **options: str) -> MachineSpec:
    """A machine with these options, `_` for `-`."""
    given = {name.replace("_", "-"): value for name, value in options.items()}
    return MachineSpec(backend="gce", accelerator=accelerator, options=given)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GceWorld]:
    """An empty cloud. Repeated reads do not pause."""
    with google_world.signed_in(tmp_path, monkeypatch) as token, GceServer() as server:
        environment = server.environment(token)
        yield GceWorld(server.cloud, GceMachines(environment), environment)
