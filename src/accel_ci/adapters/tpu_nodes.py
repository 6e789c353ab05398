"""TPU nodes and our own terms: where they are, what they are asked to be, and what the API says of them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from accel_ci.adapters import google_hosts
from accel_ci.adapters.google_machines import GooglePlace
from accel_ci.adapters.tpu_options import BACKEND, TpuOptions
from accel_ci.domain import accelerators
from accel_ci.domain.errors import BootError, NoCapacityError
from accel_ci.domain.lease import Lease
from accel_ci.domain.machine import Machine, MachineSpec, State, Worker
from accel_ci.domain.machine_types import Kind

if TYPE_CHECKING:
    from google.cloud import tpu_v2

SSH_PORT = 22
TPU_PORT = 8470  # where a worker's accelerator listens; the API shows it as the port of its network endpoint
NOTHING = "https://www.googleapis.com/auth/userinfo.email"  # an empty list of scopes would mean all of them

_RESOURCE = re.compile(r"projects/[^/]+/locations/([^/]+)/(?:nodes|queuedResources)/([^/]+)")
_STATES = {
    "READY": State.READY,
    "DELETING": State.RELEASING,
    **dict.fromkeys(("CREATING", "STARTING", "RESTARTING", "REIMAGING", "REPAIRING"), State.CREATING),
}
TAKEN_AWAY = ("PREEMPTED", "TERMINATED")
COMING = ("CREATING", "STARTING", "RESTARTING", "REIMAGING", "REPAIRING", "UNKNOWN", "STATE_UNSPECIFIED")

Attributes = google_hosts.Attributes


@dataclass(frozen=True, slots=True)
class Place(GooglePlace):
    """Where a machine is, or would be: its node and its queued resource, where it has one, bear the same name."""

    SCHEME: ClassVar[str] = BACKEND

    @property
    def parent(self) -> str:
        """The zone's resource name."""
        return f"projects/{self.project}/locations/{self.zone}"

    @property
    def node(self) -> str:
        """The node's resource name."""
        return f"{self.parent}/nodes/{self.name}"

    @property
    def queued(self) -> str:
        """The queued resource's resource name."""
        return f"{self.parent}/queuedResources/{self.name}"


def of_handle(handle: str) -> Place:
    """The place of a handle; ConfigurationError for any other text."""
    return Place.of(handle)


def of_resource(project: str, resource: str) -> Place:
    """The place of a resource name, which may hold the project's number instead of its id."""
    match = _RESOURCE.fullmatch(resource)
    return Place(project, *match.groups()) if match else Place(project, "", resource)


def body(spec: MachineSpec, options: TpuOptions, lease: Lease, *, public_key: str) -> dict[str, Any]:
    """The node to ask for: the lease is in it from its first moment. Whether it is spot is said elsewhere, see scheduling.

    Without an account of its own the node would act as the project's default one: its tokens then give access to nothing.
    """
    network = {"network": options.network, "subnetwork": options.subnetwork}
    account = options.machine_account
    expected = google_hosts.probe(Kind.TPU, accelerators.chips_per_host(spec.accelerator), options.health)
    return {
        "accelerator_type": spec.accelerator,
        "runtime_version": options.runtime,
        # For people who look at the console; 512 characters are the API's limit.
        "description": f"accel-ci: {lease.key.repository}, run {lease.key.run_id}"[:512],
        "labels": lease.labels(),
        "metadata": google_hosts.metadata(public_key=public_key, sudo=options.sudo, expected=expected),
        "network_config": {"enable_external_ips": options.external_ips} | {k: v for k, v in network.items() if v},
        "service_account": {"email": account, "scope": [google_hosts.CLOUD_SCOPE]} if account else {"scope": [NOTHING]},
    }


def scheduling(*, spot: bool) -> dict[str, Any]:
    """What makes a node spot; nothing for on-demand. Not for queued resources, which say it themselves."""
    return {"scheduling_config": {"spot": True}} if spot else {}


def machine(
    place: Place, node: tpu_v2.Node, workers: Sequence[Worker] = (), hardware: Mapping[str, str] | None = None
) -> Machine:
    """The node as a machine."""
    return Machine(
        handle=place.handle,
        name=place.name,
        zone=place.zone,
        accelerator=node.accelerator_type,
        spot=node.scheduling_config.spot or node.scheduling_config.preemptible,
        state=_STATES.get(word(node.state), State.FAILED),
        workers=tuple(workers),
        labels=dict(node.labels),
        hardware=hardware or {},
    )


def unfinished(place: Place, node: tpu_v2.Node) -> str:
    """What a node that is not usable yet waits for, "" for one that is up.

    NoCapacityError when the cloud took it away again, BootError when somebody ended it.
    """
    state, health = word(node.state), word(node.health)
    if state in TAKEN_AWAY:
        raise NoCapacityError(f"{place.handle} was preempted while it booted", what_to_do="name more zones")
    if state in COMING:
        return state.lower()
    if state != "READY":
        raise BootError(f"{place.handle} is {state.lower()}: somebody ended it", what_to_do="run it again")
    # A node can be READY and not yet healthy; where nobody tells of health, that must not hold it up.
    if health not in ("HEALTH_UNSPECIFIED", "HEALTHY"):
        return f"{health.lower()} {node.health_description}".rstrip()
    return ""


def workers(node: tpu_v2.Node, attributes: Sequence[Attributes], *, expected: int) -> list[Worker]:
    """The node's workers, with an address and host keys each once they are known."""
    outside = node.network_config.enable_external_ips
    known = [*attributes, *({} for _ in node.network_endpoints[len(attributes) :])]
    found = [
        Worker(
            index=index,
            address=endpoint.access_config.external_ip if outside else endpoint.ip_address,
            port=endpoint.port if endpoint.port not in (0, TPU_PORT) else SSH_PORT,
            user=google_hosts.USER,
            host_keys=google_hosts.host_keys(told),
            inner_address=endpoint.ip_address,
            unconfined=google_hosts.unconfined(told),
        )
        for index, (endpoint, told) in enumerate(zip(node.network_endpoints, known, strict=False))
    ]
    # A slice that shows some of its workers yet is not there.
    return found if len(found) == expected else []


def unreachable(workers: Sequence[Worker], attributes: Sequence[Attributes]) -> str:
    """What the workers wait for before they can be trusted and used; "" when all is there."""
    if not workers or not all(worker.address for worker in workers):
        return "waiting for addresses"
    unknown = [worker.name for worker in workers if not worker.host_keys]
    if unknown:
        return f"waiting for the host keys of {', '.join(unknown)}"
    booting = [stage for told in attributes if (stage := google_hosts.booting(told))]
    if not booting:
        return ""
    # The slowest one is what everybody waits for; which one it is, its stage tells as a rule.
    return f"{len(workers) - len(booting)} of {len(workers)} worker(s) booted, {booting[0]}"


def interruption(node: tpu_v2.Node) -> str:
    """Why the cloud took the node away, "" when it did not."""
    state = word(node.state)
    if state in TAKEN_AWAY:
        return "preempted" if state == "PREEMPTED" else "terminated by the cloud"
    if state == "REPAIRING" or word(node.health) == "UNHEALTHY_MAINTENANCE":
        return "maintenance"
    return ""


def word(value: Any) -> str:
    """The name of an enumeration's member, UNKNOWN for one that is newer than the library."""
    return str(getattr(value, "name", "UNKNOWN"))
