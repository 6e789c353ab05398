"""The Compute Engine API by hand, and Google's own types to hold every answer against."""

from __future__ import annotations

from typing import Any

from google.cloud import compute_v1

from tests.servers.simulator import SimulatorProcess
from tests.wire import rest
from tests.world import compute_sky

ROOT = "/compute/v1/projects/p"


class ComputeZone:
    """One zone of project `p`, over plain HTTP; `call` takes paths below the zone, `project` below the project."""

    def __init__(self, simulator: SimulatorProcess, zone: str = compute_sky.ZONE) -> None:
        self._simulator = simulator
        self.zone = zone

    def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Status and document."""
        return self.project(method, f"/zones/{self.zone}{path}", body)

    def project(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Status and document."""
        return self._simulator.call(method, f"{ROOT}{path}", body)

    def get(self, path: str, kind: Any) -> Any:
        """The document, after Google's own type `kind` has read every field of it."""
        status, document = self.call("GET", path)
        assert status == 200, document
        return rest.strict(document, kind)

    def insert(self, name: str = "t1", *, query: str = "", **fields: Any) -> Any:
        """The operation that makes an instance with these fields, once it is over."""
        return self.done(*self.call("POST", f"/instances{query}", compute_sky.body(name, zone=self.zone, **fields)))

    def done(self, status: int, document: Any) -> Any:
        """The operation in the answer once it is over; every look at it is held against Google's types."""
        assert status == 200, document
        operation = rest.strict(document, compute_v1.Operation)
        path = operation.self_link.partition("/projects/p")[2]
        status, document = self.project("POST", f"{path}/wait")
        assert status == 200, document
        found = rest.strict(document, compute_v1.Operation)
        assert found.status is compute_v1.Operation.Status.DONE, found
        return found

    def instance(self, name: str = "t1") -> Any:
        """The Instance."""
        return self.get(f"/instances/{name}", compute_v1.Instance)

    def attributes(self, query: str = "", name: str = "t1") -> dict[str, str]:
        """The guest attributes below the path, as `namespace/key`; none when the API says there are none."""
        status, document = self.call("GET", f"/instances/{name}/getGuestAttributes?queryPath={query}")
        if status == 404:
            return {}
        items = rest.strict(document, compute_v1.GuestAttributes).query_value.items
        return {f"{item.namespace}/{item.key}": item.value for item in items}


def clear(simulator: SimulatorProcess) -> None:
    """Delete all instances there are, and the metadata that they share."""

    def listed() -> list[Any]:
        items = simulator.call("GET", f"{ROOT}/aggregated/instances")[1]["items"].values()
        return [instance for scope in items for instance in scope.get("instances", [])]

    for instance in listed():
        path = instance["selfLink"].partition("/compute/v1/")[2]
        simulator.call("POST", f"/compute/v1/{path}/setDeletionProtection?deletionProtection=false")
        simulator.call("DELETE", f"/compute/v1/{path}")
    rest.eventually(listed, lambda there: not there)
    shared = simulator.call("GET", ROOT)[1]["commonInstanceMetadata"]
    body = {"fingerprint": shared["fingerprint"]}
    assert simulator.call("POST", f"{ROOT}/setCommonInstanceMetadata", body)[0] == 200


def error(document: Any) -> tuple[int, str, str]:
    """HTTP status, reason and message of an error in Compute Engine's form."""
    found = document["error"]
    (first,) = found["errors"]
    assert first["message"] == found["message"] and first["domain"] in ("global", "usageLimits")
    return found["code"], first["reason"], found["message"]
