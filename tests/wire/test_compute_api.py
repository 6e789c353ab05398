"""The Compute Engine API call by call: every answer is read by Google's own types, which may not skip a field."""

from __future__ import annotations

import http.client
import threading
import uuid
from typing import Any

import pytest
from google.cloud import compute_v1

from tests.servers.simulator import SimulatorProcess
from tests.wire import compute_rest, rest
from tests.wire.compute_rest import ComputeZone
from tests.world import compute_sky

GPU: dict[str, Any] = {"machine_type": "g2-standard-4", "scheduling": {"onHostMaintenance": "TERMINATE"}}
SHOWN = (
    ("", compute_v1.Zone),
    ("/machineTypes", compute_v1.MachineTypeList),
    ("/machineTypes/ct6e-standard-1t", compute_v1.MachineType),
    ("/acceleratorTypes", compute_v1.AcceleratorTypeList),
    ("/acceleratorTypes/nvidia-l4", compute_v1.AcceleratorType),
    ("/disks", compute_v1.DiskList),
    ("/disks/t1", compute_v1.Disk),
    ("/instances", compute_v1.InstanceList),
    ("/instances/t1", compute_v1.Instance),
    ("/instances/t1/serialPort", compute_v1.SerialPortOutput),
    ("/operations", compute_v1.OperationList),
    ("/imageFamilyViews/debian-12", None),
)
OF_PROJECT = (
    ("", compute_v1.Project),
    ("/zones", compute_v1.ZoneList),
    ("/regions", compute_v1.RegionList),
    ("/regions/us-central1", compute_v1.Region),
    ("/regions/us-central1/subnetworks", compute_v1.SubnetworkList),
    ("/regions/us-central1/subnetworks/default", compute_v1.Subnetwork),
    ("/regions/us-central1/operations", compute_v1.OperationList),
    ("/global/networks", compute_v1.NetworkList),
    ("/global/networks/default", compute_v1.Network),
    ("/global/images", compute_v1.ImageList),
    ("/global/operations", compute_v1.OperationList),
    ("/aggregated/instances", compute_v1.InstanceAggregatedList),
    ("/aggregated/machineTypes", compute_v1.MachineTypeAggregatedList),
    ("/aggregated/acceleratorTypes", compute_v1.AcceleratorTypeAggregatedList),
    ("/aggregated/disks", compute_v1.DiskAggregatedList),
    ("/aggregated/subnetworks", compute_v1.SubnetworkAggregatedList),
    ("/aggregated/operations", compute_v1.OperationAggregatedList),
)


def test_all_that_is_shown_is_what_google_says(compute: ComputeZone, simulator: SimulatorProcess) -> None:
    """Every get and list is read in full by the type that Google's library has for it."""
    compute.insert(**GPU, metadata={"items": [{"key": "k", "value": "v"}]}, labels={"a": "1"}, tags={"items": ["web"]})
    for path, kind in SHOWN:
        if kind is not None:
            compute.get(path, kind)
    for path, kind in OF_PROJECT:
        status, document = compute.project("GET", path)
        assert status == 200, document
        rest.strict(document, kind)
    for path in ("/family/common-cu128-ubuntu-2204-nvidia-570", "/common-cu128-ubuntu-2204-nvidia-570-v20261012"):
        status, document = simulator.call(
            "GET", f"/compute/v1/projects/deeplearning-platform-release/global/images{path}"
        )
        assert status == 200 and rest.strict(document, compute_v1.Image).disk_size_gb == 50


def test_an_instance_says_what_was_ordered(compute: ComputeZone) -> None:
    """The whole of it with Google's defaults filled in, links in full and its termination time."""
    limit = {"maxRunDuration": {"seconds": 3600}, "instanceTerminationAction": "DELETE"}
    compute.insert(
        machine_type="n1-standard-8",
        guestAccelerators=[
            {"acceleratorType": "zones/us-central1-b/acceleratorTypes/nvidia-tesla-t4", "acceleratorCount": 2}
        ],
        scheduling={"onHostMaintenance": "TERMINATE", "automaticRestart": False, "provisioningModel": "SPOT", **limit},
        networkInterfaces=[{"accessConfigs": [{"type": "ONE_TO_ONE_NAT"}]}],
        labels={"owner": "me"},
    )
    found = compute.instance()
    assert found.status == "RUNNING" and dict(found.labels) == {"owner": "me"}
    assert found.machine_type.endswith("/projects/p/zones/us-central1-b/machineTypes/n1-standard-8")
    assert [
        (each.accelerator_type.rpartition("/")[2], each.accelerator_count) for each in found.guest_accelerators
    ] == [("nvidia-tesla-t4", 2)]
    assert found.scheduling.preemptible and found.scheduling.max_run_duration.seconds == 3600
    assert found.resource_status.scheduling.termination_timestamp > found.last_start_timestamp
    (interface,) = found.network_interfaces
    assert interface.access_configs[0].nat_i_p == interface.network_i_p != ""
    assert found.disks[0].auto_delete and found.disks[0].disk_size_gb == 10 and not found.service_accounts


def test_a_machine_without_an_access_config_has_no_outer_address(compute: ComputeZone) -> None:
    """Only its inner one is shown; a stopped machine has lost its outer one too."""
    compute.insert()
    assert not compute.instance().network_interfaces[0].access_configs
    compute.insert("t2", networkInterfaces=[{"accessConfigs": [{}]}])
    compute.done(*compute.call("POST", "/instances/t2/stop"))
    stopped = compute.instance("t2")
    assert stopped.status == "TERMINATED" and not stopped.network_interfaces[0].access_configs[0].nat_i_p
    assert stopped.last_stop_timestamp


def test_a_request_id_is_remembered(compute: ComputeZone) -> None:
    """The same id is the same operation, a lost answer costs nothing; what is no UUID is refused."""
    query = f"?requestId={uuid.uuid4()}"
    first = compute.insert(query=query)
    assert compute.insert(query=query).name == first.name
    status, document = compute.call("POST", "/instances", compute_sky.body())
    assert compute_rest.error(document)[:2] == (409, "alreadyExists") and status == 409
    for wrong in ("x", str(uuid.UUID(int=0))):
        _, document = compute.call("POST", f"/instances?requestId={wrong}", compute_sky.body("t2"))
        assert compute_rest.error(document)[:2] == (400, "invalid")


def test_an_operation_is_never_over_in_the_answer_that_began_it(compute: ComputeZone) -> None:
    """RUNNING at first, however fast it is; get and wait tell the end, and delete forgets it."""
    status, document = compute.call("POST", "/instances", compute_sky.body())
    assert status == 200 and (document["status"], document["progress"]) == ("RUNNING", 0)
    over = compute.done(status, document)
    assert over.progress == 100 and over.operation_type == "insert" and over.target_link.endswith("/instances/t1")
    assert over.target_id == compute.instance().id
    assert compute.call("DELETE", f"/operations/{over.name}")[0] == 200
    assert compute_rest.error(compute.call("GET", f"/operations/{over.name}")[1])[:2] == (404, "notFound")


def test_wait_returns_when_the_operation_does(compute: ComputeZone, simulator: SimulatorProcess) -> None:
    """Several may wait for one operation; all hear of its end."""
    simulator.turn(boot_s=0.5)
    _, document = compute.call("POST", "/instances", compute_sky.body())
    assert compute.instance().status in ("PROVISIONING", "STAGING")
    ends: list[str] = []
    waiters = [threading.Thread(target=lambda: ends.append(compute.done(200, document).end_time)) for _ in range(3)]
    for waiter in waiters:
        waiter.start()
    for waiter in waiters:
        waiter.join()
    assert len(set(ends)) == 1 and ends[0]


def test_a_stockout_looks_like_googles(compute: ComputeZone, simulator: SimulatorProcess) -> None:
    """DONE with 503, a code, and details that Google's types can read; the instance is gone."""
    simulator.turn(stockout={"us-central1-b": 1})
    operation = compute.insert(**GPU)
    assert (operation.http_error_status_code, operation.http_error_message) == (503, "SERVICE UNAVAILABLE")
    (problem,) = operation.error.errors
    assert problem.code == "ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS"
    assert problem.error_details[2].error_info.metadatas["vmType"] == "g2-standard-4"
    assert compute.call("GET", "/instances/t1")[0] == 404


def test_a_quota_looks_like_googles(compute: ComputeZone, simulator: SimulatorProcess) -> None:
    """In the operation with 403 and quotaInfo, or at once with the reason quotaExceeded."""
    simulator.turn(quota={"*": 0})
    operation = compute.insert(**GPU)
    (problem,) = operation.error.errors
    assert (operation.http_error_status_code, problem.code) == (403, "QUOTA_EXCEEDED")
    assert problem.error_details[0].quota_info.limit_name == "NVIDIA-L4-GPUS-per-project-region"
    simulator.turn(quota={"*": 0}, quota_at_once=1)
    status, document = compute.call("POST", "/instances", compute_sky.body(**GPU))
    assert (status, *compute_rest.error(document)[1:]) == (
        403,
        "quotaExceeded",
        "Quota 'NVIDIA_L4_GPUS' exceeded.  Limit: 0.0 in region us-central1.",
    )
    region = rest.strict(compute.project("GET", "/regions/us-central1")[1], compute_v1.Region)
    assert {each.metric: each.limit for each in region.quotas}["NVIDIA_L4_GPUS"] == 0


@pytest.mark.parametrize(
    ("fields", "reason", "words"),
    [
        ({"name": "UPPER"}, "invalid", "Invalid value for field 'resource.name': 'UPPER'. Must be a match of regex"),
        ({"machineType": ""}, "required", "Required field 'resource.machineType' not specified"),
        ({"machine_type": "x9-1"}, "invalid", "Machine type with name 'x9-1' does not exist in zone 'us-central1-b'."),
        ({"machineType": "nonsense"}, "invalid", "The URL is malformed."),
        ({"disks": []}, "invalid", "Invalid value for field 'resource.disks'"),
        ({"networkInterfaces": []}, "invalid", "At least one network interface is required."),
        ({"labels": {"a": "B"}}, "invalid", "Label value 'B' violates format constraints."),
        ({"labels": {"A": "b"}}, "invalid", "Label key 'A' violates format constraints."),
        (
            {"metadata": {"items": [{"key": "a", "value": "1"}, {"key": "a", "value": "2"}]}},
            "invalid",
            "duplicate key: a",
        ),
        ({"metadata": {"items": [{"key": "a", "value": "x" * 262_145}]}}, "invalid", "Value is too large"),
        ({"tags": {"items": ["A"]}}, "invalid", "resource.tags.items[0]"),
        (
            {"machine_type": "g2-standard-4"},
            "badRequest",
            "Instances with guest accelerators do not support live migration.",
        ),
        ({"scheduling": {"maxRunDuration": {"seconds": 60}}}, "invalid", "instanceTerminationAction"),
        (
            {"scheduling": {"maxRunDuration": {"seconds": 5}, "instanceTerminationAction": "DELETE"}},
            "invalid",
            "Must be between 30 and 10368000 seconds.",
        ),
        (
            {"scheduling": {"terminationTime": "2001-01-01T00:00:00Z", "instanceTerminationAction": "DELETE"}},
            "invalid",
            "in the future",
        ),
        ({"scheduling": {"provisioningModel": "SPOT", "automaticRestart": True}}, "invalid", "automaticRestart"),
        ({"scheduling": {"instanceTerminationAction": "DELETE"}}, "invalid", "needs a SPOT instance or a run duration"),
        (
            {"guestAccelerators": [{"acceleratorType": "zones/z/acceleratorTypes/nvidia-l4", "acceleratorCount": 1}]},
            "badRequest",
            "[e2-standard-4, nvidia-l4:1] features are not compatible for creating instance.",
        ),
        (
            {"guestAccelerators": [{"acceleratorType": "nvidia-k80", "acceleratorCount": 1}]},
            "notFound",
            "acceleratorTypes/nvidia-k80' was not found",
        ),
        (
            {"networkInterfaces": [{"network": "global/networks/other"}]},
            "notFound",
            "The resource 'projects/p/global/networks/other' was not found",
        ),
        (
            {"disks": [{"initializeParams": {"sourceImage": "projects/debian-cloud/global/images/family/nope"}}]},
            "notFound",
            "The resource 'projects/debian-cloud/global/images/family/nope' was not found",
        ),
        (
            {
                "disks": [
                    {
                        "initializeParams": {
                            "sourceImage": "projects/debian-cloud/global/images/family/debian-12",
                            "diskSizeGb": "5",
                        }
                    }
                ]
            },
            "invalid",
            "Requested disk size cannot be smaller than the image size (10 GB)",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(compute: ComputeZone, fields: dict[str, Any], reason: str, words: str) -> None:
    """At once, with Google's reason and words, and nothing is made."""
    fields = dict(fields)
    body = compute_sky.body(fields.pop("name", "t1"), **fields)
    status, document = compute.call("POST", "/instances", body)
    assert compute_rest.error(document)[:2] == (404 if reason == "notFound" else 400, reason) and status >= 400
    assert words in compute_rest.error(document)[2]
    assert compute.call("GET", "/instances/t1")[0] == 404


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"nmae": "x"}, "Unknown name \"nmae\" at 'resource': Cannot find field."),
        ({"scheduling": {"max_run": 1}}, "Unknown name \"max_run\" at 'resource.scheduling'"),
        ({"scheduling": {"provisioningModel": "CHEAP"}}, "Invalid value at 'resource.scheduling.provisioning_model'"),
        ({"labels": ["a"]}, "Proto field is not repeating"),
        (b"{", "Invalid JSON payload received."),
    ],
)
def test_what_google_cannot_read_is_refused(compute: ComputeZone, body: Any, words: str) -> None:
    """Unknown fields, values and shapes get the 400 of Google's front end, with its details."""
    status, document = compute.call("POST", "/instances", body)
    assert status == 400 and words in document["error"]["message"], document
    assert document["error"]["status"] == "INVALID_ARGUMENT" and document["error"]["details"]


def test_unknown_parameters_are_refused(compute: ComputeZone) -> None:
    """400, as Google does."""
    status, document = compute.call("GET", "/instances?pageSize=3")
    assert status == 400 and "Cannot bind query parameter" in document["error"]["message"]


def test_labels_metadata_and_tags_change_by_fingerprint(compute: ComputeZone) -> None:
    """What was seen is what is changed; somebody else's change in between is a 412."""
    compute.insert(labels={"a": "1"})
    before = compute.instance()
    labels = {"labels": {"a": "2"}, "labelFingerprint": before.label_fingerprint}
    compute.done(*compute.call("POST", "/instances/t1/setLabels", labels))
    status, document = compute.call("POST", "/instances/t1/setLabels", labels)
    assert status == 412 and compute_rest.error(document)[:2] == (412, "conditionNotMet")
    assert dict(compute.instance().labels) == {"a": "2"}
    for path, field, items in (("setMetadata", "metadata", [{"key": "k", "value": "v"}]), ("setTags", "tags", ["web"])):
        seen = getattr(before, field).fingerprint
        compute.done(*compute.call("POST", f"/instances/t1/{path}", {"fingerprint": seen, "items": items}))
        status, document = compute.call("POST", f"/instances/t1/{path}", {"fingerprint": seen, "items": []})
        assert status == 412 and "fingerprint" in compute_rest.error(document)[2]
    assert compute.instance().metadata.items[0].key == "k" and list(compute.instance().tags.items) == ["web"]


def test_lists_are_filtered_sorted_and_paged(compute: ComputeZone, simulator: SimulatorProcess) -> None:
    """By label and state, newest first or by name, in pages that lose nothing, in one zone or in all."""
    for number in range(5):
        compute.insert(f"t{number}", labels={"n": str(number % 2)})
    ComputeZone(simulator, "europe-west4-a").insert("far", labels={"n": "1"})

    def names(query: str) -> list[str]:
        return [each.name for each in compute.get(f"/instances?{query}", compute_v1.InstanceList).items]

    assert names("filter=labels.n%3D1") == ["t1", "t3"]
    assert names("filter=labels.n%3D1%20AND%20name!%3Dt1") == ["t3"]
    assert names("orderBy=creationTimestamp%20desc")[0] == "t4"
    first = compute.get("/instances?maxResults=2", compute_v1.InstanceList)
    second = compute.get(f"/instances?maxResults=2&pageToken={first.next_page_token}", compute_v1.InstanceList)
    assert [each.name for page in (first, second) for each in page.items] == ["t0", "t1", "t2", "t3"]
    found, token = [], ""
    while True:
        path = f"/aggregated/instances?filter=labels.n%3D1&maxResults=1&pageToken={token}"
        page = rest.strict(compute.project("GET", path)[1], compute_v1.InstanceAggregatedList)
        found += [(scope, each.name) for scope, listed in page.items.items() for each in listed.instances]
        token = page.next_page_token
        if not token:
            break
    assert found == [("zones/europe-west4-a", "far"), ("zones/us-central1-b", "t1"), ("zones/us-central1-b", "t3")]
    for query in ("filter=(", "maxResults=501", "orderBy=zone", "pageToken=%21"):
        assert compute_rest.error(compute.call("GET", f"/instances?{query}")[1])[:2] == (400, "invalid"), query


def test_a_silent_zone_is_told_or_fails_the_list(compute: ComputeZone, simulator: SimulatorProcess) -> None:
    """503 by default; with returnPartialSuccess, or by the knob, a warning in its place and among the unreachable."""
    compute.insert()
    silent: dict[str, Any] = {"unreachable_zones": ["us-central1-b"]}
    simulator.turn(**silent)
    assert compute_rest.error(compute.project("GET", "/aggregated/instances")[1])[:2] == (503, "backendError")
    for path, knobs in (("?returnPartialSuccess=true", silent), ("", {**silent, "partial_lists": 1})):
        simulator.turn(**knobs)
        status, document = compute.project("GET", f"/aggregated/instances{path}")
        page = rest.strict(document, compute_v1.InstanceAggregatedList)
        assert status == 200 and list(page.unreachables) == ["zones/us-central1-b"]
        assert page.items["zones/us-central1-b"].warning.code == "UNREACHABLE"
        assert page.items["zones/us-east1-b"].warning.code == "NO_RESULTS_ON_PAGE"
    assert compute_rest.error(compute.call("GET", "/instances/t1")[1])[:2] == (503, "backendError")


def test_bad_days_look_like_googles(compute: ComputeZone, simulator: SimulatorProcess) -> None:
    """503 backendError, 403 rateLimitExceeded, a closed zone, and a reply that is lost after the deed."""
    simulator.turn(error_rate=1)
    assert compute_rest.error(compute.call("GET", "/instances")[1])[:2] == (503, "backendError")
    simulator.turn(rate_limited=1)
    status, document = compute.call("POST", "/instances", compute_sky.body())
    assert (status, compute_rest.error(document)[1]) == (403, "rateLimitExceeded")
    assert document["error"]["details"][0]["reason"] == "RATE_LIMIT_EXCEEDED"
    simulator.turn(closed_zones=["us-central1-b"])
    assert compute_rest.error(compute.call("GET", "/instances")[1])[:2] == (403, "forbidden")
    simulator.turn(lost_reply_rate=1)
    with pytest.raises(http.client.RemoteDisconnected):
        compute.call("POST", "/instances", compute_sky.body())
    simulator.turn()
    assert rest.eventually(lambda: compute.instance().status, lambda status: status == "RUNNING")


def test_what_happens_by_itself_is_among_the_operations(compute: ComputeZone, simulator: SimulatorProcess) -> None:
    """A preemption can be found by its type and target, begun by the system."""
    spot = {"provisioningModel": "SPOT", "instanceTerminationAction": "DELETE"}
    compute.insert(scheduling=spot)
    simulator.turn(preempt_after_s=0)
    rest.eventually(lambda: compute.call("GET", "/instances/t1")[0], lambda status: status == 404)
    query = "filter=operationType%3D%22compute.instances.preempted%22"
    (found,) = compute.get(f"/operations?{query}", compute_v1.OperationList).items[-1:]
    assert found.user == "system" and found.target_link.endswith("/zones/us-central1-b/instances/t1")
    assert found.name.startswith("systemevent-") and found.status_message == "Instance was preempted."


def test_every_instance_is_in_the_ledger(compute: ComputeZone, simulator: SimulatorProcess) -> None:
    """With its hardware and the times that a bill would be made from."""
    before = len(simulator.machines())
    compute.insert(**GPU)
    (alive,) = simulator.machines()[before:]
    assert (alive["machineType"], alive["acceleratorType"], alive["state"]) == (
        "g2-standard-4",
        "nvidia-l4:1",
        "RUNNING",
    )
    compute.done(*compute.call("DELETE", "/instances/t1"))
    (gone,) = simulator.machines()[before:]
    assert gone["state"] == "GONE" and gone["created_at"] <= gone["ready_at"] <= gone["gone_at"]
