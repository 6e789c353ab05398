"""The real gcloud as the judge of the simulated Compute Engine: what people type, each command and its result."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.servers.simulator import SimulatorProcess
from tests.wire import rest
from tests.wire.compute_rest import ComputeZone
from tests.wire.gcloud import Gcloud

pytestmark = [pytest.mark.judge("gcloud", "ssh", "ssh-keygen", "scp")]
LEARNING = ("--image-family=common-cu128-ubuntu-2204-nvidia-570", "--image-project=deeplearning-platform-release")
TPU = ("--image-family=ubuntu-accel-2204-amd64-tpu-v5e-v5p-v6e", "--image-project=ubuntu-os-accelerator-images")
LIMIT = ("--max-run-duration=1h", "--instance-termination-action=DELETE")


@pytest.fixture
def gcloud(simulator: SimulatorProcess) -> Gcloud:
    """gcloud compute, pointed to the simulator."""
    return Gcloud(simulator)


def test_instances_create_describe_list_delete_with_spot_accelerator_and_max_run_duration(gcloud: Gcloud) -> None:
    """Created is RUNNING in the table, described with all that was asked for, listed by label, deleted, then 404."""
    options = ("--accelerator=type=nvidia-tesla-t4,count=2", "--maintenance-policy=TERMINATE", "--labels=owner=me")
    more = ("--no-service-account", "--no-scopes", "--boot-disk-size=200GB", "--tags=ssh", "--shielded-secure-boot")
    row = gcloud.said(
        "instances create t1 --machine-type=n1-standard-8 --provisioning-model=SPOT", *LEARNING, *LIMIT, *options, *more
    )
    assert row.splitlines()[1].split()[:4] == ["t1", "us-central1-b", "n1-standard-8", "true"] and "RUNNING" in row
    found = gcloud.json("instances describe t1")
    assert found["scheduling"] == {
        "automaticRestart": False,
        "instanceTerminationAction": "DELETE",
        "maxRunDuration": {"seconds": "3600"},
        "onHostMaintenance": "TERMINATE",
        "preemptible": True,
        "provisioningModel": "SPOT",
    }
    assert found["guestAccelerators"][0]["acceleratorCount"] == 2 and found["labels"] == {"owner": "me"}
    assert "serviceAccounts" not in found or not found["serviceAccounts"]
    assert found["shieldedInstanceConfig"]["enableSecureBoot"] and found["disks"][0]["diskSizeGb"] == "200"
    for words in ("labels.owner=me", "labels.owner=me AND status=RUNNING", "name~^t.$", "zone:us-central1-b"):
        assert [each["name"] for each in gcloud.json("instances list", f"--filter={words}")] == ["t1"], words
    assert gcloud.json("instances list", "--filter=labels.owner=you") == []
    assert (
        "Deleted [https://www.googleapis.com/compute/v1/projects/p/zones/" in gcloud.run("instances delete t1").stderr
    )
    again = gcloud.run("instances describe t1")
    assert again.returncode == 1
    assert "The resource 'projects/p/zones/us-central1-b/instances/t1' was not found" in again.stderr


def test_instances_create_of_a_tpu_and_of_a_plain_cpu(gcloud: Gcloud) -> None:
    """ct6e-standard-1t with its image, and a machine with nothing but defaults."""
    gcloud.said(
        "instances create tpu --machine-type=ct6e-standard-1t --maintenance-policy=TERMINATE",
        *TPU,
        *LIMIT,
        "--no-address",
    )
    gcloud.said("instances create cpu")
    tpu, cpu = gcloud.json("instances describe tpu"), gcloud.json("instances describe cpu")
    assert tpu["guestAccelerators"][0]["acceleratorType"].endswith("/acceleratorTypes/ct6e")
    assert "accessConfigs" not in tpu["networkInterfaces"][0] and "terminationTimestamp" in str(tpu["resourceStatus"])
    assert cpu["machineType"].endswith("/n1-standard-1") and cpu["scheduling"]["onHostMaintenance"] == "MIGRATE"


def test_ssh_and_scp_there_and_back_with_the_exit_status(gcloud: Gcloud, compute: ComputeZone, tmp_path: Path) -> None:
    """gcloud puts its key into the project, pins the host keys of the guest attributes, and hands on the exit status."""
    gcloud.said("instances create t1 --metadata=enable-guest-attributes=TRUE")
    done = gcloud.run("ssh root@t1", "--command=echo out; echo err >&2; exit 7")
    assert (done.returncode, done.stdout) == (7, "out\n") and "err\n" in done.stderr
    assert "Writing 2 keys to" in done.stderr
    shared = compute.project("GET", "")[1]["commonInstanceMetadata"]["items"]
    assert [item["key"] for item in shared] == ["ssh-keys"] and "root:ssh-rsa" in shared[0]["value"]
    (tmp_path / "file").write_text("content")
    gcloud.said("scp", str(tmp_path / "file"), "root@t1:there")
    gcloud.said("scp root@t1:there", str(tmp_path / "back"))
    assert (tmp_path / "back").read_text() == "content"


def test_ssh_to_a_machine_that_blocks_the_projects_keys(gcloud: Gcloud, compute: ComputeZone) -> None:
    """gcloud puts its key into the instance's own metadata instead, and gets in."""
    gcloud.said("instances create t1 --metadata=block-project-ssh-keys=TRUE")
    assert gcloud.said("ssh root@t1", "--command=echo in") == "in\n"
    assert "items" not in compute.project("GET", "")[1]["commonInstanceMetadata"]
    assert "root:ssh-rsa" in str(compute.instance().metadata)


def test_instances_stop_start_reset_and_what_changes_while_stopped(gcloud: Gcloud) -> None:
    """stop, set-machine-type, set-scheduling, start, reset: the status follows, the files stay."""
    gcloud.said("instances create t1 --machine-type=e2-standard-4")
    gcloud.said("ssh root@t1", "--command=touch kept")
    refused = gcloud.run("instances set-machine-type t1 --machine-type=e2-small")
    assert refused.returncode == 1 and "is not ready" in refused.stderr
    gcloud.said("instances stop t1")
    assert gcloud.json("instances describe t1")["status"] == "TERMINATED"
    gcloud.said("instances set-machine-type t1 --machine-type=e2-small")
    gcloud.said("instances set-scheduling t1", *LIMIT)
    assert "Instance external IP is 127." in gcloud.run("instances start t1").stderr
    found = gcloud.json("instances describe t1")
    assert (found["status"], found["machineType"].rpartition("/")[2]) == ("RUNNING", "e2-small")
    assert found["scheduling"]["maxRunDuration"] == {"seconds": "3600"}
    gcloud.said("instances reset t1")
    assert gcloud.said("ssh root@t1", "--command=ls") == "kept\n"
    # A client that knows the address comes back to it.
    assert gcloud.json("instances describe t1")["networkInterfaces"] == found["networkInterfaces"]


def test_add_labels_remove_labels_add_metadata_add_tags_and_protection(gcloud: Gcloud) -> None:
    """Each reads the fingerprint first; a protected instance is not deleted."""
    gcloud.said("instances create t1 --labels=a=1")
    gcloud.said("instances add-labels t1 --labels=b=2")
    gcloud.said("instances remove-labels t1 --labels=a")
    gcloud.said("instances add-metadata t1 --metadata=k=v")
    gcloud.said("instances add-tags t1 --tags=web")
    gcloud.said("instances update t1 --deletion-protection")
    found = gcloud.json("instances describe t1")
    assert found["labels"] == {"b": "2"} and found["tags"]["items"] == ["web"]
    assert {"key": "k", "value": "v"} in found["metadata"]["items"]
    refused = gcloud.run("instances delete t1")
    assert refused.returncode == 1 and "protected against deletion" in refused.stderr
    gcloud.said("instances update t1 --no-deletion-protection")
    gcloud.said("instances delete t1")


def test_get_serial_port_output_and_get_guest_attributes_of_a_startup_script(gcloud: Gcloud) -> None:
    """The console has what the script said and how it ended; the attributes have what it wrote, host keys among them."""
    script = """#!/bin/sh
    echo hello from boot
    server="http://metadata.google.internal/computeMetadata/v1/instance/guest-attributes"
    curl -s -X PUT --data ready -H "Metadata-Flavor: Google" "$server/accel-ci/stage"
    exit 3
    """
    gcloud.said("instances create t1", f"--metadata=^|^enable-guest-attributes=TRUE|startup-script={script}")
    output = rest.eventually(
        lambda: gcloud.said("instances get-serial-port-output t1"), lambda told: "Finished running" in told
    )
    assert "startup-script: hello from boot" in output and "exit status 3" in output
    table = gcloud.said("instances get-guest-attributes t1 --query-path=accel-ci/")
    assert table.splitlines()[1].split() == ["accel-ci", "stage", "ready"]
    assert {each["key"] for each in gcloud.json("instances get-guest-attributes t1 --query-path=hostkeys/")} == {
        "ssh-ed25519",
        "ecdsa-sha2-nistp256",
    }


def test_get_guest_attributes_of_a_machine_that_may_not_tell(gcloud: Gcloud) -> None:
    """404 without enable-guest-attributes."""
    gcloud.said("instances create t1")
    refused = gcloud.run("instances get-guest-attributes t1")
    assert refused.returncode == 1 and "of type 'Guest Attribute' was not found" in refused.stderr


def test_the_catalogue_by_zones_regions_machine_types_accelerator_types_images_networks_list(gcloud: Gcloud) -> None:
    """What people look up before they ask, filtered by gcloud on the server."""
    assert "us-central1-b" in gcloud.said("zones list --filter=name~us-central1")
    assert [each["name"] for each in gcloud.json("zones list --filter=region:us-east5")] == [
        "us-east5-a",
        "us-east5-b",
        "us-east5-c",
    ]
    assert any(quota["metric"] == "NVIDIA_L4_GPUS" for quota in gcloud.json("regions describe us-central1")["quotas"])
    row = gcloud.said("machine-types list --zones=us-central1-b --filter=name=g2-standard-4").splitlines()[1].split()
    assert row == ["g2-standard-4", "us-central1-b", "4", "16.00"]
    assert gcloud.json("machine-types describe ct6e-standard-4t")["accelerators"] == [
        {"guestAcceleratorCount": 4, "guestAcceleratorType": "ct6e"}
    ]
    zones = {each["zone"].rpartition("/")[2] for each in gcloud.json("accelerator-types list --filter=name=nvidia-l4")}
    assert {"us-central1-a", "europe-west4-b"} <= zones and "us-central1-f" not in zones
    words = "images describe-from-family ubuntu-accelerator-2204-amd64-with-nvidia-570"
    image = gcloud.json(f"{words} --project=ubuntu-os-accelerator-images")
    assert image["family"] == "ubuntu-accelerator-2204-amd64-with-nvidia-570" and image["status"] == "READY"
    assert "debian-12" in gcloud.said("images list --filter=family=debian-12")
    assert "default" in gcloud.said("networks list") and "default" in gcloud.said("networks subnets list")


def test_several_instances_in_one_batch(gcloud: Gcloud) -> None:
    """create x y --async, operations list, delete x y: gcloud sends and reads them as one multipart call."""
    gcloud.said("instances create x y --async --zone=us-east1-b --machine-type=e2-micro")
    kinds = [each["operationType"] for each in gcloud.json("operations list --filter=zone:us-east1-b")]
    assert kinds[-2:] == ["insert", "insert"]
    listed = gcloud.json("operations list", "--filter=operationType=insert AND status=DONE AND zone:us-east1-b")
    assert {each["targetLink"].rpartition("/")[2] for each in listed} >= {"x", "y"}
    assert gcloud.run("instances delete x y --zone=us-east1-b").stderr.count("Deleted [") == 2
    missing = gcloud.run("instances delete x y --zone=us-east1-b")
    assert missing.returncode == 1 and missing.stderr.count("was not found") == 2


def test_create_fails_for_stockout_quota_taken_name_and_nonsense(gcloud: Gcloud, simulator: SimulatorProcess) -> None:
    """gcloud prints code, zone and details of the operation's error; the exit status is 1; nothing is left."""
    create = ("instances create t1 --machine-type=g2-standard-4 --maintenance-policy=TERMINATE", *LEARNING)
    simulator.turn(stockout={"us-central1-b": 1})
    done = gcloud.run(*create)
    assert done.returncode == 1 and "code: ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS" in done.stderr
    assert "zonesAvailable: us-central1-a,us-central1-c" in done.stderr and "vmType: g2-standard-4" in done.stderr
    simulator.turn(quota={"*": 0})
    done = gcloud.run(*create)
    assert done.returncode == 1 and "Quota 'NVIDIA_L4_GPUS' exceeded." in done.stderr
    assert "view documentation on how to increase quotas" in done.stderr, "gcloud knows a quota when it sees one"
    simulator.turn()
    assert gcloud.json("instances list") == []
    gcloud.said(*create)
    done = gcloud.run(*create)
    assert done.returncode == 1 and "/instances/t1' already exists" in done.stderr
    done = gcloud.run("instances create t2 --machine-type=x9-standard-1")
    assert done.returncode == 1 and "Machine type with name 'x9-standard-1' does not exist" in done.stderr


def test_a_preempted_instance_in_operations_list(gcloud: Gcloud, simulator: SimulatorProcess) -> None:
    """TERMINATED, and the documented filter finds when it happened."""
    gcloud.said("instances create t1 --provisioning-model=SPOT --instance-termination-action=STOP")
    simulator.turn(preempt_after_s=0)
    found = rest.eventually(
        lambda: gcloud.json("operations list", "--filter=operationType=compute.instances.preempted"), bool
    )
    assert found[-1]["targetLink"].endswith("/instances/t1") and found[-1]["user"] == "system"
    assert gcloud.json("instances describe t1")["status"] == "TERMINATED"


def test_a_driver_that_comes_late_and_a_machine_that_turns_itself_off(
    gcloud: Gcloud, simulator: SimulatorProcess
) -> None:
    """nvidia-smi fails until the driver is there, then tells what was ordered; `shutdown` ends the machine only."""
    simulator.turn(driver_s=600)
    options = ("--maintenance-policy=TERMINATE", "--metadata=install-nvidia-driver=True", *LEARNING)
    gcloud.said("instances create late --machine-type=g2-standard-24", *options)
    done = gcloud.run("ssh root@late", "--command=nvidia-smi")
    assert done.returncode == 9 and "couldn't communicate with the NVIDIA driver" in done.stdout
    simulator.turn()
    gcloud.said("instances create ready --machine-type=g2-standard-24", *options)
    ask = "--command=nvidia-smi --query-gpu=index,name,driver_version --format=csv,noheader; nvidia-smi -L | wc -l"
    assert gcloud.said("ssh root@ready", ask).splitlines() == [
        "0, NVIDIA L4, 570.195.03",
        "1, NVIDIA L4, 570.195.03",
        "2",
    ]
    assert gcloud.run("ssh root@ready", "--command=shutdown -h now; sleep 60").returncode == 255
    assert gcloud.json("instances describe ready")["status"] == "TERMINATED"
