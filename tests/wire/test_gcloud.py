"""The real gcloud as the judge: what people type, against the simulator. Each call takes about half a second."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests import judges
from tests.servers.simulator import SimulatorProcess
from tests.wire import rest
from tests.wire.rest import Zone

pytestmark = [pytest.mark.judge("gcloud", "ssh", "ssh-keygen", "scp")]
LIMIT_S = 120.0  # gcloud tries ssh ten times before it gives up


class Gcloud:
    """gcloud with nothing but the exports and a HOME of its own."""

    def __init__(self, simulator: SimulatorProcess) -> None:
        self._environ = simulator.environ
        key = simulator.home / ".ssh" / "google_compute_engine"
        if not key.exists():  # gcloud would make one, larger and slower
            key.parent.mkdir(mode=0o700)
            command = [judges.require("ssh-keygen"), "-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", str(key)]
            subprocess.run(command, stdin=subprocess.DEVNULL, check=True)

    def run(self, words: str, *more: str) -> subprocess.CompletedProcess[str]:
        """What `gcloud compute tpus <words> <more>` did."""
        command = [judges.require("gcloud"), "compute", "tpus", *words.split(), *more, "--quiet"]
        return subprocess.run(
            command,
            env=self._environ,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    def said(self, words: str, *more: str) -> str:
        """What it printed; it must succeed."""
        done = self.run(words, *more)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def json(self, words: str) -> Any:
        """What it printed, in full."""
        return json.loads(self.said(words, "--format=json"))


@pytest.fixture
def gcloud(simulator: SimulatorProcess) -> Gcloud:
    """gcloud, pointed to the simulator."""
    return Gcloud(simulator)


def test_a_node_from_its_creation_to_its_end(gcloud: Gcloud, zone: Zone) -> None:
    """create, describe, list, list of all zones, stop, start and delete say what they say about a real TPU."""
    options = ("--accelerator-type=v6e-16", "--version=v2-alpha-tpuv6e", "--labels=a=1", "--metadata=k=v")
    created = gcloud.run("tpu-vm create t1 --spot", *options)
    assert created.returncode == 0 and "Created tpu [t1]." in created.stderr
    described = gcloud.json("tpu-vm describe t1")
    assert described["state"] == "READY" and described["schedulingConfig"] == {"spot": True}
    assert (described["labels"], described["metadata"]["k"]) == ({"a": "1"}, "v")
    assert len(described["networkEndpoints"]) == 4
    row = "t1 us-central1-b v6e-16 V6E 4x4 default 10.128.0.0/20 READY"
    assert gcloud.said("tpu-vm list").splitlines()[1].split() == row.split()
    assert [node["name"] for node in gcloud.json("tpu-vm list --zone=-")] == [f"{zone.place}/nodes/t1"]
    gcloud.said("tpu-vm stop t1")
    assert zone.node("t1").state.name == "STOPPED"
    gcloud.said("tpu-vm start t1")
    assert zone.node("t1").state.name == "READY"
    assert "Deleted tpu [t1]." in gcloud.run("tpu-vm delete t1").stderr
    again = gcloud.run("tpu-vm delete t1")
    assert (
        again.returncode == 1
        and "NOT_FOUND: Resource 'projects/p/locations/us-central1-b/nodes/t1' was not found" in again.stderr
    )


def test_ssh_and_scp_on_a_slice(gcloud: Gcloud, zone: Zone, tmp_path: Path) -> None:
    """gcloud brings its key to the node, runs on one worker or all, copies there and back, and hands on the exit status."""
    zone.create("t1", acceleratorType="v6e-16", networkConfig={"enableExternalIps": True})
    done = gcloud.run("tpu-vm ssh root@t1", "--command=echo out; echo err >&2; exit 7")
    assert (done.returncode, done.stdout) == (7, "out\n") and "err\n" in done.stderr
    assert "root:ssh-rsa" in zone.node("t1").metadata["ssh-keys"]
    homes = gcloud.said("tpu-vm ssh root@t1 --worker=all", "--command=pwd").split()
    assert sorted(home.split("/")[-2] for home in homes) == ["w0", "w1", "w2", "w3"]
    (tmp_path / "file").write_text("content")
    gcloud.said("tpu-vm scp --worker=all", str(tmp_path / "file"), "root@t1:there")
    gcloud.said("tpu-vm scp --worker=2 root@t1:there", str(tmp_path / "back"))
    assert (tmp_path / "back").read_text() == "content"
    failed = gcloud.run(
        "tpu-vm ssh root@t1 --worker=all", '--command=test "$(basename $(dirname $PWD))" != w3 || exit 9'
    )
    assert failed.returncode == 9 and "Command execution on worker 3 failed with exit status 9" in failed.stderr


def test_queued_resources(gcloud: Gcloud, zone: Zone) -> None:
    """create, describe, list, a refused and a forced delete."""
    options = ("--node-id=n1", "--accelerator-type=v6e-1", "--runtime-version=v2-alpha-tpuv6e", "--labels=a=1")
    created = gcloud.run("queued-resources create q1 --spot --valid-until-duration=1h", *options)
    assert created.returncode == 0 and "Created queued_resource [q1]." in created.stderr
    rest.eventually(lambda: zone.queued_resource("q1").state.state.name, lambda state: state == "ACTIVE")
    described = gcloud.json("queued-resources describe q1")
    assert described["state"]["state"] == "ACTIVE" and described["spot"] == {}
    assert described["tpu"]["nodeSpec"][0]["node"]["labels"] == {"a": "1"}
    assert gcloud.said("queued-resources list").splitlines()[1].split() == [
        "q1",
        "us-central1-b",
        "1",
        "v6e-1",
        "ACTIVE",
    ]
    refused = gcloud.run("queued-resources delete q1")
    assert refused.returncode == 1 and "FAILED_PRECONDITION" in refused.stderr
    assert "Deleted queued_resource [q1]." in gcloud.run("queued-resources delete q1 --force").stderr
    assert zone.call("GET", "/nodes/n1")[0] == 404


def test_refusals_look_like_googles(gcloud: Gcloud, simulator: SimulatorProcess) -> None:
    """A quota with its details, a stockout of the operation, a name that is taken."""
    create = "tpu-vm create t1 --accelerator-type=v6e-1 --version=v2-alpha-tpuv6e"
    simulator.turn(quota={"*": 0})
    done = gcloud.run(create)
    assert done.returncode == 1 and "RESOURCE_EXHAUSTED: Quota limit 'TPUV6EPerProjectPerRegion" in done.stderr
    assert "type.googleapis.com/google.rpc.QuotaFailure" in done.stderr
    simulator.turn(stockout={"*": 1})
    done = gcloud.run(create)
    assert (
        done.returncode == 1 and '"code": 8' in done.stderr and "There is no more capacity in the zone" in done.stderr
    )
    simulator.turn()
    Zone(simulator, "us-central1-b").create("t1")
    done = gcloud.run(create)
    assert done.returncode == 1 and "ALREADY_EXISTS: Resource 'projects/p/" in done.stderr


def test_the_catalogue_can_be_read(gcloud: Gcloud) -> None:
    """Zones, types and runtime versions, as people look them up before they ask."""
    assert "us-central1-b" in gcloud.said("locations list")
    assert "v6e-16" in gcloud.said("tpu-vm accelerator-types list")
    assert "v2-alpha-tpuv6e" in gcloud.said("tpu-vm versions list")
