"""Cloud TPU as its API shows it, pure and seeded: the wire serves it to real clients, and worlds can hold it as well."""

from __future__ import annotations

import copy
import re
import zlib
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from accel_ci_sim.world import tpu_catalogue, tpu_status
from accel_ci_sim.world.life import Time
from accel_ci_sim.world.tpu_catalogue import Kind
from accel_ci_sim.world.tpu_knobs import Knobs
from accel_ci_sim.world.tpu_life import Ended, Hosts, NodeLife
from accel_ci_sim.world.tpu_node import Node, NodeState, Operation, Place, Queued
from accel_ci_sim.world.tpu_operations import Operations
from accel_ci_sim.world.tpu_status import Status

NODE_ID = re.compile(r"[A-Za-z0-9_.~+%-]{1,63}")
DEFAULT_TYPE = "v2-8"
MINUTE_S = 60.0


class TpuCloud:
    """All projects' nodes and operations. Methods raise RefusedError for what the API refuses at once."""

    def __init__(self, time: Time, hosts: Hosts, knobs: Knobs) -> None:
        self.life = NodeLife(time, hosts, knobs)
        self.operations = Operations(self.life)
        self.queued: dict[str, Queued] = {}
        self._deletes: deque[float] = deque()

    def enter(self, place: Place) -> None:
        """RefusedError for a zone that does not exist, is closed to the project, or does not answer."""
        knobs = self.life.knobs
        if place.zone in knobs.closed_zones:
            raise tpu_status.closed_zone(place.project, place.zone)
        # Checked before what is asked for: the address itself is wrong.
        if place.zone not in tpu_catalogue.ZONES:
            raise tpu_status.unknown_zone(place.zone)
        if place.zone in knobs.unreachable_zones:
            raise tpu_status.unavailable()

    def create(self, place: Place, node_id: str, spec: Mapping[str, Any]) -> Operation:
        """Begin to make a node; most of what can go wrong is told by the operation only."""
        kind = self.admit(place, node_id, spec)
        self.claim(place, kind, spot=_spot(spec), units=kind.units)
        node = self.life.land(place.node(node_id), completed(place, kind, spec), kind=kind)
        operation, ended = self._begin("create", node)
        # A stockout takes as long as a boot, and is told by the operation.
        problem, back_to = self._misfortune(node)
        self.life.boot(node, ended, problem=problem, back_to=back_to)
        return operation

    def delete(self, name: str) -> Operation:
        """Begin to end the node, whatever it is doing, unless it is being deleted already."""
        node = self.node(name)
        # Counted before it is looked at: refused deletes use up the minute as well.
        self._count_delete(node.place.project)
        if node.state is NodeState.DELETING:
            raise tpu_status.busy()
        operation = self.operations.begin("delete", name)
        self.life.remove(node, lambda: self.operations.end(operation))
        return operation

    def stop(self, name: str) -> Operation:
        """Begin to stop a READY node."""
        node = self._ready_for("stop", name, states=(NodeState.READY,))
        operation, ended = self._begin("stop", node)
        self.life.halt(node, ended)
        return operation

    def start(self, name: str) -> Operation:
        """Begin to start a STOPPED node again; the zone may have none left by now."""
        node = self._ready_for("start", name, states=(NodeState.STOPPED,))
        self.life.turn(node, NodeState.STARTING)
        operation, ended = self._begin("start", node)
        zone = node.place.zone
        problem = tpu_status.stockout(zone, self.life.event()) if self.life.scarce(zone) else None
        self.life.boot(node, ended, problem=problem, back_to=NodeState.STOPPED)
        return operation

    def update(self, name: str, change: Callable[[dict[str, Any]], None]) -> Operation:
        """Change the node's specification in its place."""
        node = self._ready_for("update", name, states=(NodeState.READY, NodeState.STOPPED))
        operation, ended = self._begin("update", node)
        spec = copy.deepcopy(node.spec)
        change(spec)
        node.spec = spec
        ended(None)
        return operation

    def cancel(self, name: str) -> None:
        """Ask an operation to end. A creation does, and its node goes; the others go on."""
        operation = self.operations.get(name)
        if operation.ended_at is None:
            operation.cancel_requested = True
            node = self.life.nodes.get(operation.target)
            # Which operations obey is not written down; here a creation does.
            if operation.verb == "create" and node is not None and node.pending is not None:
                self.life.remove(node, lambda: None, why=tpu_status.cancelled())

    def node(self, name: str) -> Node:
        """The node of that full name; RefusedError without one."""
        if name not in self.life.nodes:
            raise tpu_status.not_found(name)
        return self.life.nodes[name]

    def listed(self, project: str, zones: Sequence[str]) -> list[Node]:
        """What a list shows now, by name. It may lag: too young nodes are missing, those that went are still READY."""
        now, lag = self.life.now, self.life.knobs.list_lag_s
        # A list may show for seconds what get already denies.
        gone = [_as_ready(node) for node in self.life.ledger if node.gone_at is not None and now < node.gone_at + lag]
        there = [node for node in self.life.nodes.values() if node.created_at + lag <= now]
        found = {node.name: node for node in (*gone, *there)}
        return [node for _, node in sorted(found.items()) if node.place.project == project and node.place.zone in zones]

    def admit(self, place: Place, node_id: str, spec: Mapping[str, Any]) -> Kind:
        """The accelerator type of such a node; RefusedError when there can be none of it, or one of its name is there."""
        if not NODE_ID.fullmatch(node_id):
            raise tpu_status.invalid(f"Invalid node id '{node_id}': it should follow ^[A-Za-z0-9_.~+%-]+$")
        kind = self._kind(place, spec)
        runtime = spec.get("runtimeVersion", "")
        if not any(runtime in tpu_catalogue.runtimes(zone) for zone in tpu_catalogue.ZONES):
            raise tpu_status.wrong_field("RuntimeVersion", runtime, self.life.event())
        if place.node(node_id) in self.life.nodes:
            raise tpu_status.already_exists(place.node(node_id))
        return kind

    def claim(self, place: Place, kind: Kind, *, spot: bool, units: int) -> None:
        """RefusedError when so much more would exceed the project's quota in the region."""
        region = tpu_catalogue.region(place.zone)
        limit, metric = self.life.knobs.quota_limit(region), kind.quota(spot=spot)
        if limit is not None and self._used(place.project, region)[metric] + units > limit:
            raise tpu_status.over_quota(metric, place.project, region, limit)

    def _begin(self, verb: str, node: Node) -> tuple[Operation, Ended]:
        operation = self.operations.begin(verb, node.name)
        return operation, lambda error: self.operations.end(operation, error, result=node)

    def _ready_for(self, verb: str, name: str, *, states: Sequence[NodeState]) -> Node:
        node = self.node(name)
        if node.pending is not None or node.state is NodeState.DELETING:
            raise tpu_status.busy()
        if node.state not in states:
            raise tpu_status.wrong_state(verb, node.state, self.life.event())
        return node

    def _kind(self, place: Place, spec: Mapping[str, Any]) -> Kind:
        accelerator, config = spec.get("acceleratorType", ""), spec.get("acceleratorConfig")
        if accelerator and config:
            raise tpu_status.invalid("Only one of accelerator_type and accelerator_config can be set.")
        if config:
            accelerator = f"{config.get('type', '')} {config.get('topology', '')}"
            kind = tpu_catalogue.by_topology(place.zone, config.get("type", ""), config.get("topology", ""))
        else:
            accelerator = accelerator or DEFAULT_TYPE
            kind = tpu_catalogue.kinds(place.zone).get(accelerator)
        if kind is None:
            raise tpu_status.no_such_type(accelerator, place.zone, self.life.event())
        return kind

    def _misfortune(self, node: Node) -> tuple[Status | None, NodeState | None]:
        """What will come of the creation: nothing bad, or a problem and the state that it leaves the node in."""
        life, event, zone = self.life, self.life.event(), node.place.zone
        if node.spec["schedulingConfig"].get("reserved"):
            return tpu_status.no_reservation(event), None
        if not node.kind.runs(node.spec["runtimeVersion"]):
            return tpu_status.wrong_runtime(event), None
        if life.scarce(zone):
            return tpu_status.stockout(zone, event), None
        if node.spot and life.chance(life.knobs.preempt_creating):
            return tpu_status.preempted(event), NodeState.PREEMPTED
        return None, None

    def _used(self, project: str, region: str) -> Counter[str]:
        """Quota by metric. Queued resources use it until they are deleted, even when they failed."""
        used: Counter[str] = Counter()
        for node in self.life.nodes.values():
            if not node.queued and node.place.project == project and tpu_catalogue.region(node.place.zone) == region:
                used[node.kind.quota(spot=node.spot)] += node.kind.units
        # Failed requests use quota until somebody deletes them: the leak that stops the next run.
        for queued in self.queued.values():
            if queued.place.project == project and tpu_catalogue.region(queued.place.zone) == region:
                used[queued.kind.quota(spot=queued.spot)] += queued.units
        return used

    def _count_delete(self, project: str) -> None:
        now, most = self.life.now, self.life.knobs.deletes_per_minute
        while self._deletes and self._deletes[0] <= now - MINUTE_S:
            self._deletes.popleft()
        if most is not None and len(self._deletes) >= most:
            raise tpu_status.too_many_deletes(project)
        self._deletes.append(now)


def completed(place: Place, kind: Kind, spec: Mapping[str, Any]) -> dict[str, Any]:
    """The specification with everything that the API fills in for the user."""
    project, region = place.project, tpu_catalogue.region(place.zone)
    network = dict(spec.get("networkConfig", {}))
    network["network"] = _path(network.get("network") or "default", f"projects/{project}/global/networks")
    network["subnetwork"] = _path(
        network.get("subnetwork") or "default", f"projects/{project}/regions/{region}/subnetworks"
    )
    account = spec.get("serviceAccount", {})
    return {
        **copy.deepcopy(dict(spec)),
        "acceleratorType": kind.name,
        "acceleratorConfig": {"type": kind.generation, "topology": kind.topology},
        "cidrBlock": spec.get("cidrBlock") or "10.128.0.0/20",
        "networkConfig": network,
        "schedulingConfig": spec.get("schedulingConfig", {}),
        "serviceAccount": {
            "email": account.get("email") or f"{project_number(project)}-compute@developer.gserviceaccount.com",
            "scope": account.get("scope") or ["https://www.googleapis.com/auth/cloud-platform"],
        },
        "shieldedInstanceConfig": spec.get("shieldedInstanceConfig", {}),
    }


def project_number(project: str) -> int:
    """A number that stands for the project, always the same."""
    return 100_000_000_000 + zlib.crc32(project.encode())


def _spot(spec: Mapping[str, Any]) -> bool:
    scheduling = spec.get("schedulingConfig", {})
    return bool(scheduling.get("spot") or scheduling.get("preemptible"))


def _path(name: str, folder: str) -> str:
    return name if "/" in name else f"{folder}/{name}"


def _as_ready(node: Node) -> Node:
    shown = copy.copy(node)
    shown.state = NodeState.READY
    return shown
