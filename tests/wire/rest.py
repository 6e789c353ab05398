"""The Cloud TPU API by hand, and Google's own types to hold every answer against."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from google.cloud import tpu_v2
from google.longrunning import operations_pb2  # type: ignore[import-untyped]
from google.protobuf import json_format  # type: ignore[import-untyped]
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]

from tests.servers.simulator import SimulatorProcess

T = TypeVar("T")
LIMIT_S = 60.0
DETAILS = (
    error_details_pb2.DESCRIPTOR.message_types_by_name
)  # json_format finds the types in details when they are loaded


class Zone:
    """One zone of a project, over plain HTTP."""

    def __init__(self, simulator: SimulatorProcess, zone: str, *, project: str = "p") -> None:
        self._simulator = simulator
        self.place = f"projects/{project}/locations/{zone}"

    def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Status and document; `path` is below the zone."""
        return self._simulator.call(method, f"/v2/{self.place}{path}", body)

    def get(self, path: str, kind: Any) -> Any:
        """The document, after Google's own type `kind` has read every field of it."""
        status, document = self.call("GET", path)
        assert status == 200, document
        return strict(document, kind)

    def create(self, node_id: str, **fields: Any) -> Any:
        """The operation that makes a v6e-1 node with these fields of Node."""
        return self.done(*self.call("POST", f"/nodes?nodeId={node_id}", body(**fields)))

    def queue(self, queued_id: str, *, spec: Mapping[str, Any] | None = None, **fields: Any) -> Any:
        """The operation that makes a queued resource with one node of the same name."""
        return self.done(
            *self.call(
                "POST",
                f"/queuedResources?queuedResourceId={queued_id}",
                queued(self.place, queued_id, spec=spec, **fields),
            )
        )

    def done(self, status: int, document: Any) -> Any:
        """The operation in the answer once it is over; every look at it is held against Google's types."""
        assert status == 200, document
        operation = strict(document, operations_pb2.Operation)

        def look() -> Any:
            return strict(self._simulator.call("GET", f"/v2/{operation.name}")[1], operations_pb2.Operation)

        return operation if operation.done else eventually(look, lambda found: found.done)

    def node(self, node_id: str) -> Any:
        """The Node."""
        return self.get(f"/nodes/{node_id}", tpu_v2.Node)

    def queued_resource(self, queued_id: str) -> Any:
        """The QueuedResource."""
        return self.get(f"/queuedResources/{queued_id}", tpu_v2.QueuedResource)

    def clear(self) -> None:
        """Delete everything there is."""
        for path, key in (("/queuedResources", "queuedResources"), ("/nodes", "nodes")):
            for found in self.call("GET", f"{path}?pageSize=1000")[1].get(key, []):
                self._simulator.call("DELETE", f"/v2/{found['name']}" + ("?force=true" if "queued" in key else ""))
        eventually(lambda: self.call("GET", "/nodes")[1], lambda listed: not listed)


def body(**fields: Any) -> dict[str, Any]:
    """A Node to ask for."""
    return {"acceleratorType": "v6e-1", "runtimeVersion": "v2-alpha-tpuv6e", **fields}


def queued(place: str, queued_id: str, *, spec: Mapping[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """A QueuedResource to ask for: one node of the same name, in the spot tier unless `spec` says otherwise."""
    node_spec = {"parent": place, "nodeId": queued_id, "node": body(**fields)}
    return {"tpu": {"nodeSpec": [node_spec]}, **({"spot": {}} if spec is None else spec)}


def strict(document: Any, kind: Any) -> Any:
    """The document as a message of the type; an unknown field or a value of another type fails."""
    message = kind.pb()() if hasattr(kind, "pb") else kind()
    json_format.ParseDict(document, message, ignore_unknown_fields=False)
    return kind.wrap(message) if hasattr(kind, "wrap") else message


def error(document: Any) -> status_pb2.Status:
    """The google.rpc.Status in the body of an error; its details are held against their types."""
    known = {k: v for k, v in document["error"].items() if k != "status"}
    found: status_pb2.Status = strict(known, status_pb2.Status)
    return found


def eventually(look: Callable[[], T], good: Callable[[T], bool]) -> T:
    """What `look` saw when it was good at last."""
    deadline = time.monotonic() + LIMIT_S
    while not good(found := look()):
        assert time.monotonic() < deadline, found
        time.sleep(0.01)
    return found
