"""google-cloud-compute as the judge, over REST, as accel-ci and everybody else uses it."""

from __future__ import annotations

import uuid
from typing import Any, TypeVar

import pytest
from google.api_core import exceptions
from google.cloud import compute_v1
from google.oauth2.credentials import Credentials

from tests.servers.simulator import SimulatorProcess
from tests.wire import rest
from tests.wire.compute_rest import ComputeZone
from tests.world.compute_sky import IMAGE

Kind = TypeVar("Kind")
HERE: dict[str, Any] = {"project": "p", "zone": "us-central1-b"}


class Google:
    """The library's clients, which need nothing but the address."""

    def __init__(self, simulator: SimulatorProcess) -> None:
        self._url = simulator.url
        self.instances = self.client(compute_v1.InstancesClient)
        self.operations = self.client(compute_v1.ZoneOperationsClient)

    def client(self, kind: type[Kind]) -> Kind:
        """A client of that type."""
        credentials = Credentials(token="anything")  # type: ignore[no-untyped-call]
        return kind(credentials=credentials, client_options={"api_endpoint": self._url})  # type: ignore[call-arg]

    def insert(self, name: str = "t1", **fields: Any) -> compute_v1.Operation:
        """The operation of the insert, once it is over."""
        request = {**HERE, "instance_resource": instance(name, **fields), "request_id": str(uuid.uuid4())}
        return self.over(self.instances.insert_unary(request=request))

    def over(self, operation: compute_v1.Operation) -> compute_v1.Operation:
        """The operation once it is over. The library's own futures would ask the real Google: they forget the endpoint."""
        found = self.operations.wait(**HERE, operation=operation.name)
        assert found.status is compute_v1.Operation.Status.DONE
        return found

    def get(self, name: str = "t1") -> compute_v1.Instance:
        """The instance."""
        return self.instances.get(**HERE, instance=name)


def instance(name: str, machine_type: str = "e2-standard-4", **fields: Any) -> compute_v1.Instance:
    """An instance to ask for."""
    boot = compute_v1.AttachedDisk(boot=True, auto_delete=True, initialize_params={"source_image": IMAGE})
    return compute_v1.Instance(
        name=name,
        machine_type=f"zones/us-central1-b/machineTypes/{machine_type}",
        disks=[boot],
        network_interfaces=[compute_v1.NetworkInterface(network="global/networks/default")],
        **fields,
    )


@pytest.fixture
def google(simulator: SimulatorProcess) -> Google:
    """Google's library, pointed to the simulator."""
    return Google(simulator)


def test_an_instance_from_its_insert_to_its_end(google: Google) -> None:
    """insert, get, set_labels, stop, start, reset, delete, each awaited; then NotFound."""
    scheduling = compute_v1.Scheduling(
        provisioning_model="SPOT", instance_termination_action="DELETE", max_run_duration={"seconds": 3600}
    )
    done = google.insert(labels={"a": "1"}, scheduling=scheduling)
    assert done.operation_type == "insert" and not done.error.errors
    made = google.get()
    assert made.status == "RUNNING" and made.scheduling.preemptible and dict(made.labels) == {"a": "1"}
    assert made.scheduling.max_run_duration.seconds == 3600 and made.resource_status.scheduling.termination_timestamp
    labels = compute_v1.InstancesSetLabelsRequest(labels={"b": "2"}, label_fingerprint=made.label_fingerprint)
    change = {**HERE, "instance": "t1", "instances_set_labels_request_resource": labels}
    google.over(google.instances.set_labels_unary(request=change))
    assert dict(google.get().labels) == {"b": "2"}
    for act, status in ((google.instances.stop_unary, "TERMINATED"), (google.instances.start_unary, "RUNNING")):
        google.over(act(**HERE, instance="t1"))
        assert google.get().status == status
    google.over(google.instances.reset_unary(**HERE, instance="t1"))
    google.over(google.instances.delete_unary(**HERE, instance="t1"))
    with pytest.raises(exceptions.NotFound, match="was not found"):
        google.get()


def test_the_same_request_id_is_the_same_operation(google: Google) -> None:
    """Also for deletes; another id meets Conflict, and an id of zeros is refused."""
    request: dict[str, Any] = {**HERE, "instance_resource": instance("t1"), "request_id": str(uuid.uuid4())}
    first = google.instances.insert_unary(request=request)
    assert google.instances.insert_unary(request=request).name == first.name
    google.over(first)
    with pytest.raises(exceptions.Conflict, match="already exists"):
        google.instances.insert_unary(request={**request, "request_id": str(uuid.uuid4())})
    with pytest.raises(exceptions.BadRequest, match="requestId"):
        google.instances.insert_unary(request={**request, "request_id": str(uuid.UUID(int=0))})
    deletion: dict[str, Any] = {**HERE, "instance": "t1", "request_id": str(uuid.uuid4())}
    ended = google.over(google.instances.delete_unary(request=deletion))
    assert google.instances.delete_unary(request=deletion).name == ended.name


def test_aggregated_list_finds_by_label_over_all_zones(google: Google, simulator: SimulatorProcess) -> None:
    """The pager walks pages of one; a zone without a match carries a warning."""
    for number in range(3):
        google.insert(f"t{number}", labels={"owner": "me", "n": str(number)})
    ComputeZone(simulator, "europe-west4-a").insert("far", labels={"owner": "me"})
    ComputeZone(simulator, "us-east1-b").insert("other")
    request = compute_v1.AggregatedListInstancesRequest(project="p", filter="labels.owner = me", max_results=1)
    found = {
        (scope, each.name)
        for scope, listed in google.instances.aggregated_list(request=request)
        for each in listed.instances
    }
    here = {("zones/us-central1-b", f"t{number}") for number in range(3)}
    assert found == here | {("zones/europe-west4-a", "far")}
    listed = dict(google.instances.aggregated_list(project="p"))
    assert listed["zones/us-east5-a"].warning.code == "NO_RESULTS_ON_PAGE"
    both = compute_v1.ListInstancesRequest(**HERE, filter="labels.owner=me AND labels.n=2")
    assert [each.name for each in google.instances.list(request=both)] == ["t2"]


def test_errors_of_operations_can_be_read_by_their_details(google: Google, simulator: SimulatorProcess) -> None:
    """A stockout with 503 and its error_info, a quota with 403 and its quota_info."""
    gpu: dict[str, Any] = {"machine_type": "a2-highgpu-1g", "scheduling": {"on_host_maintenance": "TERMINATE"}}
    simulator.turn(stockout={"*": 1})
    stockout = google.insert(**gpu)
    (problem,) = stockout.error.errors
    assert (stockout.http_error_status_code, problem.code) == (503, "ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS")
    assert problem.error_details[2].error_info.metadatas["attachment"] == "nvidia-tesla-a100:1"
    simulator.turn(gpus_all_regions=0)
    quota = google.insert(**gpu)
    (problem,) = quota.error.errors
    assert (quota.http_error_status_code, problem.code) == (403, "QUOTA_EXCEEDED")
    assert problem.error_details[0].quota_info.metric_name == "compute.googleapis.com/gpus_all_regions"


def test_refusals_are_the_librarys_exceptions(google: Google, simulator: SimulatorProcess) -> None:
    """BadRequest, Forbidden with its reason, ServiceUnavailable: told apart by what the library reads out of them."""
    with pytest.raises(exceptions.BadRequest, match="does not exist in zone"):
        google.insert(machine_type="nope")
    simulator.turn(quota_at_once=1, quota={"*": 0})
    with pytest.raises(exceptions.Forbidden, match="exceeded") as caught:
        google.insert(machine_type="g2-standard-4", scheduling={"on_host_maintenance": "TERMINATE"})
    assert caught.value.errors[0]["reason"] == "quotaExceeded"
    simulator.turn(rate_limited=1)
    with pytest.raises(exceptions.Forbidden) as caught:
        google.insert()
    assert caught.value.errors[0]["reason"] == "rateLimitExceeded" and caught.value.reason == "RATE_LIMIT_EXCEEDED"
    simulator.turn(error_rate=1)
    with pytest.raises(exceptions.ServiceUnavailable):
        google.instances.delete_unary(**HERE, instance="t1")


def test_guest_attributes_and_the_serial_port(google: Google) -> None:
    """Host keys by namespace once the machine is up, the console in parts; nothing told is NotFound."""
    google.insert(metadata={"items": [{"key": "enable-guest-attributes", "value": "TRUE"}]})

    def keys() -> set[str]:
        try:
            told = google.instances.get_guest_attributes(request={**HERE, "instance": "t1", "query_path": "hostkeys/"})
        except exceptions.NotFound:
            return set()
        return {item.key for item in told.query_value.items}

    assert rest.eventually(keys, bool) == {"ssh-ed25519", "ecdsa-sha2-nistp256"}
    with pytest.raises(exceptions.NotFound, match="of type 'Guest Attribute' was not found"):
        google.instances.get_guest_attributes(request={**HERE, "instance": "t1", "query_path": "accel-ci/"})
    first = google.instances.get_serial_port_output(**HERE, instance="t1")
    rest_of_it = google.instances.get_serial_port_output(request={**HERE, "instance": "t1", "start": first.next_})
    assert "GCE Agent Started" in first.contents and rest_of_it.contents == "" and rest_of_it.start == first.next_


def test_the_catalogue_through_the_librarys_clients(google: Google) -> None:
    """Types, zones, images by family, quotas, the project: each by its own client."""
    machine = google.client(compute_v1.MachineTypesClient).get(**HERE, machine_type="g2-standard-24")
    assert machine.accelerators[0].guest_accelerator_count == 2
    kinds = google.client(compute_v1.AcceleratorTypesClient).list(**HERE)
    assert "nvidia-l4" in [kind.name for kind in kinds]
    family = google.client(compute_v1.ImagesClient).get_from_family(project="debian-cloud", family="debian-12")
    assert family.name.startswith("debian-12-v") and not family.deprecated.state
    zones = [zone.name for zone in google.client(compute_v1.ZonesClient).list(project="p")]
    assert zones == sorted(zones) and "us-central1-b" in zones
    region = google.client(compute_v1.RegionsClient).get(project="p", region="us-central1")
    assert "PREEMPTIBLE_NVIDIA_L4_GPUS" in [quota.metric for quota in region.quotas]
    assert google.client(compute_v1.ProjectsClient).get(project="p").common_instance_metadata.fingerprint
