"""Cloud TPU's resources as the JSON that Google sends: nothing that is unset, times with nanoseconds, int64 as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from accel_ci_sim.world import tpu_catalogue, tpu_node
from accel_ci_sim.world.tpu_catalogue import Kind
from accel_ci_sim.world.tpu_node import (
    Initiator,
    Node,
    NodeState,
    Operation,
    Place,
    Queued,
    QueuedState,
    TpuWorker,
)
from accel_ci_sim.world.tpu_status import Status

TPU_PORT = 8470  # where the accelerator itself listens: the real API shows this one
SSH_PORT = 22
TYPES = "type.googleapis.com/google.cloud.tpu.v2."

Document = dict[str, Any]

_DATA = {
    QueuedState.ACCEPTED: "acceptedData",
    QueuedState.WAITING: "",
    QueuedState.PROVISIONING: "provisioningData",
    QueuedState.ACTIVE: "activeData",
    QueuedState.SUSPENDING: "suspendingData",
    QueuedState.SUSPENDED: "suspendedData",
    QueuedState.FAILED: "failedData",
    QueuedState.DELETING: "deletingData",
}


def node(shown: Node) -> Document:
    """A Node."""
    healthy = shown.state is NodeState.READY
    return shown.spec | _set(
        name=shown.name,
        state=shown.state.value,
        health="UNHEALTHY_MAINTENANCE" if shown.maintained else "HEALTHY" if healthy else "",
        healthDescription="The TPU is under maintenance." if shown.maintained else "",
        createTime=timestamp(shown.created_at),
        id=str(shown.number),
        apiVersion="V2",
        networkEndpoints=[_endpoint(shown, worker) for worker in shown.workers],
        queuedResource=shown.queued,
        multisliceNode=shown.multislice,
    )


def queued_resource(shown: Queued) -> Document:
    """A QueuedResource."""
    state: Document = {"state": shown.state.value}
    if shown.initiator is not Initiator.UNSPECIFIED:
        state["stateInitiator"] = shown.initiator.value
    if _DATA[shown.state]:
        state[_DATA[shown.state]] = {"error": status(shown.error)} if shown.error else {}
    specs = [each for spec in shown.spec["tpu"]["nodeSpec"] for each in _each_node(shown, spec)]
    rest = {"name": shown.name, "createTime": timestamp(shown.created_at), "tpu": {"nodeSpec": specs}, "state": state}
    return shown.spec | rest


def operation(shown: Operation) -> Document:
    """A google.longrunning.Operation."""
    metadata: Document = {"@type": f"{TYPES}OperationMetadata"} | _set(
        createTime=timestamp(shown.created_at),
        endTime=timestamp(shown.ended_at) if shown.ended_at is not None else "",
        target=shown.target,
        verb=shown.verb,
        apiVersion="v2",
    )
    metadata["cancelRequested"] = shown.cancel_requested
    document: Document = {"name": shown.name, "metadata": metadata}
    if shown.ended_at is not None:
        document["done"] = True
        document |= {"error": status(shown.error)} if shown.error else {"response": _response(shown)}
    return document


def status(shown: Status) -> Document:
    """A google.rpc.Status."""
    return {"code": int(shown.code), "message": shown.message} | _set(details=[*shown.details])


def error(shown: Status, http: int) -> Document:
    """The body of an answer that is an error."""
    return {
        "error": {"code": http, "message": shown.message, "status": shown.code.name} | _set(details=[*shown.details])
    }


def location(place: Place) -> Document:
    """A google.cloud.location.Location."""
    return {
        "name": str(place),
        "locationId": place.zone,
        "labels": {"cloud.googleapis.com/region": tpu_catalogue.region(place.zone)},
    }


def accelerator_type(place: Place, kind: Kind) -> Document:
    """An AcceleratorType."""
    return {
        "name": f"{place}/acceleratorTypes/{kind.name}",
        "type": kind.name,
        "acceleratorConfigs": [{"type": kind.generation, "topology": kind.topology}],
    }


def runtime_version(place: Place, version: str) -> Document:
    """A RuntimeVersion."""
    return {"name": f"{place}/runtimeVersions/{version}", "version": version}


def guest_attributes(worker: TpuWorker, query: str) -> Document:
    """The GuestAttributes of one worker, below the query path: `namespace/` or `namespace/key`, all without one."""
    entries = [
        {"namespace": namespace, "key": key, "value": value}
        for (namespace, key), value in sorted(worker.attributes.items())
        if f"{namespace}/{key}".startswith(query.lstrip("/"))
    ]
    return {"queryPath": query, "queryValue": {"items": entries}} if query else {"queryValue": {"items": entries}}


def timestamp(seconds: float) -> str:
    """Seconds since 1970 in RFC 3339, UTC."""
    whole = datetime.fromtimestamp(int(seconds), tz=UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{whole}.{int(seconds % 1 * 1e9):09d}Z"


def _each_node(shown: Queued, node_spec: Mapping[str, Any]) -> Iterator[Document]:
    """One specification per node, with its id: that is how `gcloud ... queued-resources ssh --node=all` finds them."""
    kept = {name: value for name, value in node_spec.items() if name != "multisliceParams"}
    yield from (kept | {"nodeId": node_id} for node_id in tpu_node.node_ids(shown.name, node_spec))


def _endpoint(shown: Node, worker: TpuWorker) -> Mapping[str, Any]:
    # Clients dial port 22 of real machines whatever the API says. Where that is not ours to use, it says where we are.
    port = TPU_PORT if worker.port in (0, SSH_PORT) else worker.port
    outside = shown.spec["networkConfig"].get("enableExternalIps") and worker.on
    return _set(ipAddress=worker.address, port=port, accessConfig={"externalIp": worker.address} if outside else None)


def _response(shown: Operation) -> Document:
    match shown.result:
        case Node():
            return {"@type": f"{TYPES}Node"} | node(shown.result)
        case Queued():
            return {"@type": f"{TYPES}QueuedResource"} | queued_resource(shown.result)
        case _:
            return {"@type": "type.googleapis.com/google.protobuf.Empty"}


def _set(**fields: Any) -> Document:
    """The fields that are set: proto3 leaves defaults out."""
    return {name: value for name, value in fields.items() if value}
