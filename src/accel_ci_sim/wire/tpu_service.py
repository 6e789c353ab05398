"""The methods of the Cloud TPU API v2 over HTTP, on the model of the cloud."""

from __future__ import annotations

from collections.abc import Sequence

from accel_ci_sim.wire import paging, proto_json, tpu_bodies, tpu_render
from accel_ci_sim.wire.routing import Call, Route, route
from accel_ci_sim.wire.tpu_render import Document
from accel_ci_sim.world import tpu, tpu_catalogue, tpu_status
from accel_ci_sim.world.tpu import TpuCloud
from accel_ci_sim.world.tpu_node import Operation, Place
from accel_ci_sim.world.tpu_queue import TpuQueue

EVERYWHERE = "-"
PAGES = ("pageSize", "pageToken")
SORTED = ("filter", "orderBy", *PAGES)


class TpuService:
    """Each method takes a Call and gives a document, or an Operation that was begun; RefusedError otherwise."""

    def __init__(self, cloud: TpuCloud, queue: TpuQueue) -> None:
        self._cloud = cloud
        self._queue = queue

    def routes(self) -> list[Route]:
        """Every method with its address below /v2/."""
        return [
            *self.location_routes(),
            route("POST", "{place}:generateServiceIdentity", self.identity),
            route("GET", "{place}/acceleratorTypes", self.accelerator_types, *SORTED),
            route("GET", "{place}/acceleratorTypes/{id}", self.accelerator_type),
            route("GET", "{place}/runtimeVersions", self.runtime_versions, *SORTED),
            route("GET", "{place}/runtimeVersions/{id}", self.runtime_version),
            route("GET", "{place}/nodes", self.list_nodes, *PAGES),
            route("POST", "{place}/nodes", self.create_node, "nodeId"),
            route("GET", "{place}/nodes/{id}", self.get_node),
            route("PATCH", "{place}/nodes/{id}", self.update_node, "updateMask"),
            route("DELETE", "{place}/nodes/{id}", self.delete_node),
            route("POST", "{place}/nodes/{id}:stop", self.stop_node),
            route("POST", "{place}/nodes/{id}:start", self.start_node),
            route("POST", "{place}/nodes/{id}:getGuestAttributes", self.guest_attributes),
            route("GET", "{place}/queuedResources", self.list_queued, *PAGES),
            route("POST", "{place}/queuedResources", self.create_queued, "queuedResourceId", "requestId"),
            route("GET", "{place}/queuedResources/{id}", self.get_queued),
            route("DELETE", "{place}/queuedResources/{id}", self.delete_queued, "force", "requestId"),
            route("POST", "{place}/queuedResources/{id}:reset", self.reset_queued),
            route("GET", "{place}/operations", self.list_operations, "filter", *PAGES),
            route("GET", "{place}/operations/{id}", self.get_operation),
            route("DELETE", "{place}/operations/{id}", self.delete_operation),
            route("POST", "{place}/operations/{id}:cancel", self.cancel_operation),
        ]

    def location_routes(self) -> list[Route]:
        """The methods that `gcloud compute tpus locations` calls below /v1/."""
        return [
            route("GET", "{project}/locations", self.locations, "filter", "extraLocationTypes", *PAGES),
            route("GET", "{place}", self.location),
        ]

    def locations(self, call: Call) -> Document:
        """projects.locations.list."""
        closed = self._cloud.life.knobs.closed_zones
        places = [Place(call.project, zone) for zone in tpu_catalogue.ZONES if zone not in closed]
        return _list("locations", [(place.zone, tpu_render.location(place)) for place in places], call)

    def location(self, call: Call) -> Document:
        """projects.locations.get."""
        return tpu_render.location(self._there(call))

    def identity(self, call: Call) -> Document:
        """projects.locations.generateServiceIdentity."""
        proto_json.parsed(call.body, "GenerateServiceIdentityRequest")
        self._there(call)
        return {"identity": {"email": f"service-{tpu.project_number(call.project)}@cloud-tpu.iam.gserviceaccount.com"}}

    def accelerator_types(self, call: Call) -> Document:
        """projects.locations.acceleratorTypes.list."""
        place = self._there(call)
        kinds = tpu_catalogue.kinds(place.zone)
        types = [(name, tpu_render.accelerator_type(place, kinds[name])) for name in sorted(kinds)]
        return _list("acceleratorTypes", types, call)

    def accelerator_type(self, call: Call) -> Document:
        """projects.locations.acceleratorTypes.get."""
        place = self._there(call)
        kind = tpu_catalogue.kinds(place.zone).get(call.id)
        if kind is None:
            raise tpu_status.not_found(f"{place}/acceleratorTypes/{call.id}")
        return tpu_render.accelerator_type(place, kind)

    def runtime_versions(self, call: Call) -> Document:
        """projects.locations.runtimeVersions.list."""
        place = self._there(call)
        versions = [(each, tpu_render.runtime_version(place, each)) for each in tpu_catalogue.runtimes(place.zone)]
        return _list("runtimeVersions", versions, call)

    def runtime_version(self, call: Call) -> Document:
        """projects.locations.runtimeVersions.get."""
        place = self._there(call)
        if call.id not in tpu_catalogue.runtimes(place.zone):
            raise tpu_status.not_found(f"{place}/runtimeVersions/{call.id}")
        return tpu_render.runtime_version(place, call.id)

    def list_nodes(self, call: Call) -> Document:
        """projects.locations.nodes.list; the zone `-` stands for all."""
        zones, unreachable = self._zones(call)
        nodes = self._cloud.listed(call.project, zones)
        return _list("nodes", [(node.name, tpu_render.node(node)) for node in nodes], call) | unreachable

    def create_node(self, call: Call) -> Operation:
        """projects.locations.nodes.create."""
        return self._cloud.create(self._there(call), call.query.get("nodeId", ""), tpu_bodies.node(call.body))

    def get_node(self, call: Call) -> Document:
        """projects.locations.nodes.get."""
        return tpu_render.node(self._cloud.node(self._there(call).node(call.id)))

    def update_node(self, call: Call) -> Operation:
        """projects.locations.nodes.patch."""
        new, paths = tpu_bodies.node(call.body), tpu_bodies.mask(call.query.get("updateMask", ""))
        name = self._there(call).node(call.id)
        return self._cloud.update(name, lambda spec: tpu_bodies.update(spec, new, paths))

    def delete_node(self, call: Call) -> Operation:
        """projects.locations.nodes.delete."""
        return self._cloud.delete(self._there(call).node(call.id))

    def stop_node(self, call: Call) -> Operation:
        """projects.locations.nodes.stop."""
        proto_json.parsed(call.body, "StopNodeRequest")
        return self._cloud.stop(self._there(call).node(call.id))

    def start_node(self, call: Call) -> Operation:
        """projects.locations.nodes.start."""
        proto_json.parsed(call.body, "StartNodeRequest")
        return self._cloud.start(self._there(call).node(call.id))

    def guest_attributes(self, call: Call) -> Document:
        """projects.locations.nodes.getGuestAttributes; no worker id, or an empty one, means all workers."""
        request = proto_json.parsed(call.body, "GetGuestAttributesRequest")
        workers = self._cloud.node(self._there(call).node(call.id)).workers
        wanted = [worker_id for worker_id in request.get("workerIds", []) if worker_id]
        by_id = {str(worker.index): worker for worker in workers}
        unknown = [worker_id for worker_id in wanted if worker_id not in by_id]
        if unknown:
            raise tpu_status.invalid(f"Invalid worker id '{unknown[0]}'.")
        shown = [by_id[worker_id] for worker_id in wanted] if wanted else workers
        query = request.get("queryPath", "")
        return {"guestAttributes": [tpu_render.guest_attributes(worker, query) for worker in shown]}

    def list_queued(self, call: Call) -> Document:
        """projects.locations.queuedResources.list; the zone `-` stands for all."""
        zones, unreachable = self._zones(call)
        listed = self._queue.listed(call.project, zones)
        named = [(queued.name, tpu_render.queued_resource(queued)) for queued in listed]
        return _list("queuedResources", named, call) | unreachable

    def create_queued(self, call: Call) -> Operation:
        """projects.locations.queuedResources.create."""
        place, spec = self._there(call), tpu_bodies.queued_resource(call.body)
        request_id = call.query.get("requestId", "")
        queued_id = call.query.get("queuedResourceId", "")
        window = tpu_bodies.window(spec, now=self._cloud.life.now)
        return self._queue.create(place, queued_id, spec, window=window, request_id=request_id)

    def get_queued(self, call: Call) -> Document:
        """projects.locations.queuedResources.get."""
        return tpu_render.queued_resource(self._queue.get(self._there(call).queued(call.id)))

    def delete_queued(self, call: Call) -> Operation:
        """projects.locations.queuedResources.delete."""
        name = self._there(call).queued(call.id)
        return self._queue.delete(name, force=call.flag("force"), request_id=call.query.get("requestId", ""))

    def reset_queued(self, call: Call) -> Operation:
        """projects.locations.queuedResources.reset."""
        proto_json.parsed(call.body, "ResetQueuedResourceRequest")
        return self._queue.reset(self._there(call).queued(call.id))

    def list_operations(self, call: Call) -> Document:
        """projects.locations.operations.list."""
        listed = self._cloud.operations.listed(self._there(call))
        return _list("operations", [(each.name, tpu_render.operation(each)) for each in listed], call)

    def get_operation(self, call: Call) -> Document:
        """projects.locations.operations.get."""
        return tpu_render.operation(self._cloud.operations.get(self._operation(call)))

    def delete_operation(self, call: Call) -> Document:
        """projects.locations.operations.delete: forgets it, no more."""
        self._cloud.operations.forget(self._operation(call))
        return {}

    def cancel_operation(self, call: Call) -> Document:
        """projects.locations.operations.cancel."""
        self._cloud.cancel(self._operation(call))
        return {}

    def _there(self, call: Call) -> Place:
        self._cloud.enter(call.place)
        return call.place

    def _operation(self, call: Call) -> str:
        return f"{self._there(call)}/operations/{call.id}"

    def _zones(self, call: Call) -> tuple[Sequence[str], Document]:
        """The zones that a list covers, and the note about those that did not answer."""
        if call.zone != EVERYWHERE:
            return (self._there(call).zone,), {}
        silent = self._cloud.life.knobs.unreachable_zones
        zones = [zone for zone in tpu_catalogue.ZONES if zone not in silent]
        names = [str(Place(call.project, zone)) for zone in silent]
        return zones, {"unreachable": names} if names else {}


def _list(name: str, items: Sequence[tuple[str, Document]], call: Call) -> Document:
    shown, token = paging.page(items, call.query)
    return {key: value for key, value in ((name, shown), ("nextPageToken", token)) if value}
