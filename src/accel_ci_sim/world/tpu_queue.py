"""Queued resources of the Cloud TPU API: requests that wait for capacity, and the nodes that come of them."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

from accel_ci_sim.world import tpu, tpu_status
from accel_ci_sim.world.tpu import NODE_ID, TpuCloud
from accel_ci_sim.world.tpu_catalogue import Kind
from accel_ci_sim.world.tpu_node import (
    Initiator,
    Node,
    NodeState,
    Operation,
    Place,
    Queued,
    QueuedState,
    count,
    node_ids,
)
from accel_ci_sim.world.tpu_status import Status

RETRY_S = 1.0  # how soon a zone that had none is asked again, at the earliest
SERVED = (QueuedState.PROVISIONING, QueuedState.ACTIVE)
DELETABLE = (QueuedState.ACCEPTED, QueuedState.WAITING, QueuedState.FAILED, QueuedState.SUSPENDED)


class TpuQueue:
    """The queued resources of all projects, on a cloud."""

    def __init__(self, cloud: TpuCloud) -> None:
        self._cloud = cloud
        self._life = cloud.life
        self._all = cloud.queued
        self._requests: dict[tuple[str, str], Operation] = {}
        self._deletions: dict[str, Operation] = {}
        cloud.life.on_lost = self._lost
        cloud.life.on_gone = self._gone

    def create(
        self,
        place: Place,
        queued_id: str,
        spec: Mapping[str, Any],
        *,
        window: tuple[float, float | None],
        request_id: str = "",
    ) -> Operation:
        """Take a request into the queue. `window`: not served before the first and not after the second time (1970).

        The same request id again is answered as before.
        """
        name = place.queued(queued_id)
        if (name, request_id) in self._requests:
            return self._requests[name, request_id]
        if not NODE_ID.fullmatch(queued_id):
            raise tpu_status.invalid(f"Invalid queued resource id '{queued_id}'")
        if name in self._all:
            raise tpu_status.already_exists(name)
        kind = self._admit(place, queued_id, spec)
        queued = Queued(
            name=name,
            spec=dict(spec),
            kind=kind,
            created_at=self._life.now,
            not_before=window[0],
            not_after=window[1],
        )
        self._cloud.claim(place, kind, spot=queued.spot, units=queued.units)
        self._all[name] = queued
        operation = self._begin("create", queued, request_id)
        self._cloud.operations.end(operation, result=queued)
        self._wait(queued)
        return operation

    def delete(self, name: str, *, force: bool, request_id: str = "") -> Operation:
        """Begin to delete a request; with `force` its nodes as well, otherwise only one that has none."""
        if (name, request_id) in self._requests:
            return self._requests[name, request_id]
        queued = self.get(name)
        # The stricter of two behaviours that were seen: a client has to bear it.
        if queued.state is QueuedState.DELETING:
            raise tpu_status.busy()
        if not force and queued.state not in DELETABLE:
            raise tpu_status.not_deletable(name, queued.state)
        self._deletions[name] = self._begin("delete", queued, request_id)
        queued.state, queued.initiator = QueuedState.DELETING, Initiator.USER
        self._clear(queued)
        return self._deletions[name]

    def reset(self, name: str) -> Operation:
        """Begin to restart the nodes of an ACTIVE request."""
        queued = self.get(name)
        if queued.state is not QueuedState.ACTIVE:
            raise tpu_status.wrong_state("reset", queued.state, self._life.event())
        operation = self._begin("reset", queued)
        queued.state = QueuedState.PROVISIONING

        def restarted(error: Status | None) -> None:
            self._provisioned(queued, error)
            if queued.state is not QueuedState.PROVISIONING and operation.ended_at is None:
                self._cloud.operations.end(operation, queued.error, result=queued)

        for node in list(queued.nodes):
            self._life.restart(node, restarted)
        return operation

    def get(self, name: str) -> Queued:
        """The request of that full name; RefusedError without one."""
        if name not in self._all:
            raise tpu_status.not_found(name)
        return self._all[name]

    def listed(self, project: str, zones: Sequence[str]) -> list[Queued]:
        """What a list shows now, by name; too young ones may be missing."""
        latest = self._life.now - self._life.knobs.list_lag_s
        return [
            queued
            for _, queued in sorted(self._all.items())
            if queued.place.project == project and queued.place.zone in zones and queued.created_at <= latest
        ]

    def _admit(self, place: Place, queued_id: str, spec: Mapping[str, Any]) -> Kind:
        specs = spec.get("tpu", {}).get("nodeSpec", [])
        if len(specs) != 1:
            raise tpu_status.invalid("Exactly one node_spec is required.")
        if specs[0].get("parent") != str(place):
            raise tpu_status.invalid(f"The parent of the node_spec must be '{place}'.")
        if bool(specs[0].get("nodeId")) == bool(specs[0].get("multisliceParams")):
            raise tpu_status.invalid("Exactly one of node_id and multislice_params is required.")
        if specs[0].get("multisliceParams") and count(specs[0]) < 2:
            raise tpu_status.invalid("node_count must be greater than 1.")
        kinds = [
            self._cloud.admit(place, node_id, specs[0].get("node", {})) for node_id in node_ids(queued_id, specs[0])
        ]
        return kinds[0]

    def _begin(self, verb: str, queued: Queued, request_id: str = "") -> Operation:
        operation = self._cloud.operations.begin(verb, queued.name)
        if request_id:
            self._requests[queued.name, request_id] = operation
        return operation

    def _wait(self, queued: Queued) -> None:
        """Let the request become due, and fail when its time is over before that."""
        waited = max(queued.not_before - self._life.now, self._life.draw(self._life.knobs.queue_s))
        # ACCEPTED first: a client that knows only WAITING must not take it for an end.
        self._life.after(0.0, lambda: self._queue(queued))
        self._life.after(waited, lambda: self._serve(queued))
        if queued.not_after is not None:
            self._life.after(max(0.0, queued.not_after - self._life.now), lambda: self._expire(queued))

    def _queue(self, queued: Queued) -> None:
        if queued.state is QueuedState.ACCEPTED:
            queued.state = QueuedState.WAITING

    def _expire(self, queued: Queued) -> None:
        # valid_until bounds the waiting only: what was served before lives on.
        if queued.state is QueuedState.WAITING:
            queued.state, queued.error = QueuedState.FAILED, tpu_status.too_late()

    def _serve(self, queued: Queued) -> None:
        """Make the nodes, or wait on while the zone has none left."""
        if queued.state is not QueuedState.WAITING:
            return
        if queued.spec.get("reservationName"):
            queued.state, queued.error = QueuedState.FAILED, tpu_status.no_reservation(self._life.event())
        elif self._life.scarce(queued.place.zone):
            # A queued request meets no stockout: it waits for it to pass.
            self._life.after(self._pause(), lambda: self._serve(queued))
        else:
            queued.state = QueuedState.PROVISIONING
            self._make_nodes(queued)

    def _make_nodes(self, queued: Queued) -> None:
        place, node_spec = queued.place, queued.spec["tpu"]["nodeSpec"][0]
        spec = tpu.completed(place, queued.kind, node_spec.get("node", {}))
        if queued.spot:
            spec["schedulingConfig"] = {**spec["schedulingConfig"], "spot": True}
        names = [place.node(node_id) for node_id in node_ids(queued.name, node_spec)]
        taken = next((name for name in names if name in self._life.nodes), None)
        # Somebody made a node of that name meanwhile, by the other way.
        if taken is not None:
            return self._suspend(queued, Initiator.SERVICE, error=tpu_status.already_exists(taken).status)
        several = "multisliceParams" in node_spec
        queued.nodes = [
            self._life.land(name, spec, kind=queued.kind, queued=queued.name, multislice=several) for name in names
        ]
        for node in queued.nodes:
            ended = functools.partial(self._provisioned, queued)
            self._life.boot(node, ended, problem=self._misfortune(node), back_to=NodeState.PREEMPTED)

    def _misfortune(self, node: Node) -> Status | None:
        if not node.kind.runs(node.spec["runtimeVersion"]):
            return tpu_status.wrong_runtime(self._life.event())
        return tpu_status.internal() if node.spot and self._life.chance(self._life.knobs.preempt_creating) else None

    def _provisioned(self, queued: Queued, error: Status | None) -> None:
        """One of the nodes is ready, or will never be."""
        if queued.state is not QueuedState.PROVISIONING:
            return
        if error is not None:
            self._suspend(queued, Initiator.SERVICE, error=error)
        elif all(node.state is NodeState.READY for node in queued.nodes):
            queued.state = QueuedState.ACTIVE

    def _lost(self, node: Node) -> None:
        """A node was preempted or is being deleted: its request is worth nothing without it."""
        queued = self._all.get(node.queued)
        if queued is not None and queued.state in SERVED:
            by_service = node.state is NodeState.PREEMPTED
            # The initiator is all that tells a preemption from a delete.
            self._suspend(queued, Initiator.SERVICE if by_service else Initiator.USER)

    def _suspend(self, queued: Queued, initiator: Initiator, *, error: Status | None = None) -> None:
        """Remove what is left of the nodes; the request is SUSPENDED then, or FAILED when it never was ACTIVE."""
        queued.state, queued.initiator, queued.error = QueuedState.SUSPENDING, initiator, error
        self._clear(queued)

    def _clear(self, queued: Queued) -> None:
        """Remove the nodes; what the request waits for happens once the last is gone."""
        for node in queued.nodes:
            if node.state is not NodeState.DELETING:
                self._life.remove(node, lambda: None)
        if not queued.nodes:
            self._life.after(self._life.draw(self._life.knobs.delete_s), lambda: self._cleared(queued))

    def _gone(self, node: Node) -> None:
        queued = self._all.get(node.queued)
        if queued is not None and node in queued.nodes:
            queued.nodes.remove(node)
            if not queued.nodes:
                self._cleared(queued)

    def _cleared(self, queued: Queued) -> None:
        """No node of the request is left."""
        if queued.state is QueuedState.SUSPENDING:
            # It stays until somebody deletes it, and uses up quota: the leak that users overlook.
            queued.state = QueuedState.FAILED if queued.error else QueuedState.SUSPENDED
        elif queued.state is QueuedState.DELETING:
            del self._all[queued.name]
            self._cloud.operations.end(self._deletions.pop(queued.name))

    def _pause(self) -> float:
        return max(RETRY_S, self._life.draw(self._life.knobs.queue_s))
