"""What may be ordered of Compute Engine: an Instance as it was sent becomes one with everything filled in, or is refused."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from accel_ci_sim.world import compute_catalogue, compute_images, compute_status, tpu
from accel_ci_sim.world.compute_catalogue import MachineType
from accel_ci_sim.world.compute_images import Image

NAME = re.compile(r"[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?")
LABEL_KEY = re.compile(r"[a-z][a-z0-9_-]{0,62}")
LABEL_VALUE = re.compile(r"[a-z0-9_-]{0,63}")
TAG = NAME
LABELS, TAGS = 64, 64
METADATA_BYTES, VALUE_BYTES = 512 * 1024, 256 * 1024
SHORTEST_S, LONGEST_S = 30, 120 * 24 * 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What an instance will be: its resource, its hardware by type, the image that its boot disk is made from."""

    name: str
    spec: dict[str, Any]
    machine_type: MachineType
    accelerators: Mapping[str, int]
    image: Image | None


def checked(project: str, zone: str, body: Mapping[str, Any], *, networks: Sequence[str], now: float) -> Order:
    """The order that the body of an insert means; RefusedError with Google's words for what is wrong with it."""
    name = body.get("name", "")
    # RFC 1035 is what Google asks of names; ours are cut to fit the strictest cloud.
    if not NAME.fullmatch(name):
        raise compute_status.invalid("resource.name", name, f"Must be a match of regex '{NAME.pattern}'")
    # A type is its zone's: the same word in another zone is another type, or none.
    machine_type = machine_type_of(zone, body.get("machineType", ""))
    accelerators = _accelerators(project, zone, machine_type, body.get("guestAccelerators", []))
    check_labels(body.get("labels", {}))
    check_metadata(body.get("metadata", {}))
    check_tags(body.get("tags", {}))
    disks, image = _disks(project, zone, name, body.get("disks", []))
    spec = copy.deepcopy(dict(body)) | {
        "machineType": f"projects/{project}/zones/{zone}/machineTypes/{machine_type.name}",
        "networkInterfaces": _interfaces(project, zone, body.get("networkInterfaces", []), networks),
        "disks": disks,
        "scheduling": scheduling(body.get("scheduling", {}), has_accelerators=bool(accelerators), now=now),
        "serviceAccounts": _accounts(project, body.get("serviceAccounts", [])),
        "guestAccelerators": [
            {"acceleratorType": f"projects/{project}/zones/{zone}/acceleratorTypes/{each}", "acceleratorCount": count}
            for each, count in accelerators.items()
        ],
        "shieldedInstanceConfig": {
            "enableSecureBoot": False,
            "enableVtpm": True,
            "enableIntegrityMonitoring": True,
            **body.get("shieldedInstanceConfig", {}),
        },
        "canIpForward": body.get("canIpForward", False),
        "deletionProtection": body.get("deletionProtection", False),
    }
    return Order(name=name, spec=spec, machine_type=machine_type, accelerators=accelerators, image=image)


def machine_type_of(zone: str, url: str) -> MachineType:
    """The machine type that a URL, a path or a `zones/Z/machineTypes/T` means."""
    if not url:
        raise compute_status.required("resource.machineType")
    match = re.search(r"(?:^|/)zones/([^/]+)/machineTypes/([^/]+)$", url)
    if match is None:
        raise compute_status.invalid("resource.machineType", url, "The URL is malformed.")
    found = compute_catalogue.machine_types(zone).get(match[2])
    if match[1] != zone or found is None:
        why = f"Machine type with name '{match[2]}' does not exist in zone '{zone}'."
        raise compute_status.invalid("resource.machineType", url, why)
    return found


def check_labels(labels: Mapping[str, str]) -> None:
    """RefusedError when a label breaks the rules."""
    for key, value in labels.items():
        kind, text = ("value", value) if LABEL_KEY.fullmatch(key) else ("key", key)
        if not LABEL_KEY.fullmatch(key) or not LABEL_VALUE.fullmatch(value):
            why = (
                f"Label {kind} '{text}' violates format constraints. The {kind} can only contain lowercase letters, numeric "
                "characters, underscores and dashes. "
            )
            why += "The key must start with a lowercase character. " if kind == "key" else ""
            why += f"The {kind} can be at most 63 characters long. International characters are allowed."
            raise compute_status.invalid("resource.labels", "", why)
    # Sixty-four with those of the user: ours must stay few.
    if len(labels) > LABELS:
        raise compute_status.invalid("resource.labels", "", f"The number of labels exceeds the maximum of {LABELS}.")


def check_metadata(metadata: Mapping[str, Any]) -> None:
    """RefusedError when metadata is too large, or has a key twice."""
    entries = [(item.get("key", ""), item.get("value", "")) for item in metadata.get("items", [])]
    keys = [key for key, _ in entries]
    for key, value in entries:
        if not re.fullmatch(r"[a-zA-Z0-9-_]{1,128}", key):
            raise compute_status.invalid(
                "resource.metadata.items.key", key, "Must be a match of regex '[a-zA-Z0-9-_]{1,128}'"
            )
        if len(value.encode()) > VALUE_BYTES:
            why = f"Value is too large: maximum size {VALUE_BYTES} character(s)."
            raise compute_status.invalid(f"resource.metadata.items[{keys.index(key)}].value", "", why)
    if len(set(keys)) < len(keys):
        twice = next(key for key in keys if keys.count(key) > 1)
        raise compute_status.invalid("resource.metadata.items", "", f"Metadata has duplicate key: {twice}")
    if sum(len(key) + len(value.encode()) for key, value in entries) > METADATA_BYTES:
        raise compute_status.invalid("resource.metadata", "", "Metadata size must be less than 524288 characters.")


def check_tags(tags: Mapping[str, Any]) -> None:
    """RefusedError when a network tag breaks the rules."""
    given = tags.get("items", [])
    for index, tag in enumerate(given):
        if not TAG.fullmatch(tag):
            where = f"resource.tags.items[{index}]"
            raise compute_status.invalid(where, tag, f"Must be a match of regex '{TAG.pattern}'")
    if len(given) > TAGS:
        raise compute_status.invalid("resource.tags.items", "", f"More than {TAGS} tags.")


def _accelerators(project: str, zone: str, machine: MachineType, asked: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for each in asked:
        url, count = each.get("acceleratorType", ""), int(each.get("acceleratorCount", 0))
        name = url.rpartition("/")[2]
        accelerator = compute_catalogue.accelerators(zone).get(name)
        if accelerator is None:
            raise compute_status.not_found(f"projects/{project}/zones/{zone}/acceleratorTypes/{name}")
        # GPUs are put beside N1 only; every other family brings its own.
        if not compute_catalogue.attachable(machine, accelerator, count):
            raise compute_status.bad_request(
                f"[{machine.name}, {name}:{count}] features are not compatible for creating instance."
            )
        found[name] = count
    name, count = machine.accelerator
    # What a machine type brings along counts against the quota, too.
    return found or ({name: count} if name else {})


def _interfaces(
    project: str, zone: str, asked: Sequence[Mapping[str, Any]], networks: Sequence[str]
) -> list[dict[str, Any]]:
    if not asked:
        raise compute_status.invalid("resource.networkInterfaces", "", "At least one network interface is required.")
    found = []
    region = f"regions/{compute_catalogue.region(zone)}"
    for number, each in enumerate(asked):
        network = _path(each.get("network") or "default", project, "global/networks")
        subnetwork = _path(each.get("subnetwork") or network.rpartition("/")[2], project, f"{region}/subnetworks")
        # Many projects have no default network, by a policy of their organization.
        for path in (network, subnetwork):
            if path.startswith(f"projects/{project}/") and path.rpartition("/")[2] not in networks:
                raise compute_status.not_found(path)
        found.append({**each, "name": f"nic{number}", "network": network, "subnetwork": subnetwork})
    return found


def _disks(
    project: str, zone: str, name: str, asked: Sequence[Mapping[str, Any]]
) -> tuple[list[dict[str, Any]], Image | None]:
    if not asked:
        raise compute_status.invalid("resource.disks", "", "At least one disk must be attached to the instance.")
    boot, found = None, []
    for index, each in enumerate(asked):
        field = f"resource.disks[{index}]"
        params = each.get("initializeParams", {})
        image = _image(project, field, params.get("sourceImage", ""))
        # int64 is a text in Google's JSON.
        size = int(params.get("diskSizeGb") or each.get("diskSizeGb") or (image.disk_gb if image else 500))
        # Deep Learning images need 50 GB and more: the default of smaller disks fails just here.
        if image is not None and size < image.disk_gb:
            why = f"Requested disk size cannot be smaller than the image size ({image.disk_gb} GB)"
            raise compute_status.invalid(f"{field}.initializeParams.diskSizeGb", str(size), why)
        if each.get("boot", index == 0):
            boot = image
        disk_name = params.get("diskName") or (name if index == 0 else f"{name}-{index}")
        shown = {key: value for key, value in each.items() if key != "initializeParams"}
        found.append(
            {
                "type": "PERSISTENT",
                "mode": "READ_WRITE",
                "interface": "SCSI",
                "autoDelete": False,
                "boot": index == 0,
                "deviceName": "persistent-disk-" + str(index),
                "source": f"projects/{project}/zones/{zone}/disks/{disk_name}",
                **shown,
                "diskSizeGb": str(size),
                "diskType": _path(params.get("diskType") or "pd-standard", project, f"zones/{zone}/diskTypes"),
            }
        )
    return found, boot


def _image(project: str, field: str, source: str) -> Image | None:
    if not source:
        return None
    image = compute_images.found(source, project)
    if image is None:
        path = source.partition("/v1/")[2] or source
        if not path.startswith("projects/"):
            why = "The referenced image resource cannot be found."
            raise compute_status.invalid(f"{field}.initializeParams.sourceImage", source, why)
        raise compute_status.not_found(path)
    return image


def _accounts(project: str, asked: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    default = f"{tpu.project_number(project)}-compute@developer.gserviceaccount.com"
    return [
        {**each, "email": default if each.get("email") == "default" else each.get("email", default)} for each in asked
    ]


def scheduling(asked: Mapping[str, Any], *, has_accelerators: bool, now: float) -> dict[str, Any]:
    """Scheduling with its defaults; `terminationAt` is terminationTime in seconds since 1970, for ourselves."""
    model = asked.get("provisioningModel") or ("SPOT" if asked.get("preemptible") else "STANDARD")
    # Neither can restart or migrate.
    short = model in ("SPOT", "FLEX_START")
    limited = "maxRunDuration" in asked or "terminationTime" in asked
    found = {
        # Google fills these in by the model: a client that looks at its request alone would not see them.
        "onHostMaintenance": "TERMINATE" if short else "MIGRATE",
        "automaticRestart": not short and not limited,
        "preemptible": model == "SPOT",
        **asked,
        "provisioningModel": model,
    }
    field = "resource.scheduling"
    # Accelerators cannot be moved to another host: the default has to be overridden, and Google says so just like this.
    if has_accelerators and found["onHostMaintenance"] != "TERMINATE":
        raise compute_status.bad_request("Instances with guest accelerators do not support live migration.")
    if short and (found["automaticRestart"] or found["onHostMaintenance"] != "TERMINATE"):
        name = "automaticRestart" if found["automaticRestart"] else "onHostMaintenance"
        given = str(found[name]).lower() if name == "automaticRestart" else found[name]
        raise compute_status.invalid(f"{field}.{name}", given, f"It cannot be so for a {model} instance.")
    if "maxRunDuration" in asked and "terminationTime" in asked:
        raise compute_status.bad_request("Only one of maxRunDuration and terminationTime can be specified.")
    # Without the action the API refuses the limit, rather than choose between stopping and deleting.
    if limited and "instanceTerminationAction" not in asked:
        why = "The instance termination action must be specified together with a run duration."
        raise compute_status.invalid(f"{field}.instanceTerminationAction", "", why)
    if "instanceTerminationAction" in asked and not limited and not short:
        why = "The instance termination action needs a SPOT instance or a run duration."
        raise compute_status.invalid(f"{field}.instanceTerminationAction", asked["instanceTerminationAction"], why)
    if model == "SPOT" or limited:
        found.setdefault("instanceTerminationAction", "STOP")
    return found | _until(asked, now=now)


def _until(asked: Mapping[str, Any], *, now: float) -> dict[str, Any]:
    duration = asked.get("maxRunDuration")
    if duration is not None:
        seconds = int(duration.get("seconds", 0))
        # https://cloud.google.com/compute/docs/instances/limit-vm-runtime
        if not SHORTEST_S <= seconds <= LONGEST_S:
            why = f"Must be between {SHORTEST_S} and {LONGEST_S} seconds."
            raise compute_status.invalid("resource.scheduling.maxRunDuration", f"{seconds}s", why)
        return {"maxRunDuration": {"seconds": str(seconds)}}
    text = asked.get("terminationTime")
    if text is None:
        return {}
    try:
        when = datetime.fromisoformat(text).timestamp()
    except ValueError:
        when = 0.0
    if when <= now:
        why = "It must be a time in the future, in RFC 3339."
        raise compute_status.invalid("resource.scheduling.terminationTime", text, why)
    return {"terminationAt": when}


def _path(given: str, project: str, folder: str) -> str:
    path = given.partition("/v1/")[2] or given
    if path.startswith("projects/"):
        return path
    return f"projects/{project}/{folder}/{path.rpartition('/')[2]}"
