"""Google's own Python client as the judge, over REST, as accel-ci and everybody else uses it."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import tpu_v2

from tests.servers.simulator import SimulatorProcess
from tests.wire import rest

PARENT = "projects/p/locations/us-central1-b"
LIMIT_S = 60.0


@pytest.fixture
def client(simulator: SimulatorProcess) -> tpu_v2.TpuClient:
    """The client, which needs nothing but the address."""
    options = {"api_endpoint": simulator.url}
    return tpu_v2.TpuClient(credentials=AnonymousCredentials(), transport="rest", client_options=options)  # type: ignore[no-untyped-call]


def finished(operation: Any) -> Any:
    """The operation's result, once it is over."""
    return operation.result(timeout=LIMIT_S)


def node(**fields: object) -> tpu_v2.Node:
    """A node to ask for."""
    return tpu_v2.Node(accelerator_type="v6e-1", runtime_version="v2-alpha-tpuv6e", **fields)


def create(client: tpu_v2.TpuClient, node_id: str, **fields: object) -> tpu_v2.Node:
    """The node, once its operation is over."""
    operation = client.create_node(parent=PARENT, node_id=node_id, node=node(**fields))
    result: tpu_v2.Node = finished(operation)
    return result


def await_state(client: tpu_v2.TpuClient, name: str, state: str) -> None:
    """Return once the queued resource is in that state."""
    rest.eventually(lambda: client.get_queued_resource(name=name).state.state.name, lambda found: found == state)


def test_a_node_from_its_creation_to_its_end(client: tpu_v2.TpuClient) -> None:
    """Create, get, update, stop, start and delete, each operation's result as the client unpacks it."""
    made = create(client, "t1", labels={"a": "1"}, scheduling_config={"spot": True}, service_account={"scope": ["s"]})
    assert (
        made.state is tpu_v2.Node.State.READY
        and made.scheduling_config.spot
        and list(made.service_account.scope) == ["s"]
    )
    assert client.get_node(name=made.name) == made
    changed = tpu_v2.Node(name=made.name, labels={"b": "2"})
    updated = finished(client.update_node(node=changed, update_mask={"paths": ["labels"]}))
    assert dict(updated.labels) == {"b": "2"}
    assert finished(client.stop_node(request={"name": made.name})).state is tpu_v2.Node.State.STOPPED
    assert finished(client.start_node(request={"name": made.name})).state is tpu_v2.Node.State.READY
    finished(client.delete_node(name=made.name))
    with pytest.raises(exceptions.NotFound, match="was not found"):
        client.get_node(name=made.name)


def test_an_operation_is_waited_for(client: tpu_v2.TpuClient, simulator: SimulatorProcess) -> None:
    """The future polls until the end, and its metadata is the API's."""
    simulator.turn(boot_s=0.5)
    operation = client.create_node(parent=PARENT, node_id="t1", node=node())
    assert not operation.operation.done and operation.metadata.verb == "create"
    assert client.get_node(name=f"{PARENT}/nodes/t1").state is tpu_v2.Node.State.CREATING
    assert finished(operation).state is tpu_v2.Node.State.READY


def test_lists_are_paged_over_all_zones(client: tpu_v2.TpuClient) -> None:
    """Pages of two, walked by the client's own pager; every node comes once."""
    for number in range(5):
        create(client, f"t{number}")
    pager = client.list_nodes(request={"parent": "projects/p/locations/-", "page_size": 2})
    assert [len(page.nodes) for page in pager.pages] == [2, 2, 1]
    names = [each.name for each in client.list_nodes(request={"parent": PARENT, "page_size": 2})]
    assert names == [f"{PARENT}/nodes/t{number}" for number in range(5)]


def test_a_taken_name_is_a_conflict(client: tpu_v2.TpuClient) -> None:
    """AlreadyExists, told apart from other conflicts by its status."""
    create(client, "t1")
    with pytest.raises(exceptions.Conflict, match="already exists") as caught:
        create(client, "t1")
    assert caught.value.response.json()["error"]["status"] == "ALREADY_EXISTS"


def test_a_quota_is_told_by_its_details(client: tpu_v2.TpuClient, simulator: SimulatorProcess) -> None:
    """429 at once with a QuotaFailure among the details that the client hands on."""
    simulator.turn(quota={"*": 0})
    with pytest.raises(exceptions.TooManyRequests, match="Limit: 0 in region us-central1") as caught:
        create(client, "t1")
    assert [detail["@type"] for detail in caught.value.details] == ["type.googleapis.com/google.rpc.QuotaFailure"]


def test_a_stockout_is_an_error_of_the_operation(client: tpu_v2.TpuClient, simulator: SimulatorProcess) -> None:
    """ResourceExhausted from the future, like a quota, but without such details."""
    simulator.turn(stockout={"*": 1})
    operation = client.create_node(parent=PARENT, node_id="t1", node=node())
    with pytest.raises(exceptions.ResourceExhausted, match="There is no more capacity in the zone"):
        finished(operation)
    assert operation.operation.error.code == 8 and not operation.operation.error.details


def test_bad_requests_are_invalid(client: tpu_v2.TpuClient) -> None:
    """A type that the zone lacks, and a runtime version of another generation."""
    with pytest.raises(exceptions.BadRequest, match="was not found in zone us-central1-b"):
        client.create_node(parent=PARENT, node_id="t1", node=tpu_v2.Node(accelerator_type="v4-8", runtime_version="x"))
    wrong = tpu_v2.Node(accelerator_type="v6e-1", runtime_version="v2-alpha-tpuv5")
    with pytest.raises(exceptions.InvalidArgument, match="unable to complete the operation"):
        finished(client.create_node(parent=PARENT, node_id="t1", node=wrong))
    with pytest.raises(exceptions.Forbidden, match="is not found or access is unauthorized"):
        client.create_node(parent="projects/p/locations/mars-1a", node_id="t1", node=node())


def test_queued_resources_from_their_creation_to_their_end(client: tpu_v2.TpuClient) -> None:
    """Create with a request id, wait for ACTIVE, list, refuse and then force the deletion."""
    queued = tpu_v2.QueuedResource(
        tpu={"node_spec": [{"parent": PARENT, "node_id": "n1", "node": node(labels={"a": "1"})}]},
        spot={},
        queueing_policy={"valid_until_duration": {"seconds": 600}},
    )
    request = {"parent": PARENT, "queued_resource_id": "q1", "queued_resource": queued, "request_id": str(uuid.uuid4())}
    made = finished(client.create_queued_resource(request=request))
    assert finished(client.create_queued_resource(request=request)).name == made.name
    await_state(client, made.name, "ACTIVE")
    assert [each.name for each in client.list_queued_resources(parent=PARENT)] == [made.name]
    assert client.get_node(name=f"{PARENT}/nodes/n1").queued_resource == made.name
    with pytest.raises(exceptions.BadRequest, match="ACTIVE"):
        client.delete_queued_resource(name=made.name)
    finished(client.delete_queued_resource(request={"name": made.name, "force": True}))
    for gone in (
        lambda: client.get_queued_resource(name=made.name),
        lambda: client.get_node(name=f"{PARENT}/nodes/n1"),
    ):
        with pytest.raises(exceptions.NotFound):
            gone()


def test_a_preemption_shows_in_node_and_queued_resource(client: tpu_v2.TpuClient, simulator: SimulatorProcess) -> None:
    """A plain spot node stays as PREEMPTED; a queued resource is suspended by the service and its node goes."""
    create(client, "t1", scheduling_config={"spot": True})
    queued = {"tpu": {"node_spec": [{"parent": PARENT, "node_id": "n1", "node": node()}]}, "spot": {}}
    request = {"parent": PARENT, "queued_resource_id": "q1", "queued_resource": queued}
    made = finished(client.create_queued_resource(request=request))
    await_state(client, made.name, "ACTIVE")
    simulator.turn(preempt_after_s=0)
    await_state(client, made.name, "SUSPENDED")
    initiator = client.get_queued_resource(name=made.name).state.state_initiator
    assert initiator is tpu_v2.QueuedResourceState.StateInitiator.SERVICE
    assert client.get_node(name=f"{PARENT}/nodes/t1").state is tpu_v2.Node.State.PREEMPTED


def test_the_rest_of_the_api_is_there(client: tpu_v2.TpuClient) -> None:
    """Locations, types, runtime versions, guest attributes and operations, through the client's own methods."""
    create(client, "t1")
    zones = [each.location_id for each in client.list_locations({"name": "projects/p"}).locations]
    assert "us-central1-b" in zones and client.get_location({"name": PARENT}).location_id == "us-central1-b"
    types = {each.type_: each for each in client.list_accelerator_types(parent=PARENT)}
    assert client.get_accelerator_type(name=types["v6e-4"].name) == types["v6e-4"]
    versions = list(client.list_runtime_versions(parent=PARENT))
    assert client.get_runtime_version(name=versions[0].name) == versions[0]
    told = client.get_guest_attributes(request={"name": f"{PARENT}/nodes/t1", "worker_ids": [""]}).guest_attributes
    assert "ssh-ed25519" in [item.key for item in told[0].query_value.items]
    operations = client.list_operations({"name": PARENT}).operations
    assert client.get_operation({"name": operations[-1].name}) == operations[-1]
