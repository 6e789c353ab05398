"""What the tests of the TPU backend share: a cloud on this computer, a key, a lease, and how to wait for a machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from accel_ci.adapters.tpu import TpuMachines
from accel_ci.domain.lease import Lease
from accel_ci.domain.machine import Candidate, MachineSpec
from accel_ci.domain.runkey import RunKey
from tests.adapters import google_world
from tests.adapters.google_world import GoogleWorld
from tests.servers.tpu_over_http import Cloud, TpuServer

KEY = RunKey(repository_id=4711, repository="org/repo", run_id=77, job="tpu")
LEASE = Lease(key=KEY, expires_at=1_900_000_000)
ZONE = "us-central1-b"
SPOT = Candidate(zone=ZONE, spot=True)
SPEC = MachineSpec(backend="tpu", accelerator="v6e-1")
QUEUED = MachineSpec(backend="tpu", accelerator="v6e-1", boot_limit_s=120.0, options={"queued": "true"})
NODE = f"projects/my-project/locations/{ZONE}/nodes/{KEY.name}"


class TpuWorld(GoogleWorld[Cloud, TpuMachines]):
    """A cloud with nothing in it, and the backend that talks to it."""

    SPEC, SPOT, LEASE = SPEC, SPOT, LEASE


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TpuWorld]:
    """An empty cloud. Repeated reads do not pause."""
    with google_world.signed_in(tmp_path, monkeypatch) as token, TpuServer() as server:
        environment = server.environment(token)
        yield TpuWorld(server.cloud, TpuMachines(environment), environment)
