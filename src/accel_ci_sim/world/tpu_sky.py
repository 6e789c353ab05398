"""Cloud TPU in a world: the model of its API, and a ledger of what costs money there, nodes and queued resources alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from accel_ci_sim.world import dice
from accel_ci_sim.world.dice import Dice
from accel_ci_sim.world.ledger import Ledger
from accel_ci_sim.world.machine import Machine, Request, State
from accel_ci_sim.world.schedule import Schedule
from accel_ci_sim.world.tpu import TpuCloud
from accel_ci_sim.world.tpu_knobs import Knobs
from accel_ci_sim.world.tpu_node import Node, NodeState, Operation, Place, TpuWorker
from accel_ci_sim.world.tpu_queue import TpuQueue
from accel_ci_sim.world.tpu_status import RefusedError
from accel_ci_sim.world.weather import LONGEST_RELEASE_S, Weather

PROJECT = "world"
BASE = f"tpu://{PROJECT}/"
CHIPS = 16  # of the biggest machine here: a quota of one leaves room for one
HOST_KEY = "AAAAC3NzaC1lZDI1NTE5AAAAISIMULATED"
WELL = '{"devices": 4, "name": "TPU", "problems": []}'
SICK = '{"problems": ["1 of 4 devices does not answer"]}'
_STATES = {
    NodeState.READY: State.READY,
    NodeState.DELETING: State.RELEASING,
    NodeState.PREEMPTED: State.FAILED,
}


class TpuSky:
    """What `world.cloud.Cloud` is for other clouds; the `ledger` gets nodes and queued resources."""

    def __init__(self, schedule: Schedule, weather: Weather, stream: Dice, ledger: Ledger) -> None:
        self.weather = weather
        self._ledger = ledger
        self._schedule = schedule
        self._dice = stream
        self._nodes: dict[str, Machine] = {}
        self._queued: dict[str, Machine] = {}
        self._askers: dict[str, str] = {}
        self.tpu = TpuCloud(schedule, self, _knobs(weather, stream))
        self.queue = TpuQueue(self.tpu)
        self.tpu.life.on_land, self.tpu.life.on_turn = self._landed, self._turned
        self._told_queue, self.tpu.life.on_gone = self.tpu.life.on_gone, self._gone
        self.tpu.operations.on_end = self._operated

    def create_node(self, place: Place, node_id: str, spec: Mapping[str, Any], *, asker: str) -> Operation:
        """Begin to make a node for `asker`, whom only the judge knows."""
        name = place.node(node_id)
        before, self._askers[name] = self._askers.get(name, asker), asker
        try:
            return self.tpu.create(place, node_id, spec)
        except RefusedError:
            # Whose it is stays: a name that is taken is another's, and one that is free again the next one's.
            self._askers[name] = before
            raise

    def create_queued(
        self, place: Place, queued_id: str, spec: Mapping[str, Any], *, request_id: str, asker: str
    ) -> Operation:
        """Take a request into the queue for `asker`; its node comes later, or never."""
        wait_s = spec["queueing_policy"]["valid_until_duration"]["seconds"]
        window = (self._schedule.now, self._schedule.now + wait_s)
        name = place.queued(queued_id)
        # A request id that is answered as before makes nothing new that could cost.
        known = name in self.tpu.queued
        wire = {"tpu": {"nodeSpec": [_node_spec(each) for each in spec["tpu"]["node_spec"]]}}
        wire |= {"spot": {}} if "spot" in spec else {}
        made = self.queue.create(place, queued_id, wire, window=window, request_id=request_id)
        if not known and name in self.tpu.queued and name not in self._queued:
            self._askers[place.node(queued_id)] = asker
            node = wire["tpu"]["nodeSpec"][0]["node"]
            # It holds quota from the request on, long before its node is there.
            self._queued[name] = self._enter(name, node, spot="spot" in wire, asker=asker, workers=0)
        return made

    def get(self, zone: str, name: str) -> Machine | None:
        """The node of that name as it is now."""
        return self._nodes.get(Place(PROJECT, zone).node(name))

    def doomed(self, zone: str, name: str) -> list[Machine]:
        """What a deletion of that name would end: the node, the queued resource, or both."""
        place = Place(PROJECT, zone)
        found = (self._queued.get(place.queued(name)), self._nodes.get(place.node(name)))
        return [each for each in found if each is not None and each.state is not State.RELEASING]

    def deleting_queued(self, name: str) -> None:
        """A queued resource is being deleted."""
        if name in self._queued:
            self._queued[name].state = State.RELEASING

    def annotate(self, zone: str, name: str, labels: Mapping[str, str]) -> None:
        """Add labels to a living node."""
        place = Place(PROJECT, zone)
        if place.node(name) not in self._nodes:
            return
        for machine in self.doomed(zone, name):  # what is kept is the node, and its request with it
            self._ledger.keep(machine, labels)
        self.tpu.node(place.node(name)).spec["labels"] = dict(self._nodes[place.node(name)].labels)

    def start(self, node: Node, up: Callable[[], None]) -> None:
        """Turn the node's workers on; in a world where machines hang, some never come up."""
        serial = self._nodes[node.name].serial
        keys = {
            ("hostkeys", "ssh-ed25519"): HOST_KEY,
            ("accel-ci", "stage"): "ready",
            ("accel-ci", "health"): SICK if dice.chance(self._dice, self.weather.sick) else WELL,
        }
        node.workers = [
            TpuWorker(index, on=True, address=f"{serial}.{index}.sim", attributes=dict(keys))
            for index in range(node.kind.hosts)
        ]
        if not dice.chance(self._dice, self.weather.hangs):
            up()

    def stop(self, node: Node, *, again: bool = False) -> None:
        """Turn them off."""
        self._nodes[node.name].kill_workers(self._schedule.now)

    def discard(self, node: Node) -> None:
        """Nothing: the judge may still ask what was on them."""

    def _landed(self, node: Node) -> None:
        asker = self._askers[node.name]
        self._nodes[node.name] = self._enter(node.name, node.spec, spot=node.spot, asker=asker, workers=node.kind.hosts)

    def _enter(self, name: str, spec: Mapping[str, Any], *, spot: bool, asker: str, workers: int) -> Machine:
        _, _, _, zone, _, short = name.split("/")
        request = Request(
            name=short,
            zone=zone,
            spot=spot,
            workers=workers,
            labels=spec["labels"],
            request_id="",
            ends_at=None,
            asker=asker,
            base=BASE,
        )
        machine = self._ledger.enter(request)
        self._ledger.hear(machine, "landed")
        return machine

    def _turned(self, node: Node) -> None:
        machine = self._nodes[node.name]
        machine.state = _STATES.get(node.state, State.CREATING)
        if node.state is NodeState.READY:
            machine.ready_at = self._schedule.now
        if node.state is NodeState.PREEMPTED:
            machine.interruption = "preempted"
        self._ledger.hear(machine, node.state.value.lower())

    def _gone(self, node: Node) -> None:
        self._ledger.end(self._nodes.pop(node.name))
        self._told_queue(node)

    def _operated(self, operation: Operation) -> None:
        if operation.verb == "delete" and operation.target in self._queued:
            self._ledger.end(self._queued.pop(operation.target))


def _node_spec(given: Mapping[str, Any]) -> dict[str, Any]:
    return {"parent": given["parent"], "nodeId": given["node_id"], "node": wire_node(given["node"])}


def wire_node(node: Mapping[str, Any]) -> dict[str, Any]:
    """A node as our client states it, in the API's own JSON."""
    return {
        "acceleratorType": node["accelerator_type"],
        "runtimeVersion": node["runtime_version"],
        "labels": dict(node["labels"]),
        "metadata": dict(node["metadata"]),
        "schedulingConfig": dict(node.get("scheduling_config", {})),
    }


def _knobs(weather: Weather, stream: Dice) -> Knobs:
    """The same weather in this cloud's own terms."""
    # Cloud TPU counts chips, other clouds machines.
    quota = {} if weather.quota > CHIPS else {"*": weather.quota * CHIPS}
    return Knobs(
        seed=stream.getrandbits(32),
        boot_s=weather.boot_s,
        delete_s=weather.release_s,
        queue_s=weather.boot_s,
        stockout={"*": weather.stockout} | dict.fromkeys(weather.empty, 1.0),
        quota=quota,
        preempt_after_s=stream.uniform(0.0, 40.0) if dice.chance(stream, weather.preempts) else None,
        preempt_creating=weather.late_stockout,
        stuck_deleting=weather.sticks,
        stuck_deleting_s=LONGEST_RELEASE_S,
        list_lag_s=weather.listing_lag_s,
    )
