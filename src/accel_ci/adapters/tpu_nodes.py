"""TPU nodes and our own terms: where they are, what they are asked to be, and what the API says of them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accel_ci.adapters.tpu_options import BACKEND, TpuOptions
from accel_ci.domain import errors
from accel_ci.domain.errors import BootError, NoCapacityError
from accel_ci.domain.lease import Lease
from accel_ci.domain.machine import Machine, MachineSpec, State, Worker

if TYPE_CHECKING:
    from google.cloud import tpu_v2

BOOT_SCRIPT = Path(__file__).parents[1] / "on_machine" / "boot.sh"
USER = "accel-ci"
SSH_PORT = 22
TPU_PORT = 8470  # where a worker's accelerator listens; the API shows it as the port of its network endpoint
CLOUD = "https://www.googleapis.com/auth/cloud-platform"
NOTHING = "https://www.googleapis.com/auth/userinfo.email"  # an empty list of scopes would mean all of them
BOOTED = "ready"

_HANDLE = re.compile(r"tpu://([a-z0-9.:-]{1,100})/([a-z0-9-]{1,63})/([a-z][a-z0-9-]{0,62})")
_RESOURCE = re.compile(r"projects/[^/]+/locations/([^/]+)/(?:nodes|queuedResources)/([^/]+)")
_STATES = {
    "READY": State.READY,
    "DELETING": State.RELEASING,
    **dict.fromkeys(("CREATING", "STARTING", "RESTARTING", "REIMAGING", "REPAIRING"), State.CREATING),
}
TAKEN_AWAY = ("PREEMPTED", "TERMINATED")
COMING = ("CREATING", "STARTING", "RESTARTING", "REIMAGING", "REPAIRING", "UNKNOWN", "STATE_UNSPECIFIED")

Attributes = Mapping[tuple[str, str], str]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a machine is, or would be: its node and its queued resource, where it has one, bear the same name."""

    project: str
    zone: str
    name: str

    @property
    def handle(self) -> str:
        """tpu://<project>/<zone>/<name>."""
        return f"{BACKEND}://{self.project}/{self.zone}/{self.name}"

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
    match = _HANDLE.fullmatch(handle)
    if match is None:
        raise errors.ConfigurationError(
            f"not a handle of a TPU: {handle!r}", what_to_do="use tpu://<project>/<zone>/<name>"
        )
    return Place(*match.groups())


def of_resource(project: str, resource: str) -> Place:
    """The place of a resource name, which may hold the project's number instead of its id."""
    match = _RESOURCE.fullmatch(resource)
    return Place(project, *match.groups()) if match else Place(project, "", resource)


def body(spec: MachineSpec, options: TpuOptions, lease: Lease, *, public_key: str) -> dict[str, Any]:
    """The node to ask for: the lease is in it from its first moment. Whether it is spot is said elsewhere, see scheduling.

    Without an account of its own the node would act as the project's default one: its tokens then give access to nothing.
    """
    metadata = {
        "enable-guest-attributes": "TRUE",
        # Whoever may log in on every machine of the project has nothing to do on this one.
        "block-project-ssh-keys": "TRUE",
        # With OS Login keys in the metadata count for nothing: the project may have it on for all.
        "enable-oslogin": "FALSE",
        "startup-script": BOOT_SCRIPT.read_text(encoding="utf-8"),
    }
    if options.sudo:
        metadata["accel-ci-sudo"] = "TRUE"
    if public_key:
        metadata["ssh-keys"] = f"{USER}:{public_key}"
    network = {"network": options.network, "subnetwork": options.subnetwork}
    account = options.machine_account
    return {
        "accelerator_type": spec.accelerator,
        "runtime_version": options.runtime,
        # For people who look at the console; 512 characters are the API's limit.
        "description": f"accel-ci: {lease.key.repository}, run {lease.key.run_id}"[:512],
        "labels": lease.labels(),
        "metadata": metadata,
        "network_config": {"enable_external_ips": options.external_ips} | {k: v for k, v in network.items() if v},
        "service_account": {"email": account, "scope": [CLOUD]} if account else {"scope": [NOTHING]},
    }


def scheduling(*, spot: bool) -> dict[str, Any]:
    """What makes a node spot; nothing for on-demand. Not for queued resources, which say it themselves."""
    return {"scheduling_config": {"spot": True}} if spot else {}


def machine(place: Place, node: tpu_v2.Node, workers: Sequence[Worker] = ()) -> Machine:
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
            user=USER,
            host_keys=_host_keys(told),
            inner_address=endpoint.ip_address,
            unconfined=told.get(("accel-ci", "confined")) == "no",
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
    booted = sum(told.get(("accel-ci", "stage")) == BOOTED for told in attributes)
    return "" if booted == len(workers) else f"{booted} of {len(workers)} worker(s) booted"


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


def _host_keys(told: Attributes) -> tuple[str, ...]:
    return tuple(f"{kind} {key}" for (namespace, kind), key in told.items() if namespace == "hostkeys")
