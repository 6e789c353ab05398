"""The resources of the Cloud TPU API as the simulated cloud knows them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from accel_ci_sim.world.tpu_catalogue import Kind
from accel_ci_sim.world.tpu_status import Status

PARENT = re.compile(r"projects/([^/]+)/locations/([^/]+)")


@dataclass(frozen=True, slots=True)
class Place:
    """A project's zone."""

    project: str
    zone: str

    def __str__(self) -> str:
        return f"projects/{self.project}/locations/{self.zone}"

    def node(self, node_id: str) -> str:
        """The resource name of a node there."""
        return f"{self}/nodes/{node_id}"

    def queued(self, queued_id: str) -> str:
        """The resource name of a queued resource there."""
        return f"{self}/queuedResources/{queued_id}"


def place_of(name: str) -> Place:
    """The place that the resource of this full name is in."""
    match = PARENT.match(name)
    assert match is not None
    return Place(*match.groups())


class NodeState(StrEnum):
    """Node.State, as far as it is modelled."""

    CREATING = "CREATING"
    READY = "READY"
    RESTARTING = "RESTARTING"
    DELETING = "DELETING"
    STOPPED = "STOPPED"
    STOPPING = "STOPPING"
    STARTING = "STARTING"
    PREEMPTED = "PREEMPTED"


class QueuedState(StrEnum):
    """QueuedResourceState.State."""

    ACCEPTED = "ACCEPTED"
    WAITING = "WAITING_FOR_RESOURCES"
    PROVISIONING = "PROVISIONING"
    ACTIVE = "ACTIVE"
    SUSPENDING = "SUSPENDING"
    SUSPENDED = "SUSPENDED"
    FAILED = "FAILED"
    DELETING = "DELETING"


class Initiator(StrEnum):
    """QueuedResourceState.StateInitiator."""

    UNSPECIFIED = ""
    USER = "USER"
    SERVICE = "SERVICE"


@dataclass(slots=True)
class TpuWorker:
    """One host: where it is, whether it can be reached there, and what it told: value by (namespace, key)."""

    index: int
    on: bool = False
    address: str = ""
    port: int = 0
    attributes: dict[tuple[str, str], str] = field(default_factory=dict)


@dataclass(slots=True, eq=False, kw_only=True)
class Node:
    """One TPU VM or slice. `spec` holds what was asked for, in the API's own JSON; `turn` counts its changes of state.

    `pending` is told how the change ends that is under way; None when there is none.
    """

    name: str
    number: int
    kind: Kind
    spec: dict[str, Any]
    created_at: float
    state: NodeState = NodeState.CREATING
    turn: int = 0
    maintained: bool = False
    pending: Callable[[Status | None], None] | None = None
    ready_at: float | None = None
    gone_at: float | None = None
    queued: str = ""
    multislice: bool = False
    workers: list[TpuWorker] = field(default_factory=list)

    @property
    def place(self) -> Place:
        """Its project and zone."""
        return place_of(self.name)

    @property
    def spot(self) -> bool:
        """True when it may be preempted."""
        scheduling = self.spec.get("schedulingConfig", {})
        return bool(scheduling.get("spot") or scheduling.get("preemptible"))

    @property
    def metadata(self) -> Mapping[str, str]:
        """What the machine itself may read, its ssh keys and startup script among it."""
        found: Mapping[str, str] = self.spec.get("metadata", {})
        return found

    def turns(self, state: NodeState) -> int:
        """Change the state; the number of this turn, so that what was planned for an earlier one can be told apart."""
        self.state = state
        self.turn += 1
        return self.turn

    def settle(self, error: Status | None = None) -> None:
        """The change that is under way is over, like this."""
        pending, self.pending = self.pending, None
        if pending is not None:
            pending(error)


@dataclass(slots=True, eq=False, kw_only=True)
class Queued:
    """A queued resource: `spec` as it was asked for, `nodes` while they exist. Times are seconds since 1970."""

    name: str
    spec: dict[str, Any]
    kind: Kind
    created_at: float
    not_before: float
    not_after: float | None
    state: QueuedState = QueuedState.ACCEPTED
    initiator: Initiator = Initiator.UNSPECIFIED
    error: Status | None = None
    gone_at: float | None = None
    nodes: list[Node] = field(default_factory=list)

    @property
    def place(self) -> Place:
        """Its project and zone."""
        return place_of(self.name)

    @property
    def spot(self) -> bool:
        """True when its nodes may be preempted."""
        return "spot" in self.spec

    @property
    def units(self) -> int:
        """How much of a quota it uses up."""
        return self.kind.units * sum(count(node_spec) for node_spec in self.spec["tpu"]["nodeSpec"])


def count(node_spec: Mapping[str, Any]) -> int:
    """How many nodes one node specification asks for."""
    return int(node_spec.get("multisliceParams", {}).get("nodeCount", 1))


def node_ids(queued_name: str, node_spec: Mapping[str, Any]) -> Iterator[str]:
    """The ids of the nodes that one node specification of the queued resource stands for."""
    if node_spec.get("nodeId"):
        yield node_spec["nodeId"]
    else:
        prefix = node_spec.get("multisliceParams", {}).get("nodeIdPrefix") or queued_name.rpartition("/")[2]
        yield from (f"{prefix}-{number}" for number in range(count(node_spec)))


@dataclass(slots=True, eq=False, kw_only=True)
class Operation:
    """A long-running operation: over once `ended_at` is set, then with an `error` or the resource as it was (None: empty)."""

    name: str
    verb: str
    target: str
    created_at: float
    ended_at: float | None = None
    error: Status | None = None
    result: Node | Queued | None = None
    cancel_requested: bool = False
