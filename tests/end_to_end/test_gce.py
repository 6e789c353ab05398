"""`accel-ci run --accelerator l4-1`: the whole journey on GPU machines that are not there, over HTTP and ssh that are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from accel_ci.domain.verdict import Verdict
from tests.end_to_end.terminal import Terminal
from tests.servers.gce_over_http import HEALTH, WELL, Cloud, GceServer
from tests.servers.proxy import Serving
from tests.servers.ssh_in_python import PythonSshServer
from tests.servers.tpu_over_http import Document, Host

STOCKOUT = {"code": "ZONE_RESOURCE_POOL_EXHAUSTED", "message": "The zone does not have enough resources available."}
QUOTA = {"code": "QUOTA_EXCEEDED", "message": "Quota 'PREEMPTIBLE_NVIDIA_L4_GPUS' exceeded. Limit: 0.0 in region us-east4."}
ZONES = "us-central1-a,us-east4-a,us-east4-c,europe-west1-b"


class Datacentre:
    """A cloud whose machines are ssh servers that let in the key of their metadata, and nobody else."""

    def __init__(self, server: GceServer, directory: Path) -> None:
        self.cloud: Cloud = server.cloud
        self.environment = server.environment(str(directory / "token"))
        (directory / "token").write_text("a-token")
        self._serving = Serving()
        self._homes = directory / "homes"
        self._servers: list[PythonSshServer] = []
        self.cloud.boot = self._boot

    def close(self) -> None:
        for each in self._servers:
            each.close()
        self._serving.close()

    def _boot(self, instance: Document) -> Host:
        metadata = {item["key"]: item["value"] for item in instance["metadata"]["items"]}
        user, _, public_key = metadata["ssh-keys"].partition(":")
        assert user == "accel-ci"
        home = self._homes / str(len(self._servers))
        home.mkdir(parents=True)
        self._servers.append(PythonSshServer(self._serving, home, public_key=public_key, address=f"127.0.0.{2 + len(self._servers)}"))
        return Host(self._servers[-1].address, 22, self._servers[-1].host_key)


@pytest.fixture
def datacentre(tmp_path: Path) -> Iterator[Datacentre]:
    """An empty one."""
    with GceServer.opened() as server:
        opened = Datacentre(server, tmp_path)
        yield opened
        opened.close()
