"""Compute Engine's resources as the JSON that Google sends: links in full, times in Pacific time, 64-bit numbers as text."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

from accel_ci_sim.wire.tpu_render import Document
from accel_ci_sim.world import compute, compute_catalogue, compute_quota, tpu
from accel_ci_sim.world.compute_catalogue import Accelerator, MachineType
from accel_ci_sim.world.compute_images import Image
from accel_ci_sim.world.compute_instance import Instance, InstanceStatus
from accel_ci_sim.world.compute_operations import Operation
from accel_ci_sim.world.compute_status import Problem
from accel_ci_sim.world.tpu_status import HTTP, Code, Status

BASE = "https://www.googleapis.com/compute/v1/"
PACIFIC = timezone(timedelta(hours=-8))
EPOCH = "1969-12-31T16:00:00.000-08:00"
LINKS = ("machineType", "network", "subnetwork", "source", "acceleratorType")
HTTP_WORDS = {400: "BAD REQUEST", 403: "FORBIDDEN", 404: "NOT FOUND", 409: "CONFLICT", 503: "SERVICE UNAVAILABLE"}
REASONS = {
    Code.INVALID_ARGUMENT: "badRequest",
    Code.NOT_FOUND: "notFound",
    Code.ALREADY_EXISTS: "alreadyExists",
    Code.PERMISSION_DENIED: "forbidden",
    Code.FAILED_PRECONDITION: "conditionNotMet",
    Code.UNAUTHENTICATED: "required",
    Code.UNAVAILABLE: "backendError",
    Code.INTERNAL: "internalError",
    Code.UNIMPLEMENTED: "notImplemented",
}
HTTP_BY_REASON = {"conditionNotMet": 412}
USAGE_LIMITS = ("quotaExceeded", "rateLimitExceeded")
CPU_PLATFORMS = {"n1": "Intel Haswell", "e2": "Intel Broadwell", "g2": "Intel Cascade Lake", "a2": "Intel Cascade Lake"}


def link(path: str) -> str:
    """The full name of a resource as a URL."""
    return f"{BASE}{path}"


def error(shown: Status) -> tuple[int, Document]:
    """HTTP status and body of an answer that is an error."""
    # Old APIs tell errors by `reason`, the HTTP status alone is ambiguous.
    reason = shown.reason or REASONS.get(shown.code, "invalid")
    http = HTTP_BY_REASON.get(reason, HTTP[shown.code])
    domain = "usageLimits" if reason in USAGE_LIMITS else "global"
    entry = {"message": shown.message, "domain": domain, "reason": reason}
    body: Document = {"code": http, "message": shown.message, "errors": [entry]}
    if shown.details or not shown.reason:  # what Google's front end says, not Compute Engine itself
        body["status"] = shown.code.name
    if shown.details:
        body["details"] = [*shown.details]
    return http, {"error": body}


def operation(shown: Operation) -> Document:
    """An Operation."""
    over = shown.ended_at is not None
    place = {} if shown.scope.endswith("/global") else {"zone": link(shown.scope)}
    document: Document = {
        "kind": "compute#operation",
        "id": str(shown.number),
        "name": shown.name,
        **place,
        "operationType": shown.kind,
        "targetLink": link(shown.target),
        "targetId": str(shown.target_number),
        "status": "DONE" if over else "RUNNING",
        "user": shown.user,
        "progress": 100 if over else 0,
        "insertTime": timestamp(shown.created_at),
        "startTime": timestamp(shown.created_at),
        "selfLink": link(shown.path),
    }
    if shown.ended_at is not None:
        document["endTime"] = timestamp(shown.ended_at)
    if shown.message:
        document["statusMessage"] = shown.message
    return document | (_problem(shown.problem) if shown.problem else {})


def _problem(shown: Problem) -> Document:
    details = {"errorDetails": [*shown.details]} if shown.details else {}
    return {
        "error": {"errors": [{"code": shown.code, "message": shown.message, **details}]},
        "httpErrorStatusCode": shown.http,
        "httpErrorMessage": HTTP_WORDS[shown.http],
    }


def instance(shown: Instance) -> Document:
    """An Instance."""
    # Our own field: no client may see it.
    scheduling = {key: value for key, value in shown.scheduling.items() if key != "terminationAt"}
    labels = shown.spec.get("labels", {})
    document: Document = {
        **{key: value for key, value in shown.spec.items() if key not in ("labels", "guestAccelerators", "params")},
        "kind": "compute#instance",
        "id": str(shown.number),
        "creationTimestamp": timestamp(shown.created_at),
        "status": shown.status.value,
        "zone": link(shown.scope),
        "selfLink": link(shown.name),
        "machineType": link(shown.spec["machineType"]),
        "tags": _tags(shown.spec.get("tags", {})),
        "metadata": metadata(shown.spec.get("metadata", {})),
        "scheduling": scheduling,
        "disks": [_disk(index, disk) for index, disk in enumerate(shown.spec["disks"])],
        "networkInterfaces": [_interface(shown, each) for each in shown.spec["networkInterfaces"]],
        "labelFingerprint": compute.fingerprint(labels),
        "fingerprint": compute.fingerprint([shown.spec, shown.turn]),
        "startRestricted": False,
        "shieldedInstanceIntegrityPolicy": {"updateAutoLearnPolicy": True},
        "resourceStatus": {"scheduling": {}},
    }
    if shown.status in (InstanceStatus.RUNNING, InstanceStatus.STOPPING):
        document["cpuPlatform"] = CPU_PLATFORMS.get(shown.machine_type.family, "Intel Sapphire Rapids")
    # An empty map is left out of Google's JSON: clients read a missing one.
    if labels:
        document["labels"] = labels
    if shown.spec["guestAccelerators"]:
        document["guestAccelerators"] = [_linked(each) for each in shown.spec["guestAccelerators"]]
    if shown.ends_at is not None:
        document["resourceStatus"]["scheduling"]["terminationTimestamp"] = timestamp(shown.ends_at)
    if shown.started_at is not None:
        document["lastStartTimestamp"] = timestamp(shown.started_at)
    if shown.stopped_at is not None:
        document["lastStopTimestamp"] = timestamp(shown.stopped_at)
    return document


def metadata(shown: Mapping[str, Any]) -> Document:
    """A Metadata message."""
    entries = [*shown.get("items", [])]
    document: Document = {"kind": "compute#metadata", "fingerprint": compute.fingerprint(entries)}
    return document | ({"items": entries} if entries else {})


def _tags(shown: Mapping[str, Any]) -> Document:
    entries = [*shown.get("items", [])]
    document: Document = {"fingerprint": compute.fingerprint(entries)}
    return document | ({"items": entries} if entries else {})


def _disk(index: int, disk: Mapping[str, Any]) -> Document:
    boot = (
        {"licenses": [], "guestOsFeatures": [{"type": "UEFI_COMPATIBLE"}], "architecture": "X86_64"}
        if index == 0
        else {}
    )
    attached = {key: value for key, value in _linked(disk).items() if key != "diskType"}
    return {**attached, "kind": "compute#attachedDisk", "index": index, **boot}


def _interface(shown: Instance, interface: Mapping[str, Any]) -> Document:
    """Its address is on loopback and the same from inside and outside. A stopped machine has lost its outer one."""
    address = shown.computer.address
    alive = bool(address) and shown.status in (InstanceStatus.RUNNING, InstanceStatus.STOPPING)
    document = _linked(interface) | {
        "kind": "compute#networkInterface",
        "fingerprint": compute.fingerprint(interface["name"]),
        "stackType": interface.get("stackType", "IPV4_ONLY"),
    }
    if address:
        document["networkIP"] = address
    if interface.get("accessConfigs"):
        document["accessConfigs"] = [
            {
                "type": "ONE_TO_ONE_NAT",
                "name": "external-nat",
                "networkTier": "PREMIUM",
                **config,
                "kind": "compute#accessConfig",
                **({"natIP": address} if alive else {}),
            }
            for config in interface["accessConfigs"]
        ]
    return document


def _linked(document: Mapping[str, Any]) -> Document:
    return {key: link(value) if key in LINKS else value for key, value in document.items()}


def project(name: str, shared: Mapping[str, Any], quotas: Sequence[Document]) -> Document:
    """A Project."""
    number = tpu.project_number(name)
    return {
        "kind": "compute#project",
        "id": str(number),
        "creationTimestamp": EPOCH,
        "name": name,
        "commonInstanceMetadata": metadata(shared),
        "quotas": [*quotas],
        "selfLink": link(f"projects/{name}"),
        "defaultServiceAccount": f"{number}-compute@developer.gserviceaccount.com",
        "xpnProjectStatus": "UNSPECIFIED_XPN_PROJECT_STATUS",
        "defaultNetworkTier": "PREMIUM",
        "vmDnsSetting": "ZONAL_ONLY",
    }


def zone(project_name: str, name: str) -> Document:
    """A Zone."""
    region_name = compute_catalogue.region(name)
    return {
        "kind": "compute#zone",
        "id": _number(name),
        "creationTimestamp": EPOCH,
        "name": name,
        "description": name,
        "status": "UP",
        "region": link(f"projects/{project_name}/regions/{region_name}"),
        "selfLink": link(f"projects/{project_name}/zones/{name}"),
        "availableCpuPlatforms": ["Intel Broadwell", "Intel Cascade Lake", "Intel Sapphire Rapids"],
        "supportsPzs": False,
    }


def region(project_name: str, name: str, quotas: Sequence[Document]) -> Document:
    """A Region."""
    zones = [each for each in compute_catalogue.ZONES if compute_catalogue.region(each) == name]
    return {
        "kind": "compute#region",
        "id": _number(name),
        "creationTimestamp": EPOCH,
        "name": name,
        "description": name,
        "status": "UP",
        "zones": [link(f"projects/{project_name}/zones/{each}") for each in zones],
        "quotas": [*quotas],
        "selfLink": link(f"projects/{project_name}/regions/{name}"),
        "supportsPzs": False,
    }


def quotas(limits: Mapping[str, int], used: Mapping[str, int]) -> list[Document]:
    """A list of Quota."""
    return [
        {"metric": name, "limit": float(limits[name]), "usage": float(used.get(name, 0))} for name in sorted(limits)
    ]


def machine_type(project_name: str, zone_name: str, kind: MachineType) -> Document:
    """A MachineType."""
    document: Document = {
        "kind": "compute#machineType",
        "id": str(kind.number),
        "creationTimestamp": EPOCH,
        "name": kind.name,
        "description": f"{kind.cpus} vCPUs, {kind.memory_mb / compute_catalogue.GB:g} GB RAM",
        "guestCpus": kind.cpus,
        "memoryMb": kind.memory_mb,
        "imageSpaceGb": 0,
        "maximumPersistentDisks": 128,
        "maximumPersistentDisksSizeGb": "263168",
        "zone": zone_name,
        "selfLink": link(f"projects/{project_name}/zones/{zone_name}/machineTypes/{kind.name}"),
        "isSharedCpu": kind.shared_cpu,
        "architecture": "X86_64",
    }
    name, count = kind.accelerator
    if name:
        document["accelerators"] = [{"guestAcceleratorType": name, "guestAcceleratorCount": count}]
    return document


def accelerator_type(project_name: str, zone_name: str, kind: Accelerator) -> Document:
    """An AcceleratorType."""
    place = f"projects/{project_name}/zones/{zone_name}"
    return {
        "kind": "compute#acceleratorType",
        "id": _number(kind.name),
        "creationTimestamp": EPOCH,
        "name": kind.name,
        "description": kind.description,
        "zone": link(place),
        "selfLink": link(f"{place}/acceleratorTypes/{kind.name}"),
        "maximumCardsPerInstance": kind.most,
    }


def image(shown: Image) -> Document:
    """An Image."""
    document: Document = {
        "kind": "compute#image",
        "id": str(shown.number),
        "creationTimestamp": EPOCH,
        "name": shown.name,
        "description": shown.description,
        "sourceType": "RAW",
        "rawDisk": {"source": "", "containerType": "TAR"},
        "status": "READY",
        "archiveSizeBytes": str(shown.disk_gb << 28),
        "diskSizeGb": str(shown.disk_gb),
        "family": shown.family,
        "selfLink": link(shown.path),
        "labelFingerprint": compute.fingerprint({}),
        "guestOsFeatures": [{"type": "UEFI_COMPATIBLE"}, {"type": "GVNIC"}],
        "storageLocations": ["us"],
        "architecture": "X86_64",
    }
    return document | ({"deprecated": {"state": "DEPRECATED"}} if shown.deprecated else {})


def disk(owner: Instance, attached: Mapping[str, Any]) -> Document:
    """A Disk, which lives as long as its instance does."""
    source = attached["source"]
    document: Document = {
        "kind": "compute#disk",
        "id": _number(source),
        "creationTimestamp": timestamp(owner.created_at),
        "name": source.rpartition("/")[2],
        "sizeGb": attached["diskSizeGb"],
        "zone": link(owner.scope),
        "status": "READY",
        "selfLink": link(source),
        "type": link(attached["diskType"]),
        "users": [link(owner.name)],
        "labelFingerprint": compute.fingerprint({}),
        "physicalBlockSizeBytes": "4096",
    }
    if attached["boot"] and owner.image is not None:
        document |= {"sourceImage": link(owner.image.path), "sourceImageId": str(owner.image.number)}
    return document


def network(project_name: str, name: str) -> Document:
    """A Network with a subnetwork of the same name in each region."""
    return {
        "kind": "compute#network",
        "id": _number(name),
        "creationTimestamp": EPOCH,
        "name": name,
        "description": "Default network for the project",
        "autoCreateSubnetworks": True,
        "selfLink": link(f"projects/{project_name}/global/networks/{name}"),
        "subnetworks": [
            link(f"projects/{project_name}/regions/{each}/subnetworks/{name}") for each in compute_catalogue.REGIONS
        ],
        "routingConfig": {"routingMode": "REGIONAL"},
    }


def subnetwork(project_name: str, region_name: str, name: str) -> Document:
    """A Subnetwork."""
    number = compute_catalogue.REGIONS.index(region_name)
    return {
        "kind": "compute#subnetwork",
        "id": _number(region_name + name),
        "creationTimestamp": EPOCH,
        "name": name,
        "network": link(f"projects/{project_name}/global/networks/{name}"),
        "ipCidrRange": f"10.{128 + number * 2}.0.0/20",
        "gatewayAddress": f"10.{128 + number * 2}.0.1",
        "region": link(f"projects/{project_name}/regions/{region_name}"),
        "selfLink": link(f"projects/{project_name}/regions/{region_name}/subnetworks/{name}"),
        "privateIpGoogleAccess": False,
        "purpose": "PRIVATE",
        "stackType": "IPV4_ONLY",
    }


def timestamp(seconds: float) -> str:
    """Seconds since 1970 in RFC 3339 with milliseconds, Pacific time."""
    return datetime.fromtimestamp(seconds, tz=PACIFIC).isoformat(timespec="milliseconds")


def project_quotas(limit: int | None, used: Mapping[str, int]) -> list[Document]:
    """What a project may have in all regions together."""
    most = compute_quota.PLENTY if limit is None else limit
    return quotas({compute_quota.ALL_REGIONS: most, "NETWORKS": 15, "FIREWALLS": 200}, {**used, "NETWORKS": 1})


def _number(name: str) -> str:
    return str(zlib.crc32(name.encode()) + 1_000)
