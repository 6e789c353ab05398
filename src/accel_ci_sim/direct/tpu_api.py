"""The Cloud TPU API as our own adapter asks it, straight over the model: no library, no network, no repetition."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any, TypeVar

from accel_ci.adapters import tpu_errors
from accel_ci.adapters.tpu_api import TpuApi
from accel_ci.adapters.tpu_errors import Refusal
from accel_ci.adapters.tpu_nodes import TPU_PORT, Attributes
from accel_ci.adapters.tpu_nodes import Place as Spot
from accel_ci_sim.direct import handles
from accel_ci_sim.direct.process import Process
from accel_ci_sim.world import tpu_catalogue
from accel_ci_sim.world.tpu_node import Node, NodeState, Operation, Place, Queued
from accel_ci_sim.world.tpu_sky import PROJECT, TpuSky, wire_node
from accel_ci_sim.world.tpu_status import RefusedError, Status

Answer = TypeVar("Answer")
Document = dict[str, Any]


class SimulatedTpuApi(TpuApi):
    """One process's calls. Each may meet a fate of its own: the adapter makes several of them in one port call."""

    def __init__(self, process: Process, sky: TpuSky) -> None:
        super().__init__({}, project=PROJECT)
        self._process = process
        self._sky = sky

    def connect(self) -> None:
        """There is no library to load."""

    def create_node(self, place: Spot, node: Mapping[str, Any]) -> str | None:
        """See TpuApi."""
        asker = self._process.run
        return _name(
            _asked(
                lambda: self._sky.create_node(_place(place), place.name, wire_node(node), asker=asker),
                unless="ALREADY_EXISTS",
            )
        )

    def create_queued(self, place: Spot, queued: Mapping[str, Any], *, request_id: str) -> str | None:
        """See TpuApi."""
        asker = self._process.run
        return _name(
            _asked(
                lambda: self._sky.create_queued(_place(place), place.name, queued, request_id=request_id, asker=asker),
                unless="ALREADY_EXISTS",
            )
        )

    def delete_node(self, place: Spot) -> bool:
        """See TpuApi."""
        self._tell_judge(place)
        return _asked(lambda: self._sky.tpu.delete(place.node), unless="NOT_FOUND") is not None

    def delete_queued(self, place: Spot) -> bool:
        """See TpuApi."""
        # A delete of what never was is no end that the judge waits for.
        if place.queued in self._sky.tpu.queued:
            self._tell_judge(place)
        # With force, or the API refuses one that has a node.
        done = _asked(lambda: self._sky.queue.delete(place.queued, force=True), unless="NOT_FOUND")
        self._sky.deleting_queued(place.queued)
        return done is not None

    def node(self, place: Spot) -> Any:
        """See TpuApi."""
        # Nothing is in most zones: an API's refusal would be made and taken apart for each.
        found = self._sky.tpu.life.nodes.get(place.node)
        return None if found is None else _node(found)

    def queued(self, place: Spot) -> Any:
        """See TpuApi."""
        found = self._sky.tpu.queued.get(place.queued)
        return None if found is None else _queued(found)

    def nodes(self) -> Iterator[Any]:
        """See TpuApi."""
        return iter([_node(each) for each in self._sky.tpu.listed(PROJECT, tpu_catalogue.ZONES)])

    def all_queued(self) -> Iterator[Any]:
        """See TpuApi."""
        return iter([_queued(each) for each in self._sky.queue.listed(PROJECT, tpu_catalogue.ZONES)])

    def attributes(self, place: Spot) -> list[Attributes]:
        """See TpuApi."""
        found = _asked(lambda: self._sky.tpu.node(place.node), unless="NOT_FOUND")
        return [worker.attributes for worker in found.workers] if found else []

    def set_labels(self, place: Spot, labels: Mapping[str, str]) -> str | None:
        """See TpuApi; the change is made at once, and has no operation to wait for."""
        self._sky.annotate(place.zone, place.name, labels)
        return None

    def set_metadata(self, place: Spot, metadata: Mapping[str, str]) -> str | None:
        """See TpuApi; the change is made at once, and whoever was faster is undone: there is no fingerprint."""
        node, there = self._sky.tpu.life.nodes.get(place.node), self._sky.get(place.zone, place.name)
        scene = self._process.scene
        if node is not None and there is not None:
            node.spec["metadata"] = dict(metadata)
            handles.let_in(there, handles.keys(metadata["ssh-keys"]), now=scene.schedule.now, stream=scene.dice)
        return None

    def operation(self, name: str) -> Mapping[str, Any] | None:
        """See TpuApi."""
        return _document(self._sky.tpu.operations.get(name))

    def failure(self, place: Spot) -> Refusal | None:
        """See TpuApi."""
        for each in self._sky.tpu.operations.listed(_place(place)):
            if each.target in (place.node, place.queued) and each.verb == "create" and each.error:
                return tpu_errors.of_status(_status(each.error))
        return None

    def _tell_judge(self, place: Spot) -> None:
        for machine in self._sky.doomed(place.zone, place.name):
            self._process.judge.releases(self._process, machine)


def _place(spot: Spot) -> Place:
    return Place(spot.project, spot.zone)


def _asked(call: Callable[[], Answer], *, unless: str) -> Answer | None:
    """What `tpu_api._asked` makes of the API's refusals."""
    try:
        return call()
    except RefusedError as error:
        refusal = tpu_errors.of_status(_status(error.status))
        if refusal.status == unless:
            return None
        raise tpu_errors.classed(refusal) from error


def _name(made: Operation | None) -> str | None:
    return None if made is None else made.name


def _status(status: Status) -> Document:
    return {"code": int(status.code), "message": status.message, "details": list(status.details)}


def _document(shown: Operation) -> Document:
    document: Document = {"name": shown.name, "done": shown.ended_at is not None}
    return document | ({"error": _status(shown.error)} if shown.error else {})


def _word(name: str) -> SimpleNamespace:
    return SimpleNamespace(name=name)


def _node(shown: Node) -> Any:
    """The library's message, as far as the adapter looks into it."""
    ready = shown.state is NodeState.READY
    endpoints = [
        SimpleNamespace(ip_address=each.address, port=TPU_PORT, access_config=SimpleNamespace(external_ip=each.address))
        for each in shown.workers
    ]
    return SimpleNamespace(
        name=shown.name,
        state=_word(shown.state.value),
        health=_word("HEALTHY" if ready else "HEALTH_UNSPECIFIED"),
        health_description="",
        network_config=SimpleNamespace(enable_external_ips=True),
        network_endpoints=endpoints,
        labels=shown.spec["labels"],
        metadata=shown.spec["metadata"],
        scheduling_config=SimpleNamespace(spot=shown.spot, preemptible=False),
        accelerator_type=shown.kind.name,
    )


class _QueuedMessage(SimpleNamespace):
    has: Sequence[str]

    def __contains__(self, field: str) -> bool:
        return field in self.has


def _queued(shown: Queued) -> Any:
    error = _status(shown.error) if shown.error else {"code": 0, "message": "", "details": []}
    node = shown.spec["tpu"]["nodeSpec"][0]["node"]
    return _QueuedMessage(
        has=("spot",) if shown.spot else (),
        name=shown.name,
        state=SimpleNamespace(
            state=_word(shown.state.value),
            state_initiator=_word(shown.initiator.value or "STATE_INITIATOR_UNSPECIFIED"),
            failed_data=SimpleNamespace(
                error=SimpleNamespace(code=error["code"], message=error["message"], details=())
            ),
        ),
        tpu=SimpleNamespace(
            node_spec=[
                SimpleNamespace(node=SimpleNamespace(accelerator_type=node["acceleratorType"], labels=node["labels"]))
            ]
        ),
    )
