"""The real gcloud as the judge: what people type, against the simulator. Each call takes about half a second."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.servers.simulator import SimulatorProcess
from tests.wire import rest
from tests.wire.gcloud import Gcloud
from tests.wire.rest import Zone

pytestmark = [pytest.mark.judge("gcloud", "ssh", "ssh-keygen", "scp")]


@pytest.fixture
def gcloud(simulator: SimulatorProcess) -> Gcloud:
    """gcloud, pointed to the simulator."""
    return Gcloud(simulator, "tpus")


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


def test_everything_that_can_be_said_of_a_node(gcloud: Gcloud, zone: Zone, tmp_path: Path) -> None:
    """Each option of create reaches the node, from files too; --async leaves the operation to be looked at."""
    (tmp_path / "start.sh").write_text("echo started > started.txt\n")
    options = (
        *("--accelerator-type=v6e-1", "--version=v2-alpha-tpuv6e", "--preemptible", "--async", "--internal-ips"),
        *("--labels=team=x,kind=ci", "--metadata=k=v", f"--metadata-from-file=startup-script={tmp_path}/start.sh"),
        *("--description=hello there", "--tags=t1,t2", "--service-account=x@p.iam.gserviceaccount.com"),
        *(
            "--scopes=https://www.googleapis.com/auth/devstorage.read_only",
            "--shielded-secure-boot",
            "--range=10.3.0.0/20",
        ),
    )
    begun = gcloud.run("tpu-vm create t1", *options)
    assert begun.returncode == 0 and "Check operation [projects/p/locations/us-central1-b/operations/" in begun.stderr
    rest.eventually(lambda: zone.node("t1").state.name, lambda state: state == "READY")
    node = gcloud.json("tpu-vm describe t1")
    assert node["metadata"] == {"k": "v", "startup-script": "echo started > started.txt\n"}
    assert (node["description"], node["tags"], node["cidrBlock"]) == ("hello there", ["t1", "t2"], "10.3.0.0/20")
    assert node["serviceAccount"]["scope"] == ["https://www.googleapis.com/auth/devstorage.read_only"]
    assert node["schedulingConfig"] == {"preemptible": True} and node["shieldedInstanceConfig"]["enableSecureBoot"]
    assert "accessConfig" not in node["networkEndpoints"][0], "no address outside"
    gcloud.said("tpu-vm update t1 --update-labels=team=y --add-tags=t3 --description=new --remove-metadata=k")
    changed = zone.node("t1")
    assert (dict(changed.labels), list(changed.tags)) == ({"team": "y", "kind": "ci"}, ["t1", "t2", "t3"])
    assert changed.description == "new" and "k" not in changed.metadata
    gcloud.said("tpu-vm update t1 --no-internal-ips --clear-labels")
    changed = zone.node("t1")
    assert changed.network_endpoints[0].access_config.external_ip and not changed.labels


def test_lists_can_be_narrowed_and_shaped(gcloud: Gcloud, zone: Zone) -> None:
    """Filters, limits, pages, orders and formats, in one zone and in all."""
    for number, label in enumerate("aab"):
        zone.create(f"t{number}", labels={"group": label})
    wanted = gcloud.said("tpu-vm list --zone=- --filter=labels.group=a", "--format=value(name.basename())")
    assert wanted.split() == ["t0", "t1"]
    assert len(gcloud.json("tpu-vm list --page-size=1")) == 3
    assert gcloud.said("tpu-vm list --sort-by=~name", "--format=value(name)").split() == ["t2", "t1", "t0"]
    assert gcloud.said("tpu-vm list --limit=1", "--format=value(name)").split() == ["t0"]
    assert gcloud.said("tpu-vm describe t2", "--format=value(state,labels.group)").split() == ["READY", "b"]
    assert gcloud.said("tpu-vm list --filter=state=STOPPED", "--format=value(name)") == ""


def test_several_nodes_of_one_request(gcloud: Gcloud, zone: Zone, tmp_path: Path) -> None:
    """A multislice request counts its nodes, and ssh and scp reach all of them through it."""
    options = ("--accelerator-type=v6e-1", "--runtime-version=v2-alpha-tpuv6e", "--node-count=2", "--node-prefix=ms")
    until = ("--valid-until-time=2999-01-01T00:00:00Z", "--valid-after-duration=1s")
    gcloud.said("queued-resources create q1 --guaranteed", *options, *until)
    rest.eventually(lambda: zone.queued_resource("q1").state.state.name, lambda state: state == "ACTIVE")
    assert gcloud.said("queued-resources list", "--format=value(tpu.nodeSpec.len())").strip() == "2"
    homes = gcloud.said("queued-resources ssh root@q1 --node=all --worker=all", "--command=pwd").split()
    assert sorted(home.split("/")[-3].rpartition("-")[0] for home in homes) == ["ms-0", "ms-1"]
    (tmp_path / "tree/sub").mkdir(parents=True)
    (tmp_path / "tree/sub/file").write_text("content")
    gcloud.said("queued-resources scp --recurse --node=all --worker=all", str(tmp_path / "tree"), "root@q1:")
    told = gcloud.said("queued-resources ssh root@q1 --node=1", "--command=cat tree/sub/file")
    assert told == "content"
    assert gcloud.run("queued-resources ssh root@q1 --node=0", "--command=exit 3").returncode == 3
    assert "Deleted queued_resource [q1]." in gcloud.run("queued-resources delete q1 --force").stderr


def test_what_waits_and_what_never_comes(gcloud: Gcloud, simulator: SimulatorProcess, zone: Zone) -> None:
    """Without capacity a request waits and expires; one for a reservation fails; what failed is deleted without force."""
    simulator.turn(stockout={"*": 1})
    options = ("--accelerator-type=v6e-1", "--runtime-version=v2-alpha-tpuv6e")
    gcloud.said("queued-resources create q1 --node-id=n1 --spot --valid-until-duration=2s", *options)
    state = gcloud.said("queued-resources describe q1", "--format=value(state.state)").strip()
    assert state in ("WAITING_FOR_RESOURCES", "FAILED")
    rest.eventually(lambda: zone.queued_resource("q1").state.state.name, lambda found: found == "FAILED")
    reserved = gcloud.run("queued-resources create q2 --node-id=n2 --reserved", *options)
    assert reserved.returncode == 0
    rest.eventually(lambda: zone.queued_resource("q2").state.state.name, lambda found: found == "FAILED")
    for name in ("q1", "q2"):
        assert f"Deleted queued_resource [{name}]." in gcloud.run(f"queued-resources delete {name}").stderr
    node = gcloud.run("tpu-vm create t1 --reserved --accelerator-type=v6e-1 --version=v2-alpha-tpuv6e")
    assert node.returncode == 1 and "reserv" in node.stderr
