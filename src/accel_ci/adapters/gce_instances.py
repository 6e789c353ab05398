"""Instances and our own terms: where they are, what they are asked to be, and what the API says of them."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from accel_ci.adapters import google_hosts
from accel_ci.adapters.gce_options import BACKEND, GceOptions
from accel_ci.adapters.google_machines import GooglePlace
from accel_ci.domain import capacity
from accel_ci.domain.errors import BootError, NoCapacityError
from accel_ci.domain.lease import Lease
from accel_ci.domain.machine import Candidate, Machine, MachineSpec, State, Worker
from accel_ci.domain.machine_types import Kind
from accel_ci.formats import output

ORDERED = "accel-ci-accelerator"  # a label could not hold the + of n1-standard-8+t4-1
# docs.cloud.google.com/compute/docs/instances/limit-vm-runtime; flex-start: ten minutes to seven days.
SHORTEST_S, LONGEST_S = 30, 120 * 24 * 3600
FLEX_SHORTEST_S, FLEX_LONGEST_S = 10 * 60, 7 * 24 * 3600

_STATES = {
    "RUNNING": State.READY,
    **dict.fromkeys(("PROVISIONING", "STAGING", "REPAIRING"), State.CREATING),
    **dict.fromkeys(("STOPPING", "SUSPENDING", "DEPROVISIONING", "PENDING_STOP"), State.RELEASING),
}
# What the cloud does by itself is an operation of one of these types.
_INTERRUPTIONS = (
    (re.compile("preempt", re.IGNORECASE), "preempted"),
    (re.compile("hostError", re.IGNORECASE), "host error"),
    (re.compile("HostMaintenance", re.IGNORECASE), "maintenance"),
    (re.compile("terminat|runDuration|expire|delete|stop", re.IGNORECASE), "lifetime limit reached"),
)

Attributes = google_hosts.Attributes


@dataclass(frozen=True, slots=True)
class Place(GooglePlace):
    """Where an instance is, or would be."""

    SCHEME: ClassVar[str] = BACKEND

    @property
    def named(self) -> dict[str, str]:
        """What most requests about the instance begin with."""
        return {"project": self.project, "zone": self.zone, "instance": self.name}


def of_handle(handle: str) -> Place:
    """The place of a handle; ConfigurationError for any other text."""
    return Place.of(handle)


def place_of(project: str, instance: Any) -> Place:
    """The place of a listed instance, whose zone is an address."""
    return Place(project, instance.zone.rpartition("/")[2], instance.name)


def body(
    spec: MachineSpec, options: GceOptions, lease: Lease, candidate: Candidate, *, public_key: str, now: float
) -> dict[str, Any]:
    """The instance to ask for: lease and lifetime limit are in it from its first moment. Without an account it can act

    as nobody: its metadata server has no tokens at all.
    """
    shape, account = options.shape, options.machine_account
    return {
        "name": lease.key.name,
        "description": f"accel-ci: {lease.key.repository}, run {lease.key.run_id}"[:512],
        "machine_type": f"zones/{candidate.zone}/machineTypes/{shape.machine_type}",
        "labels": lease.labels(),
        "metadata": {"items": [{"key": k, "value": v} for k, v in _metadata(spec, options, public_key).items()]},
        "disks": [_disk(options, lease, zone=candidate.zone)],
        "network_interfaces": [_network(options, zone=candidate.zone)],
        "service_accounts": [{"email": account, "scopes": [google_hosts.CLOUD_SCOPE]}] if account else [],
        "scheduling": _scheduling(options, candidate, limit_s=lease.expires_at - now),
        "shielded_instance_config": {
            "enable_secure_boot": options.secure_boot,
            "enable_vtpm": True,
            "enable_integrity_monitoring": True,
        },
        "tags": {"items": list(options.tags)},
        "guest_accelerators": [
            {
                "accelerator_type": f"zones/{candidate.zone}/acceleratorTypes/{shape.attached}",
                "accelerator_count": shape.chips,
            }
        ]
        if shape.attached
        else [],
        **(_waiting(spec) if options.flex_start else {}),
    }


def _metadata(spec: MachineSpec, options: GceOptions, public_key: str) -> dict[str, str]:
    shape = options.shape
    expected = google_hosts.probe(shape.kind, shape.chips, options.health)
    return {
        **google_hosts.metadata(public_key=public_key, sudo=options.sudo, expected=expected),
        ORDERED: spec.accelerator,
        # Deep Learning images install the driver when they are told to.
        **({"install-nvidia-driver": "True"} if shape.kind is Kind.GPU else {}),
    }


def _disk(options: GceOptions, lease: Lease, *, zone: str) -> dict[str, Any]:
    return {
        "boot": True,
        "auto_delete": True,
        "initialize_params": {
            "source_image": options.image,
            "disk_size_gb": options.disk_gb,
            "disk_type": f"zones/{zone}/diskTypes/{options.disk_type}",
            "labels": lease.labels(),
        },
    }


def _network(options: GceOptions, *, zone: str) -> dict[str, Any]:
    asked: dict[str, Any] = {}
    if options.network or not options.subnetwork:
        network = options.network or "default"
        asked["network"] = network if "/" in network else f"global/networks/{network}"
    if options.subnetwork:
        region = capacity.region(zone)
        named = options.subnetwork
        asked["subnetwork"] = named if "/" in named else f"regions/{region}/subnetworks/{named}"
    if options.external_ips:
        asked["access_configs"] = [{"name": "External NAT", "type_": "ONE_TO_ONE_NAT"}]
    return asked


def _scheduling(options: GceOptions, candidate: Candidate, *, limit_s: float) -> dict[str, Any]:
    shortest, longest = (FLEX_SHORTEST_S, FLEX_LONGEST_S) if options.flex_start else (SHORTEST_S, LONGEST_S)
    model = "SPOT" if candidate.spot else "FLEX_START" if options.flex_start else "STANDARD"
    return {
        "provisioning_model": model,
        "instance_termination_action": "DELETE",
        "max_run_duration": {"seconds": math.ceil(min(max(limit_s, shortest), longest))},
        "automatic_restart": False,
        # No live migration with accelerators, and none of spot machines.
        "on_host_maintenance": "MIGRATE" if model == "STANDARD" and not options.shape.chips else "TERMINATE",
    }


def _waiting(spec: MachineSpec) -> dict[str, Any]:
    """Flex-start waits for capacity, here for as long as the boot limit, and takes none that is reserved."""
    return {
        "params": {"request_valid_for_duration": {"seconds": int(max(spec.boot_limit_s, 90))}},
        "reservation_affinity": {"consume_reservation_type": "NO_RESERVATION"},
    }


def machine(
    place: Place, instance: Any, workers: tuple[Worker, ...] = (), hardware: Mapping[str, str] | None = None
) -> Machine:
    """The instance as a machine."""
    return Machine(
        handle=place.handle,
        name=place.name,
        zone=place.zone,
        accelerator=given(instance).get(ORDERED) or instance.machine_type.rpartition("/")[2],
        spot=instance.scheduling.provisioning_model == "SPOT",
        state=_STATES.get(instance.status, State.FAILED),
        workers=workers,
        labels=dict(instance.labels),
        hardware=hardware or {},
    )


def unfinished(instance: Any) -> str:
    """What an instance that is not usable yet waits for; "" for one that runs, or ended meanwhile: see `running`."""
    return str(instance.status).lower() if _STATES.get(instance.status) is State.CREATING else ""


def running(instance: Any) -> bool:
    """True for an instance that runs."""
    return _STATES.get(instance.status) is State.READY


def taken(place: Place, why: str) -> Exception:
    """The error for an instance that the cloud took away before it was used."""
    if why == "preempted":
        return NoCapacityError(f"{place.handle} was preempted while it booted", what_to_do="name more zones")
    return BootError(f"{place.handle} ended while it booted: {why}", what_to_do="run it again")


def worker(instance: Any, attributes: Attributes) -> Worker | None:
    """The instance's only worker; None while it has no address."""
    interface = next(iter(instance.network_interfaces), None)
    if interface is None:
        return None
    outside = next((each.nat_i_p for each in interface.access_configs), "")
    address = outside if interface.access_configs else interface.network_i_p
    return Worker(
        index=0,
        address=address,
        user=google_hosts.USER,
        host_keys=google_hosts.host_keys(attributes),
        inner_address=interface.network_i_p,
        unconfined=google_hosts.unconfined(attributes),
    )


def unreachable(found: Worker | None, attributes: Attributes) -> str:
    """What the worker waits for before it can be trusted and used; "" when all is there. BootError when boot.sh failed."""
    booting = google_hosts.booting(attributes)
    if found is None or not found.address:
        return "waiting for an address"
    return booting or ("" if found.host_keys else "waiting for the host keys")


def given(instance: Any) -> dict[str, str]:
    """The instance's metadata, value by key."""
    return {item.key: item.value for item in instance.metadata.items}


def interruption(operations: list[Any]) -> str:
    """Why the cloud took the instance away, told by its newest operation that nobody asked for; "" when there is none."""
    for operation in sorted(operations, key=lambda each: str(each.insert_time), reverse=True):
        kind = operation.operation_type
        if kind.startswith("compute.instances."):  # what people and programs ask for is called insert, delete, stop ...
            return next((said for pattern, said in _INTERRUPTIONS if pattern.search(kind)), output.one_line(kind, 80))
    return ""


def ends_at(instance: Any) -> float | None:
    """When Compute Engine will end the running instance by itself, seconds since 1970; None when it does not say."""
    told = instance.resource_status.scheduling.termination_timestamp
    return dt.datetime.fromisoformat(told).timestamp() if told else None
