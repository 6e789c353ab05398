"""Every answer of the simulator, read by Google's own types without leave to skip a field."""

from __future__ import annotations

import http.client
import re
from typing import Any
from urllib.parse import urlsplit

import pytest
from google.cloud import tpu_v2
from google.cloud.location import locations_pb2  # type: ignore[import-untyped]
from google.longrunning import operations_pb2  # type: ignore[import-untyped]
from google.rpc import error_details_pb2  # type: ignore[import-untyped]

from tests.servers.simulator import SimulatorProcess
from tests.wire import rest
from tests.wire.rest import Zone

TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z")


def test_a_creation_is_an_operation_with_metadata(zone: Zone) -> None:
    """Name, verb, target and times in the metadata, the node in the response, both as the types that the library unpacks."""
    operation = zone.create("t1")
    assert re.fullmatch(rf"{zone.place}/operations/operation-\d+-[0-9a-f]+-[0-9a-f]+-[0-9a-f]+", operation.name)
    metadata, node = tpu_v2.OperationMetadata.pb()(), tpu_v2.Node.pb()()
    assert operation.metadata.Unpack(metadata) and operation.response.Unpack(node)
    assert (metadata.verb, metadata.target, metadata.api_version) == ("create", f"{zone.place}/nodes/t1", "v2")
    assert metadata.create_time.ToDatetime() <= metadata.end_time.ToDatetime()
    assert node.name == f"{zone.place}/nodes/t1"


def test_a_node_looks_like_googles(zone: Zone) -> None:
    """States and health by name, an endpoint per worker, a numeric id as text, times with nanoseconds."""
    zone.create(
        "t1", acceleratorType="v6e-16", networkConfig={"enableExternalIps": True}, labels={"a": "b"}, tags=["x"]
    )
    node = zone.node("t1")
    assert (node.state.name, node.health.name, node.api_version.name) == ("READY", "HEALTHY", "V2")
    assert (node.accelerator_type, node.accelerator_config.type_.name) == ("v6e-16", "V6E")
    assert (node.accelerator_config.topology, dict(node.labels), list(node.tags)) == ("4x4", {"a": "b"}, ["x"])
    addresses = [endpoint.access_config.external_ip for endpoint in node.network_endpoints]
    assert len(set(addresses)) == 4 and all(address.startswith("127.") for address in addresses)
    _, document = zone.call("GET", "/nodes/t1")
    assert document["id"].isdigit() and TIMESTAMP.fullmatch(document["createTime"])


def test_endpoints_are_inside_unless_asked_for(zone: Zone) -> None:
    """Without enableExternalIps there is an internal address only."""
    zone.create("t1")
    (endpoint,) = zone.node("t1").network_endpoints
    assert endpoint.ip_address and not endpoint.access_config.external_ip


def test_guest_attributes_come_per_worker(zone: Zone) -> None:
    """All workers for no id or an empty one, those asked for otherwise, narrowed by the path; host keys are among them."""
    zone.create("t1", acceleratorType="v6e-16")

    def ask(**body: object) -> Any:
        status, document = zone.call("POST", "/nodes/t1:getGuestAttributes", body)
        assert status == 200
        return rest.strict(document, tpu_v2.GetGuestAttributesResponse)

    everybody = ask().guest_attributes
    keys = [{item.key: item.value for item in told.query_value.items} for told in everybody]
    assert len(keys) == 4 and len({each["ssh-ed25519"] for each in keys}) == 4
    assert len(ask(workerIds=[""]).guest_attributes) == 4
    (third,) = ask(workerIds=["3"], queryPath="hostkeys/ssh-ed25519").guest_attributes
    assert [item.value for item in third.query_value.items] == [keys[3]["ssh-ed25519"]]
    assert not ask(workerIds=["0"], queryPath="elsewhere/").guest_attributes[0].query_value.items
    assert zone.call("POST", "/nodes/t1:getGuestAttributes", {"workerIds": ["9"]})[0] == 400


def test_a_queued_resource_looks_like_googles(zone: Zone) -> None:
    """Its state has its data, its node specification is as asked, its node says whose it is."""
    zone.queue("q1", labels={"a": "b"})
    found = rest.eventually(lambda: zone.queued_resource("q1"), lambda each: each.state.state.name == "ACTIVE")
    assert "active_data" in found.state and "spot" in found
    (spec,) = found.tpu.node_spec
    assert (spec.node_id, spec.parent, dict(spec.node.labels)) == ("q1", zone.place, {"a": "b"})
    node = zone.node("q1")
    assert node.queued_resource == f"{zone.place}/queuedResources/q1" and node.scheduling_config.spot


def test_a_failed_queued_resource_says_why(zone: Zone, simulator: SimulatorProcess) -> None:
    """failed_data has a google.rpc.Status."""
    simulator.turn(queue_s=60)
    zone.queue("q1", spec={"spot": {}, "queueingPolicy": {"validUntilDuration": "0.05s"}})
    found = rest.eventually(lambda: zone.queued_resource("q1"), lambda each: each.state.state.name == "FAILED")
    assert found.state.failed_data.error.message


def test_lists_and_catalogues_are_googles(zone: Zone) -> None:
    """Every list and every single entry of it has the library's type."""
    zone.create("t1")
    zone.queue("q1")
    assert zone.get("/nodes", tpu_v2.ListNodesResponse).nodes
    assert zone.get("/queuedResources", tpu_v2.ListQueuedResourcesResponse).queued_resources
    types = zone.get("/acceleratorTypes", tpu_v2.ListAcceleratorTypesResponse).accelerator_types
    assert "v6e-16" in [each.type_ for each in types]
    assert zone.get("/acceleratorTypes/v6e-4", tpu_v2.AcceleratorType).accelerator_configs[0].topology == "2x2"
    versions = zone.get("/runtimeVersions", tpu_v2.ListRuntimeVersionsResponse).runtime_versions
    assert zone.get(f"/runtimeVersions/{versions[0].version}", tpu_v2.RuntimeVersion) == versions[0]
    listed = zone.get("/operations", operations_pb2.ListOperationsResponse).operations
    assert zone.get(f"/operations/{listed[0].name.rpartition('/')[2]}", operations_pb2.Operation) == listed[0]
    assert zone.get("", locations_pb2.Location).location_id == "us-central1-b"
    status, identity = zone.call("POST", ":generateServiceIdentity", {})
    assert status == 200 and rest.strict(identity, tpu_v2.GenerateServiceIdentityResponse).identity.email


def test_locations_are_listed(simulator: SimulatorProcess) -> None:
    """Every zone with TPUs, and not those that a policy closes."""
    simulator.turn(closed_zones=["us-east1-d"])
    _, document = simulator.call("GET", "/v2/projects/p/locations")
    listed = rest.strict(document, locations_pb2.ListLocationsResponse)
    names = {location.location_id for location in listed.locations}
    assert "us-central1-b" in names and "us-east1-d" not in names


def test_silent_zones_are_named_in_lists(zone: Zone, simulator: SimulatorProcess) -> None:
    """A list over all zones says whom it could not reach; asking the zone itself gives 503."""
    zone.create("t1")
    simulator.turn(unreachable_zones=["us-central1-b"])
    everywhere = Zone(simulator, "-").get("/nodes", tpu_v2.ListNodesResponse)
    assert list(everywhere.unreachable) == [zone.place] and not everywhere.nodes
    assert zone.call("GET", "/nodes")[0] == 503


@pytest.mark.parametrize("knob", ["hanging", "unanswered"])
def test_what_hangs_is_done_or_not_and_never_answered(zone: Zone, simulator: SimulatorProcess, knob: str) -> None:
    """The client waits in vain; an `unanswered` deletion has happened all the same, a `hanging` one has not."""
    zone.create("t1")
    simulator.turn(**{knob: ["DELETE /v2" if knob == "unanswered" else "/nodes/t1"]})
    host = urlsplit(simulator.url)
    connection = http.client.HTTPConnection(host.hostname or "", host.port, timeout=2)
    connection.request("DELETE", f"/v2/{zone.place}/nodes/t1")
    with pytest.raises(TimeoutError):
        connection.getresponse()
    connection.close()
    simulator.turn()
    assert zone.call("GET", "/nodes/t1")[0] == (404 if knob == "unanswered" else 200)


@pytest.mark.parametrize(
    ("method", "path", "body", "http", "status"),
    [
        ("GET", "/nodes/none", None, 404, "NOT_FOUND"),
        ("DELETE", "/nodes/none", None, 404, "NOT_FOUND"),
        ("GET", "/queuedResources/none", None, 404, "NOT_FOUND"),
        ("GET", "/operations/none", None, 404, "NOT_FOUND"),
        ("GET", "/acceleratorTypes/v9-1", None, 404, "NOT_FOUND"),
        ("POST", "/nodes?nodeId=a", {"foo": 1}, 400, "INVALID_ARGUMENT"),
        ("POST", "/nodes?nodeId=a&foo=1", {}, 400, "INVALID_ARGUMENT"),
        ("POST", "/nodes", {}, 400, "INVALID_ARGUMENT"),
        ("POST", "/nodes?nodeId=a/b", rest.body(), 400, "INVALID_ARGUMENT"),
        ("GET", "/nodes?pageSize=-1", None, 400, "INVALID_ARGUMENT"),
        ("GET", "/acceleratorTypes?filter=type:v6e", None, 501, "UNIMPLEMENTED"),
        ("PUT", "/nodes/a", {}, 404, "NOT_FOUND"),
    ],
)
def test_errors_have_googles_form(zone: Zone, method: str, path: str, body: object, http: int, status: str) -> None:
    """HTTP status, the status by name, a message, and details that are messages of google.rpc."""
    code, document = zone.call(method, path, body)
    assert (code, document["error"]["code"], document["error"]["status"]) == (http, http, status)
    assert rest.error(document).message


def test_a_conflict_names_the_resource(zone: Zone) -> None:
    """409 with a ResourceInfo."""
    zone.create("t1")
    code, document = zone.call("POST", "/nodes?nodeId=t1", rest.body())
    info = error_details_pb2.ResourceInfo()
    assert code == 409 and rest.error(document).details[0].Unpack(info)
    assert (info.resource_name, document["error"]["status"]) == (f"{zone.place}/nodes/t1", "ALREADY_EXISTS")


def test_a_quota_error_has_its_details(zone: Zone, simulator: SimulatorProcess) -> None:
    """429 with a QuotaFailure."""
    simulator.turn(quota={"us-central1": 0})
    code, document = zone.call("POST", "/nodes?nodeId=t1", rest.body())
    failure = error_details_pb2.QuotaFailure()
    assert code == 429 and rest.error(document).details[0].Unpack(failure)
    assert "TPUV6EPerProjectPerRegionForTPUAPI" in failure.violations[0].description


def test_an_update_changes_what_its_mask_names(zone: Zone) -> None:
    """PATCH with updateMask; what the body holds beside it is left alone."""
    zone.create("t1", labels={"a": "1"}, description="old")
    zone.done(*zone.call("PATCH", "/nodes/t1?updateMask=labels", {"labels": {"b": "2"}, "description": "new"}))
    node = zone.node("t1")
    assert (dict(node.labels), node.description) == ({"b": "2"}, "old")
    assert zone.call("PATCH", "/nodes/t1?updateMask=runtime_version", {})[0] == 400


def test_a_node_stops_and_starts(zone: Zone) -> None:
    """STOPPED keeps the internal address alone; READY again it has an outside one."""
    zone.create("t1", networkConfig={"enableExternalIps": True})
    zone.done(*zone.call("POST", "/nodes/t1:stop", {}))
    stopped = zone.node("t1")
    assert stopped.state.name == "STOPPED" and not stopped.network_endpoints[0].access_config.external_ip
    zone.done(*zone.call("POST", "/nodes/t1:start", {}))
    assert zone.node("t1").network_endpoints[0].access_config.external_ip


def test_maintenance_shows_in_the_health(zone: Zone, simulator: SimulatorProcess) -> None:
    """UNHEALTHY_MAINTENANCE with a description, READY all the same, then HEALTHY again."""
    zone.create("t1")
    simulator.turn(maintenance_after_s=0, maintenance_s=30)
    sick = rest.eventually(lambda: zone.node("t1"), lambda node: node.health.name == "UNHEALTHY_MAINTENANCE")
    assert sick.state.name == "READY" and sick.health_description


def test_operations_can_be_cancelled_and_forgotten(zone: Zone, simulator: SimulatorProcess) -> None:
    """Both answer with an empty document; a cancelled creation ends with CANCELLED."""
    simulator.turn(boot_s=600)
    _, begun = zone.call("POST", "/nodes?nodeId=t1", rest.body())
    path = begun["name"].removeprefix(zone.place)
    assert "done" not in begun
    assert zone.call("POST", f"{path}:cancel", {}) == (200, {})
    assert zone.done(*zone.call("GET", path)).error.code == 1
    assert zone.call("DELETE", path) == (200, {}) and zone.call("GET", path)[0] == 404
