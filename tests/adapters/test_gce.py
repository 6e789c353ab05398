"""The Compute Engine backend: what it asks for, when a machine counts as ready, what it finds, and what it ends."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import pytest

from accel_ci.adapters import gce_instances, gce_options
from accel_ci.adapters.gce import GceMachines
from accel_ci.adapters.google_refusals import ClosedZoneError
from accel_ci.domain import accelerators, lease, machine_types
from accel_ci.domain.errors import (
    AccelError,
    AccessError,
    BootError,
    CloudError,
    ConfigurationError,
    NoCapacityError,
    QuotaError,
    TransientError,
    UnhealthyError,
)
from accel_ci.domain.lease import Lease
from accel_ci.domain.machine import Candidate, State
from tests.adapters.gce_world import HANDLE, KEY, LEASE, ON_DEMAND, SPOT, TTL_S, ZONE, GceWorld, spec, world
from tests.adapters.google_world import PUBLIC_KEY
from tests.servers.gce_over_http import HEALTH, WELL, refusal
from tests.servers.tpu_over_http import HOST_KEY, Answer, Document

__all__ = ["world"]
STOCKOUT = {
    "code": "ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS",
    "message": f"The zone 'projects/my-project/zones/{ZONE}' does not have enough resources available.",
    "errorDetails": [{"errorInfo": {"reason": "resource_availability", "domain": "compute.googleapis.com"}}],
}
QUOTA = {"code": "QUOTA_EXCEEDED", "message": "Quota 'NVIDIA_L4_GPUS' exceeded. Limit: 0.0 in region us-central1."}
GLOBAL_QUOTA = {"code": "QUOTA_EXCEEDED", "message": "Quota 'GPUS_ALL_REGIONS' exceeded.  Limit: 0.0 globally."}


def _metadata(body: Document) -> dict[str, str]:
    return {item["key"]: item["value"] for item in body["metadata"]["items"]}


def test_the_lease_is_in_the_request(world: GceWorld) -> None:
    """Every label of the lease and a lifetime limit that deletes are in the creation itself, on the disk the labels too."""
    body = world.body()
    assert body["name"] == KEY.name and body["labels"] == LEASE.labels()
    (disk,) = body["disks"]
    assert disk["initializeParams"]["labels"] == LEASE.labels() and disk["autoDelete"] is True
    scheduling = body["scheduling"]
    assert scheduling["instanceTerminationAction"] == "DELETE" and scheduling["automaticRestart"] is False
    assert TTL_S - 300 < int(scheduling["maxRunDuration"]["seconds"]) <= TTL_S


@pytest.mark.parametrize(
    ("ttl_s", "options", "seconds"),
    [
        (10, {}, 30),
        (90, {}, 90),
        (200 * 86400, {}, 120 * 86400),
        (90, {"provisioning": "flex-start"}, 600),
        (10 * 86400, {"provisioning": "flex-start"}, 7 * 86400),
    ],
)
def test_a_limit_is_one_that_google_takes(ttl_s: int, options: dict[str, str], seconds: int) -> None:
    """The lease's own length, within what the provisioning model allows: out of it the request would be refused."""
    order, key = spec("l4-1", **options), replace(KEY, job="limit")
    short = Lease(key=key, expires_at=1_000_000 + ttl_s)
    asked = gce_instances.body(order, gce_options.checked(order), short, ON_DEMAND, public_key="", now=1_000_000.0)
    assert asked["scheduling"]["max_run_duration"] == {"seconds": seconds}


def test_repeating_a_request_is_the_same_request(world: GceWorld) -> None:
    """Name, zone, try and expiry make the request's id; another lease of the name has another one."""
    world.begin()
    world.begin()
    later = Lease(key=KEY, expires_at=LEASE.expires_at + 60)
    with pytest.raises(ConfigurationError, match="another lease"):
        world.machines.begin_create(spec("l4-1"), later, SPOT, public_key="")
    first, again, other = (each.query["requestId"] for each in world.cloud.requests if each.method == "POST")
    assert first == again != other and len(world.cloud.instances) == 1


def test_nobody_can_be_impersonated_on_the_machine(world: GceWorld) -> None:
    """No service account, no ssh keys of the project, no OS Login, our own key only; the boot script tells the host keys."""
    body = world.body()
    assert "serviceAccounts" not in body
    metadata = _metadata(body)
    assert (metadata["block-project-ssh-keys"], metadata["enable-oslogin"]) == ("TRUE", "FALSE")
    assert metadata["ssh-keys"] == f"accel-ci:{PUBLIC_KEY}" and metadata["enable-guest-attributes"] == "TRUE"
    assert metadata["startup-script"].startswith("#!/bin/sh\n") and "accel-ci-sudo" not in metadata
    assert body["shieldedInstanceConfig"]["enableVtpm"] is True


@pytest.mark.parametrize(
    ("accelerator", "machine_type", "attached", "image", "disk_type", "gpus"),
    [
        ("l4-1", "g2-standard-4", None, "deeplearning-platform-release", "pd-balanced", "1"),
        ("l4-2", "g2-standard-24", None, "deeplearning-platform-release", "pd-balanced", "2"),
        ("a100-1", "a2-highgpu-1g", None, "deeplearning-platform-release", "pd-balanced", "1"),
        ("h100-8", "a3-highgpu-8g", None, "deeplearning-platform-release", "pd-balanced", "8"),
        ("h200-8", "a3-ultragpu-8g", None, "deeplearning-platform-release", "hyperdisk-balanced", "8"),
        ("g2-standard-12", "g2-standard-12", None, "deeplearning-platform-release", "pd-balanced", "1"),
        ("n1-standard-8+t4-1", "n1-standard-8", ("nvidia-tesla-t4", 1), "deeplearning", "pd-balanced", "1"),
        ("t4-2", "n1-standard-8", ("nvidia-tesla-t4", 2), "deeplearning", "pd-balanced", "2"),
        ("v6e-1", "ct6e-standard-1t", None, "ubuntu-accel-2204-amd64-tpu-v5e-v5p-v6e", "hyperdisk-balanced", None),
        ("ct5lp-hightpu-8t", "ct5lp-hightpu-8t", None, "ubuntu-accel-2204-amd64-tpu-v5e-v5p-v6e", "pd-balanced", None),
        ("tpu7x-2", "tpu7x-standard-1t", None, "ubuntu-accel-2404-amd64-tpu-tpu7x", "hyperdisk-balanced", None),
        ("e2-standard-4", "e2-standard-4", None, "debian-12", "pd-balanced", None),
        ("c4a-standard-4", "c4a-standard-4", None, "debian-12-arm64", "hyperdisk-balanced", None),
    ],
)
def test_from_an_order_to_a_machine(
    world: GceWorld,
    accelerator: str,
    machine_type: str,
    attached: tuple[str, int] | None,
    image: str,
    disk_type: str,
    gpus: str | None,
) -> None:
    """Machine type, attached accelerators, image family, disk and driver follow from what was ordered."""
    zones = (ZONE,) if not accelerators.rows(accelerator) else ()
    body = world.body(replace(spec(accelerator), zones=zones))
    (disk,) = body["disks"]
    assert body["machineType"] == f"zones/{ZONE}/machineTypes/{machine_type}"
    assert image in disk["initializeParams"]["sourceImage"] and "/family/" in disk["initializeParams"]["sourceImage"]
    assert disk["initializeParams"]["diskType"] == f"zones/{ZONE}/diskTypes/{disk_type}"
    found = [
        (each["acceleratorType"].rpartition("/")[2], each["acceleratorCount"])
        for each in body.get("guestAccelerators", ())
    ]
    assert found == ([attached] if attached else [])
    metadata = _metadata(body)
    kind = "tpu" if "tpu" in image else "gpu"
    shape = machine_types.shape(accelerator)
    chips = shape.chips if shape else 0
    assert metadata.get("accel-ci-expects") == (f"{kind} {chips}" if chips else None)
    assert ("accel-ci-probe" in metadata) == bool(chips)
    assert metadata.get("install-nvidia-driver") == ("True" if gpus else None)
    assert metadata["accel-ci-accelerator"] == accelerator


@pytest.mark.parametrize(
    ("accelerator", "candidate", "options", "model", "maintenance"),
    [
        ("l4-1", SPOT, {}, "SPOT", "TERMINATE"),
        ("l4-1", ON_DEMAND, {}, "STANDARD", "TERMINATE"),
        ("l4-1", ON_DEMAND, {"provisioning": "flex-start"}, "FLEX_START", "TERMINATE"),
        ("e2-standard-4", ON_DEMAND, {}, "STANDARD", "MIGRATE"),
        ("e2-standard-4", SPOT, {}, "SPOT", "TERMINATE"),
    ],
)
def test_how_it_is_provisioned(
    world: GceWorld, accelerator: str, candidate: Candidate, options: dict[str, str], model: str, maintenance: str
) -> None:
    """Spot, on-demand or flex-start; machines with accelerators, and spot ones, cannot be moved during maintenance."""
    body = world.body(spec(accelerator, **options), candidate=candidate)
    assert body["scheduling"]["provisioningModel"] == model
    assert body["scheduling"]["onHostMaintenance"] == maintenance
    flexible = model == "FLEX_START"
    assert ("reservationAffinity" in body, "requestValidForDuration" in body.get("params", {})) == (flexible, flexible)


def test_what_options_set(world: GceWorld) -> None:
    """Image, disk, network, tags, addresses, account and administrator's rights are the user's when they set them."""
    chosen = spec(
        "l4-1",
        image="my-project/ci-images",
        disk_size="300",
        disk_type="pd-ssd",
        subnetwork="ci-us",
        external_ips="false",
        tags="ci+ssh",
        secure_boot="true",
        machine_account="tests@my-project.iam.gserviceaccount.com",
        sudo="true",
    )
    machine = world.ready(replace(chosen, zones=(ZONE,)))
    (body,) = world.asked("POST /instances")
    (disk,), (interface,), (account,) = body["disks"], body["networkInterfaces"], body["serviceAccounts"]
    assert disk["initializeParams"]["sourceImage"] == "projects/my-project/global/images/family/ci-images"
    assert (disk["initializeParams"]["diskSizeGb"], disk["initializeParams"]["diskType"]) == (
        "300",
        f"zones/{ZONE}/diskTypes/pd-ssd",
    )
    assert interface["subnetwork"] == "regions/us-central1/subnetworks/ci-us" and "network" not in body
    assert body["tags"] == {"items": ["ci", "ssh"]} and body["shieldedInstanceConfig"]["enableSecureBoot"] is True
    assert account["email"] == "tests@my-project.iam.gserviceaccount.com"
    assert _metadata(body)["accel-ci-sudo"] == "TRUE"
    assert [worker.address for worker in machine.workers] == ["10.0.0.2"]


@pytest.mark.parametrize(
    ("accelerator", "options", "told"),
    [
        ("l4-3", {}, "one of l4-1, l4-2, l4-4, l4-8"),
        ("l4-1", {"disc-size": "20"}, "did you mean `disk-size`?"),
        ("l4-1", {"image": "debain"}, "PROJECT/FAMILY"),
        ("l4-1", {"disk-size": "huge"}, "a number of GB"),
        ("e2-standard-4", {"provisioning": "flex-start"}, "for machines with accelerators"),
        ("e2-standard-4", {"image": "tpu"}, "e2-standard-4 has none"),
        ("l4-1", {"subnetwork": "ci"}, "zones of one region"),
        ("v5litepod-8", {}, "backend `tpu` has `v5litepod-8`"),
    ],
)
def test_what_cannot_work_is_refused_before_any_call(
    world: GceWorld, accelerator: str, options: dict[str, str], told: str
) -> None:
    """A type, an option or a combination that cannot be is told, with what can be."""
    with pytest.raises(ConfigurationError) as error:
        world.machines.candidates(replace(spec(accelerator), options=options))
    assert told in " ".join(map(str, error.value.mistakes)) and world.cloud.requests == []


def test_all_mistakes_at_once(world: GceWorld) -> None:
    """A wrong zone, an unknown option and a value that is no choice are three mistakes of one error."""
    wrong = replace(spec("l4-1", tag="x", external_ips="maybe"), zones=("us-central1-f",))
    with pytest.raises(ConfigurationError) as error:
        world.machines.candidates(wrong)
    assert len(error.value.mistakes) == 3


def test_candidates(world: GceWorld) -> None:
    """The cheapest spot zones come first, each marked as Compute Engine's; flex-start has no spot."""
    found = world.machines.candidates(spec("l4-1"))
    prices = [each.dollars_per_hour for each in found if each.dollars_per_hour is not None]
    assert prices == sorted(prices) and all(each.spot and each.backend == "gce" for each in found)
    flexible = world.machines.candidates(spec("l4-1", provisioning="flex-start"))
    assert not any(each.spot for each in flexible)
    both = world.machines.candidates(spec("l4-1", fallback="on-demand"))
    assert [each.spot for each in both] == [True] * len(found) + [False] * len(found)


def test_a_ready_machine(world: GceWorld) -> None:
    """The worker has the outside address, port 22, our user, the host key that it told, and an inner address."""
    machine = world.ready()
    (worker,) = machine.workers
    assert (machine.handle, machine.accelerator, machine.spot, machine.state) == (HANDLE, "l4-1", True, State.READY)
    assert (worker.address, worker.port, worker.user, worker.inner_address) == ("127.0.0.2", 22, "accel-ci", "10.0.0.2")
    assert worker.host_keys == (f"ssh-ed25519 {HOST_KEY}",)


def test_stages_on_the_way(world: GceWorld) -> None:
    """The operation, the instance, the driver, the boot script: what is waited for is told, and running is not ready."""
    world.cloud.polls, world.cloud.told = 2, {"accel-ci/stage": "driver"}
    creation, stages = world.begin(), []
    for _ in range(4):
        creation = world.machines.poll(creation)
        stages.append(creation.stage)
    assert stages == ["creating", "booting: driver", "booting: driver", "booting: driver"]
    world.cloud.instance(KEY.name)["status"] = "STAGING"
    assert world.machines.poll(creation).stage == "staging"
    world.cloud.instance(KEY.name)["status"] = "RUNNING"
    world.cloud.told = None
    assert world.machines.poll(creation).stage == "booting"
    world.cloud.told = WELL
    assert world.machines.poll(creation).machine is not None


def test_the_hardware_is_told(world: GceWorld) -> None:
    """What the probe found on the machine is the machine's hardware; a plain machine has none, and is asked for none."""
    assert world.ready().hardware == {
        "name": "NVIDIA L4",
        "devices": "1",
        "driver": "570.86.15",
        "cuda": "12.8",
        "memory_mib": "23034",
    }
    plain = replace(LEASE, key=replace(KEY, job="cpu"))
    creation = world.machines.begin_create(spec("e2-standard-4"), plain, SPOT, public_key="")
    assert world.wait(creation).hardware == {}


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ({**HEALTH, "problems": ["GPU-1: 3 uncorrectable ECC error(s)"]}, "3 uncorrectable ECC"),
        ({**HEALTH, "problems": ["x\n::error::forged"]}, "x"),
        ("not json", "cannot be read"),
        ({"problems": None}, "cannot be read"),
    ],
)
def test_a_machine_that_is_not_well_is_not_used(world: GceWorld, told: object, why: str) -> None:
    """Errors of the accelerators, and a probe that says nothing readable, fail the boot before any test runs."""
    health = told if isinstance(told, str) else json.dumps(told)
    world.cloud.told = {"accel-ci/stage": "ready", "accel-ci/health": health}
    with pytest.raises(UnhealthyError, match=why) as error:
        world.ready()
    assert "\n" not in error.value.what_happened


def test_no_health_without_a_probe(world: GceWorld) -> None:
    """`health=off` sends no probe, and whatever such a machine tells is not read; `health=jax` lets JAX count too."""
    world.cloud.told = {"accel-ci/stage": "ready", "accel-ci/health": "nonsense"}
    assert world.ready(spec("l4-1", health="off")).hardware == {}
    other = replace(LEASE, key=replace(KEY, job="jax"))
    world.machines.begin_create(spec("v6e-4", health="jax"), other, SPOT, public_key="")
    assert _metadata(world.asked("POST /instances")[-1])["accel-ci-expects"] == "tpu 4 jax"


def test_a_boot_script_that_failed(world: GceWorld) -> None:
    """What the machine says went wrong is the error, in one clean line."""
    world.cloud.told = {"accel-ci/error": "no driver\n::error::x"}
    with pytest.raises(BootError, match="no driver"):
        world.ready()


@pytest.mark.parametrize(
    ("failure", "kind", "everywhere"),
    [
        (STOCKOUT, NoCapacityError, False),
        ({"code": "ZONE_RESOURCE_POOL_EXHAUSTED", "message": "try a different zone"}, NoCapacityError, False),
        (QUOTA, QuotaError, False),
        (GLOBAL_QUOTA, QuotaError, True),
        (
            {"code": "UNSUPPORTED_OPERATION", "message": "Instance was preempted during creation."},
            NoCapacityError,
            False,
        ),
        ({"code": "RESOURCE_OPERATION_RATE_EXCEEDED", "message": "slow down"}, BootError, False),
        ({"code": "INTERNAL_ERROR", "message": "Internal error."}, BootError, False),
        ({"code": "INVALID_USAGE", "message": "this machine type does not support Spot"}, ConfigurationError, False),
        ({"code": "SOMETHING_NEW", "message": "?"}, BootError, False),
    ],
)
def test_capacity_is_told_by_the_operation(
    world: GceWorld, failure: Document, kind: type[AccelError], everywhere: bool
) -> None:
    """The insert was taken, its operation says why there is no machine; nothing is left to find."""
    world.cloud.failures[ZONE] = failure
    with pytest.raises(kind) as error:
        world.ready()
    assert failure["code"] in error.value.what_happened and error.value.what_to_do
    assert getattr(error.value, "everywhere", False) == everywhere
    assert list(world.machines.find(KEY, (ZONE,))) == []


@pytest.mark.parametrize(
    ("status", "reason", "message", "kind"),
    [
        (403, "quotaExceeded", "Quota 'CPUS' exceeded. Limit: 0.0 in region us-central1.", QuotaError),
        (403, "accessNotConfigured", "Compute Engine API has not been used in project 1 before", AccessError),
        (403, "forbidden", "Required 'compute.instances.create' permission for 'projects/x'", AccessError),
        (403, "rateLimitExceeded", "Rate Limit Exceeded", TransientError),
        (400, "invalid", "Invalid value for field 'resource.disks': 'x'", ConfigurationError),
        (
            400,
            "invalid",
            "Machine type with name 'g2-standard-4' does not exist in zone 'us-central1-f'.",
            NoCapacityError,
        ),
        (400, "resourceNotReady", "The resource 'x' is not ready", TransientError),
        (412, "conditionNotMet", "Labels fingerprint either invalid or resource labels have changed", TransientError),
        (
            412,
            "conditionNotMet",
            "Constraint constraints/compute.vmExternalIpAccess violated for p",
            ConfigurationError,
        ),
        (412, "conditionNotMet", "Constraint constraints/gcp.resourceLocations violated", ClosedZoneError),
        (503, "backendError", "Backend Error", TransientError),
        (500, "weird", "?", TransientError),
        (418, "teapot", "?", CloudError),
    ],
)
def test_what_calls_are_refused_with(
    world: GceWorld, status: int, reason: str, message: str, kind: type[AccelError]
) -> None:
    """The reason in the body decides, not the HTTP status."""
    world.cloud.next("POST .*/instances", Answer(*refusal(status, reason, message)))
    with pytest.raises(kind) as error:
        world.begin()
    assert type(error.value) is kind


FAMILY = "projects/deeplearning-platform-release/global/images/family/common-cu999"


@pytest.mark.parametrize(
    ("status", "reason", "message", "fix"),
    [
        (404, "notFound", f"The resource '{FAMILY}' was not found", "--project=deeplearning-platform-release "),
        (400, "invalid", "The image used for the boot disk is deprecated", "--project=PROJECT "),
        (400, "badRequest", "[pd-balanced] features are not compatible for creating instance.", "`disk-type`"),
        (400, "invalid", "The resource 'projects/p/zones/z/diskTypes/pd-x' was not found", "`disk-type`"),
    ],
)
def test_images_and_disks_that_are_not_there(world: GceWorld, status: int, reason: str, message: str, fix: str) -> None:
    """Families are withdrawn and disks do not fit every machine: the error names the option, and the command that lists."""
    world.cloud.next("POST .*/instances", Answer(*refusal(status, reason, message)))
    with pytest.raises(NoCapacityError if "diskTypes" in message else ConfigurationError) as error:
        world.begin()
    assert fix in error.value.what_to_do and "option `" in error.value.what_to_do


def test_a_lost_reply_makes_no_second_machine(world: GceWorld) -> None:
    """The connection broke after the deed: asking again finds the same request, and the same machine."""
    world.cloud.next("POST .*/instances", Answer(0, done=True))
    with pytest.raises(TransientError):
        world.begin()
    assert world.ready().name == KEY.name and len(world.cloud.instances) == 1


def test_why_there_is_nothing_is_looked_up(world: GceWorld) -> None:
    """A process that does not know the operation finds its error among the zone's operations."""
    world.cloud.failures[ZONE] = STOCKOUT
    creation = world.begin()
    with pytest.raises(NoCapacityError, match="ZONE_RESOURCE_POOL_EXHAUSTED"):
        GceMachines(world.environment).poll(creation)


@pytest.mark.parametrize(
    ("kind", "error", "told"),
    [
        ("compute.instances.preempted", NoCapacityError, "was preempted while it booted"),
        ("delete", BootError, "is stopping: it ended while it booted"),
    ],
)
def test_an_end_that_is_under_way(world: GceWorld, kind: str, error: type[CloudError], told: str) -> None:
    """For half a minute a preempted machine is merely stopping: why is looked up, for a full zone is no bad machine."""
    creation = world.begin()
    instance = world.cloud.instance(KEY.name)
    world.cloud.happen(KEY.name, kind)
    world.cloud.instances[f"projects/my-project/zones/{ZONE}/instances/{KEY.name}"] = {**instance, "status": "STOPPING"}
    with pytest.raises(error, match=told):
        world.machines.poll(creation)


@pytest.mark.parametrize(
    ("kind", "error"),
    [("compute.instances.preempted", NoCapacityError), ("compute.instances.hostError", BootError)],
)
def test_taken_away_while_booting(world: GceWorld, kind: str, error: type[CloudError]) -> None:
    """A machine that the cloud took before it was used is an error of its own kind."""
    creation = world.begin()
    world.cloud.happen(KEY.name, kind)
    with pytest.raises(error, match=KEY.name):
        world.machines.poll(creation)


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("compute.instances.preempted", "preempted"),
        ("compute.instances.hostError", "host error"),
        ("compute.instances.terminateOnHostMaintenance", "maintenance"),
        ("compute.instances.delete", "lifetime limit reached"),
    ],
)
def test_interruptions(world: GceWorld, kind: str, why: str) -> None:
    """What the cloud did by itself is told by the zone's operations, after the machine is gone."""
    world.ready()
    assert world.machines.interruption(HANDLE) == ""
    world.cloud.happen(KEY.name, kind)
    assert GceMachines(world.environment).interruption(HANDLE) == why


def test_what_is_being_made_is_not_gone(world: GceWorld) -> None:
    """While the operation runs an instance may still come into being: nothing is released before it is over."""
    world.cloud.polls = 3
    world.begin()
    del world.cloud.instances[f"projects/my-project/zones/{ZONE}/instances/{KEY.name}"]
    assert not world.machines.released(HANDLE)
    world.cloud.settle()
    assert world.machines.released(HANDLE)


def test_the_end_of_the_console(world: GceWorld) -> None:
    """The last bytes of the first serial port; none without an instance."""
    assert world.machines.console_tail(HANDLE) == ""
    world.ready()
    assert world.machines.console_tail(HANDLE).endswith("ready\n")
    assert world.cloud.requests[-1].query == {"port": "1", "start": str(-32 * 1024)}


def test_listing_asks_for_labels_and_for_names(world: GceWorld) -> None:
    """One listing by the repository's label over all zones, one by the run's prefix; a repository alone needs no second."""
    world.ready()
    world.cloud.requests.clear()
    assert [each.handle for each in world.machines.list_owned(lease.of_run(KEY))] == [HANDLE]
    assert [each.query["filter"] for each in world.cloud.requests] == [
        "labels.accel-ci-repository=4711",
        f'name eq "{KEY.run_prefix}.*"',
    ]
    world.cloud.requests.clear()
    list(world.machines.list_owned(lease.Owner(repository_id=4711)))
    assert len(world.cloud.requests) == 1


def test_long_listings_are_read_to_their_end(world: GceWorld) -> None:
    """Page by page."""
    keys = [replace(KEY, job=f"job-{number}") for number in range(5)]
    for key in keys:
        world.machines.begin_create(spec("l4-1"), replace(LEASE, key=key), SPOT, public_key="")
    world.cloud.page = 2
    assert {each.name for each in world.machines.list_owned(lease.of_run(KEY))} == {key.name for key in keys}


def test_a_partial_listing_proves_nothing(world: GceWorld) -> None:
    """A zone that did not answer makes the listing an error; one without instances does not."""
    world.ready()
    assert len(list(world.machines.list_owned(lease.of_run(KEY)))) == 1
    world.cloud.unreachable["zones/us-east4-a"] = "UNREACHABLE"
    seen: list[str] = []
    with pytest.raises(TransientError, match="us-east4-a"):
        seen.extend(each.name for each in world.machines.list_owned(lease.of_run(KEY)))
    assert seen == [KEY.name]  # what the others have is told before, and can be ended


def test_found_in_every_zone_of_the_catalogue(world: GceWorld) -> None:
    """Without zones each of the catalogue is asked by name; zones it does not know are looked at in one listing."""
    far = Candidate(zone="moon-east1-a", spot=True)
    world.machines.begin_create(spec("l4-1"), LEASE, far, public_key="")
    world.cloud.requests.clear()
    (found,) = world.machines.find(KEY, ())
    assert found.zone == "moon-east1-a"
    asked = {each.path for each in world.cloud.requests}
    assert all(any(f"/zones/{zone}/" in path for path in asked) for zone in accelerators.zones("gce"))


def test_a_closed_zone_holds_nothing(world: GceWorld) -> None:
    """A region that the project may not use says 403: nothing can be there, so cleanup is not blind for it."""
    closed = refusal(403, "forbidden", "Permission denied on 'locations/me-central2-a' (or it may not exist).")
    world.cloud.next("GET .*/zones/me-central2-a/instances", Answer(*closed))
    assert list(world.machines.find(KEY, ())) == []
    world.cloud.next("POST .*/instances", Answer(*closed))
    with pytest.raises(NoCapacityError, match="me-central2"):
        world.begin()


def test_a_zone_that_was_closed_since_does_not_prove_that_a_machine_is_gone(world: GceWorld) -> None:
    """A machine that was made there may live, and cost money: it is neither ended nor gone by such an answer."""
    world.ready()
    closed = Answer(*refusal(403, "forbidden", f"Permission denied on 'locations/{ZONE}' (or it may not exist)."))
    world.cloud.next("GET .*/instances/", closed)
    with pytest.raises(CloudError, match="denied on 'locations"):
        world.machines.released(HANDLE)
    world.cloud.next("DELETE .*/instances/", closed)
    with pytest.raises(CloudError, match="denied on 'locations"):
        world.machines.release(HANDLE)
    assert not world.machines.released(HANDLE)


def test_a_strangers_machine_of_our_name_is_not_found(world: GceWorld) -> None:
    """The key's label decides when there is one."""
    world.ready()
    world.cloud.instance(KEY.name)["labels"]["accel-ci-key"] = "0123456789abcdef"
    assert list(world.machines.find(KEY, (ZONE,))) == []


def test_keep_until_is_not_promised_beyond_the_limit(world: GceWorld) -> None:
    """The limit of a running machine cannot be moved, so what would be a lie is refused, with what to do."""
    world.ready()
    world.machines.annotate(HANDLE, "accel-ci-keep-until", str(int(time.time()) + 60))
    with pytest.raises(ConfigurationError, match="whatever we ask") as error:
        world.machines.annotate(HANDLE, "accel-ci-keep-until", str(LEASE.expires_at + 3600))
    assert "ttl" in error.value.what_to_do


def test_the_command_for_a_persons_hands(world: GceWorld) -> None:
    """gcloud's, with project and zone."""
    assert world.machines.release_command(HANDLE) == (
        f"gcloud compute instances delete {KEY.name} --zone={ZONE} --project=my-project --quiet"
    )
    with pytest.raises(ConfigurationError, match="not a handle"):
        world.machines.release("tpu://p/z/n")
