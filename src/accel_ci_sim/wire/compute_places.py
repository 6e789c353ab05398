"""The methods of the Compute Engine API v1 that look things up: zones, regions, types, disks, images, networks, projects."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from accel_ci_sim.wire import compute_lists, compute_render
from accel_ci_sim.wire.compute_lists import AGGREGATED, LIST
from accel_ci_sim.wire.routing import Call, Route, route
from accel_ci_sim.wire.tpu_render import Document
from accel_ci_sim.world import compute_catalogue, compute_images, compute_quota, compute_status
from accel_ci_sim.world.compute import ComputeCloud
from accel_ci_sim.world.compute_instance import Instance

ZONE = "{project}/zones/{zone}"
REGION = "{project}/regions/{region}"
GLOBAL = "{project}/global"
Offered = Callable[[str, str], Iterable[Document]]  # (project, zone or region) -> resources


class Collection:
    """A kind of resource that zones or regions have: get, list and aggregatedList of what `offered` gives."""

    def __init__(self, cloud: ComputeCloud, name: str, kind: str, offered: Offered, *, regional: bool = False) -> None:
        self._cloud = cloud
        self._name = name
        self._kind = f"compute#{kind}"
        self._offered = offered
        self._scopes = compute_catalogue.REGIONS if regional else compute_catalogue.ZONES
        self._folder = "regions" if regional else "zones"

    def routes(self) -> list[Route]:
        """The three methods."""
        place = f"{REGION if self._folder == 'regions' else ZONE}/{self._name}"
        return [
            route("GET", place, self.list, *LIST, sorts=True),
            route("GET", f"{place}/{{id}}", self.get),
            route("GET", f"{{project}}/aggregated/{self._name}", self.aggregated, *AGGREGATED, sorts=True),
        ]

    def list(self, call: Call) -> Document:
        """All of a zone or region."""
        found = self._offered(call.project, self._place(call))
        return compute_lists.listed(f"{self._kind}List", self._path(call), found, call.query)

    def get(self, call: Call) -> Document:
        """One by name."""
        found = (each for each in self._offered(call.project, self._place(call)) if each["name"] == call.id)
        one = next(found, None)
        if one is None:
            raise compute_status.not_found(f"{self._path(call)}/{call.id}")
        return one

    def aggregated(self, call: Call) -> Document:
        """All of the project, by zone or region."""
        silent = self._cloud.life.knobs.unreachable_zones
        items = [
            (f"{self._folder}/{scope}", each)
            for scope in self._scopes
            if scope not in silent
            for each in self._offered(call.project, scope)
        ]
        return compute_lists.aggregated(
            f"{self._kind}AggregatedList",
            f"projects/{call.project}/aggregated/{self._name}",
            items,
            call.query,
            scopes=[f"{self._folder}/{scope}" for scope in self._scopes],
            silent=[f"{self._folder}/{scope}" for scope in self._scopes if scope in silent],
            partial=self._cloud.partial(),
        )

    def _place(self, call: Call) -> str:
        if self._folder == "zones":
            self._cloud.enter(call.project, call.zone)
        return call.zone

    def _path(self, call: Call) -> str:
        return f"projects/{call.project}/{self._folder}/{call.zone}/{self._name}"


class ComputePlaces:
    """Each method takes a Call and gives a document; RefusedError otherwise."""

    def __init__(self, cloud: ComputeCloud) -> None:
        self._cloud = cloud

    def routes(self) -> list[Route]:
        """Every method with its address below /compute/v1/."""
        cloud = self._cloud
        return [
            route("GET", "{project}", self.project),
            route("GET", "{project}/zones", self.zones, *LIST, sorts=True),
            route("GET", ZONE, self.zone),
            route("GET", "{project}/regions", self.regions, *LIST, sorts=True),
            route("GET", REGION, self.region),
            *Collection(cloud, "machineTypes", "machineType", _machine_types).routes(),
            *Collection(cloud, "acceleratorTypes", "acceleratorType", _accelerator_types).routes(),
            *Collection(cloud, "disks", "disk", self._disks).routes(),
            *Collection(cloud, "subnetworks", "subnetwork", self._subnetworks, regional=True).routes(),
            route("GET", f"{GLOBAL}/images", self.images, *LIST, sorts=True),
            route("GET", f"{GLOBAL}/images/{{id}}", self.image),
            route("GET", f"{GLOBAL}/images/family/{{id}}", self.family),
            route("GET", f"{ZONE}/imageFamilyViews/{{id}}", self.family_view),
            route("GET", f"{GLOBAL}/networks", self.networks, *LIST, sorts=True),
            route("GET", f"{GLOBAL}/networks/{{id}}", self.network),
        ]

    def project(self, call: Call) -> Document:
        """projects.get."""
        used = compute_quota.usage(self._instances(call.project))
        quotas = compute_render.project_quotas(self._cloud.life.knobs.gpus_all_regions, used)
        return compute_render.project(call.project, self._cloud.shared.get(call.project, {}), quotas)

    def zones(self, call: Call) -> Document:
        """zones.list."""
        found = [compute_render.zone(call.project, zone) for zone in compute_catalogue.ZONES]
        return compute_lists.listed("compute#zoneList", f"projects/{call.project}/zones", found, call.query)

    def zone(self, call: Call) -> Document:
        """zones.get."""
        return compute_render.zone(call.project, _known(call, "zones", compute_catalogue.ZONES))

    def regions(self, call: Call) -> Document:
        """regions.list, with quotas."""
        found = [self._region(call.project, region) for region in compute_catalogue.REGIONS]
        return compute_lists.listed("compute#regionList", f"projects/{call.project}/regions", found, call.query)

    def region(self, call: Call) -> Document:
        """regions.get, with quotas."""
        return self._region(call.project, _known(call, "regions", compute_catalogue.REGIONS))

    def images(self, call: Call) -> Document:
        """images.list."""
        found = [compute_render.image(each) for each in compute_images.of_project(call.project)]
        return compute_lists.listed("compute#imageList", f"projects/{call.project}/global/images", found, call.query)

    def image(self, call: Call) -> Document:
        """images.get."""
        path = f"projects/{call.project}/global/images/{call.id}"
        if path not in compute_images.BY_PATH:
            raise compute_status.not_found(path)
        return compute_render.image(compute_images.BY_PATH[path])

    def family(self, call: Call) -> Document:
        """images.getFromFamily."""
        found = compute_images.latest(call.project, call.id)
        if found is None:
            raise compute_status.not_found(f"projects/{call.project}/global/images/family/{call.id}")
        return compute_render.image(found)

    def family_view(self, call: Call) -> Document:
        """imageFamilyViews.get."""
        return {"image": self.family(call)}

    def networks(self, call: Call) -> Document:
        """networks.list."""
        found = [compute_render.network(call.project, name) for name in self._cloud.life.knobs.networks]
        path = f"projects/{call.project}/global/networks"
        return compute_lists.listed("compute#networkList", path, found, call.query)

    def network(self, call: Call) -> Document:
        """networks.get."""
        if call.id not in self._cloud.life.knobs.networks:
            raise compute_status.not_found(f"projects/{call.project}/global/networks/{call.id}")
        return compute_render.network(call.project, call.id)

    def _region(self, project: str, region: str) -> Document:
        limits = compute_quota.limits(self._cloud.life.knobs, region)
        used = compute_quota.usage(self._instances(project), region)
        return compute_render.region(project, region, compute_render.quotas(limits, used))

    def _instances(self, project: str) -> list[Instance]:
        return [each for each in self._cloud.life.instances.values() if each.project == project]

    def _disks(self, project: str, zone: str) -> list[Document]:
        owners = [each for each in self._instances(project) if each.zone == zone]
        return [compute_render.disk(owner, disk) for owner in owners for disk in owner.spec["disks"]]

    def _subnetworks(self, project: str, region: str) -> list[Document]:
        if region not in compute_catalogue.REGIONS:
            raise compute_status.invalid("region", region, "Unknown region.")
        return [compute_render.subnetwork(project, region, name) for name in self._cloud.life.knobs.networks]


def _machine_types(project: str, zone: str) -> list[Document]:
    kinds = compute_catalogue.machine_types(zone)
    return [compute_render.machine_type(project, zone, kind) for kind in kinds.values()]


def _accelerator_types(project: str, zone: str) -> list[Document]:
    kinds = compute_catalogue.accelerators(zone)
    return [compute_render.accelerator_type(project, zone, kind) for kind in kinds.values()]


def _known(call: Call, folder: str, known: Sequence[str]) -> str:
    if call.zone not in known:
        raise compute_status.not_found(f"projects/{call.project}/{folder}/{call.zone}")
    return call.zone
