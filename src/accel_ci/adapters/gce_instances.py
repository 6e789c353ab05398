"""Instances and our own terms: where they are, what they are asked to be, and what the API says of them."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accel_ci.adapters.gce_options import BACKEND, GceOptions
from accel_ci.domain import capacity, errors
from accel_ci.domain.errors import BootError, NoCapacityError, UnhealthyError
from accel_ci.domain.lease import Lease
from accel_ci.domain.machine import Candidate, Machine, MachineSpec, State, Worker
from accel_ci.domain.machine_types import Kind
from accel_ci.formats import health, output

BOOT_SCRIPT = Path(__file__).parents[1] / "on_machine" / "boot.sh"
PROBE = Path(__file__).parents[1] / "on_machine" / "probe.py"
USER = "accel-ci"
CLOUD = "https://www.googleapis.com/auth/cloud-platform"
BOOTED = "ready"
EXPECTED = "accel-ci-expects"
ORDERED = "accel-ci-accelerator"  # a label could not hold the + of n1-standard-8+t4-1
# docs.cloud.google.com/compute/docs/instances/limit-vm-runtime; flex-start: seven days.
SHORTEST_S, LONGEST_S, FLEX_LONGEST_S = 30, 120 * 24 * 3600, 7 * 24 * 3600

_HANDLE = re.compile(r"gce://([a-z0-9.:-]{1,100})/([a-z0-9-]{1,63})/([a-z][a-z0-9-]{0,62})")
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

Attributes = Mapping[tuple[str, str], str]


@dataclass(frozen=True, slots=True)
class Place:
    """Where an instance is, or would be."""

    project: str
    zone: str
    name: str

    @property
    def handle(self) -> str:
        """gce://<project>/<zone>/<name>."""
        return f"{BACKEND}://{self.project}/{self.zone}/{self.name}"

    @property
    def named(self) -> dict[str, str]:
        """What most requests about the instance begin with."""
        return {"project": self.project, "zone": self.zone, "instance": self.name}


def of_handle(handle: str) -> Place:
    """The place of a handle; ConfigurationError for any other text."""
    match = _HANDLE.fullmatch(handle)
    if match is None:
        raise errors.ConfigurationError(
            f"not a handle of Compute Engine: {handle!r}", what_to_do="use gce://<project>/<zone>/<name>"
        )
    return Place(*match.groups())


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
        "service_accounts": [{"email": account, "scopes": [CLOUD]}] if account else [],
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
    return {
        "enable-guest-attributes": "TRUE",
        "block-project-ssh-keys": "TRUE",
        "enable-oslogin": "FALSE",
        "startup-script": BOOT_SCRIPT.read_text(encoding="utf-8"),
        ORDERED: spec.accelerator,
        **({"ssh-keys": f"{USER}:{public_key}"} if public_key else {}),
        **({"accel-ci-sudo": "TRUE"} if options.sudo else {}),
        # Deep Learning images install the driver when they are told to.
        **({"install-nvidia-driver": "True"} if shape.kind is Kind.GPU else {}),
        **(_probe(options) if options.health != "off" else {}),
    }


def _probe(options: GceOptions) -> dict[str, str]:
    """What boot.sh asks until the driver answers, and what it is to find."""
    framework = [options.health] if options.health in ("jax", "torch") else []
    expected = " ".join([options.shape.kind.value, str(options.shape.chips), *framework])
    return {EXPECTED: expected, "accel-ci-probe": PROBE.read_text(encoding="utf-8")}


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
    longest = FLEX_LONGEST_S if options.flex_start else LONGEST_S
    model = "SPOT" if candidate.spot else "FLEX_START" if options.flex_start else "STANDARD"
    return {
        "provisioning_model": model,
        "instance_termination_action": "DELETE",
        "max_run_duration": {"seconds": math.ceil(min(max(limit_s, SHORTEST_S), longest))},
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
    ordered = next((item.value for item in instance.metadata.items if item.key == ORDERED), "")
    return Machine(
        handle=place.handle,
        name=place.name,
        zone=place.zone,
        accelerator=ordered or instance.machine_type.rpartition("/")[2],
        spot=instance.scheduling.provisioning_model == "SPOT",
        state=_STATES.get(instance.status, State.FAILED),
        workers=workers,
        labels=dict(instance.labels),
        hardware=hardware or {},
    )


def unfinished(place: Place, instance: Any) -> str:
    """What an instance that is not usable yet waits for, "" for one that runs. BootError when it ended meanwhile."""
    state = _STATES.get(instance.status, State.FAILED)
    if state is State.CREATING:
        return str(instance.status).lower()
    if state is not State.READY:
        raise ended(place, instance.status)
    return ""


def ended(place: Place, status: str) -> Exception:
    """The error for an instance that ended before it was used."""
    return BootError(f"{place.handle} is {status.lower()}: it ended while it booted", what_to_do="run it again")


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
    keys = tuple(f"{kind} {key}" for (namespace, kind), key in attributes.items() if namespace == "hostkeys")
    return Worker(
        index=0,
        address=address,
        user=USER,
        host_keys=keys,
        inner_address=interface.network_i_p,
        unconfined=attributes.get(("accel-ci", "confined")) == "no",
    )


def unreachable(found: Worker | None, attributes: Attributes) -> str:
    """What the worker waits for before it can be trusted and used; "" when all is there. BootError when boot.sh failed."""
    if failure := attributes.get(("accel-ci", "error")):
        raise BootError(f"the machine says: {output.one_line(failure, 300)}", what_to_do="see the console's last lines")
    if found is None or not found.address:
        return "waiting for an address"
    stage = attributes.get(("accel-ci", "stage"), "")
    if stage != BOOTED:
        return f"booting: {output.one_line(stage, 40)}" if stage else "booting"
    return "" if found.host_keys else "waiting for the host keys"


def hardware(place: Place, instance: Any, attributes: Attributes) -> Mapping[str, str]:
    """What the probe found, {} where none was sent. UnhealthyError when the accelerators are not well."""
    if not any(item.key == EXPECTED for item in instance.metadata.items):
        return {}
    told = health.read(attributes.get(("accel-ci", "health"), ""))
    if told.problems:
        raise UnhealthyError(
            f"{place.handle} is not well: {'; '.join(told.problems)}",
            what_to_do="run it again: another machine is taken",
        )
    return told.facts


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
