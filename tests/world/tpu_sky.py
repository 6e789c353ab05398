"""A simulated Cloud TPU on time that passes when a test says so, with machines that are up as soon as they are asked for."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from accel_ci_sim.world.tpu import TpuCloud
from accel_ci_sim.world.tpu_knobs import Knobs
from accel_ci_sim.world.tpu_node import Node, Operation, Place, Queued, TpuWorker
from accel_ci_sim.world.tpu_queue import TpuQueue
from accel_ci_sim.world.tpu_status import RefusedError, Status

BEGIN = 1_800_000_000.0
ZONE = Place("p", "us-central1-b")
SPEC: Mapping[str, Any] = {"acceleratorType": "v6e-1", "runtimeVersion": "v2-alpha-tpuv6e"}
SPOT: Mapping[str, Any] = {**SPEC, "schedulingConfig": {"spot": True}}


class VirtualTime:
    """Seconds since 1970 that pass by `go`."""

    def __init__(self) -> None:
        self.now = BEGIN
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        """Let `action` happen in that many seconds."""
        heapq.heappush(self._due, (self.now + seconds, next(self._numbers), action))

    def go(self, seconds: float = 0.0) -> None:
        """Let so much time pass, and happen what is due by then."""
        until = self.now + seconds
        while self._due and self._due[0][0] <= until:
            self.now, _, action = heapq.heappop(self._due)
            action()
        self.now = until


class FakeHosts:
    """`on` holds the names of the nodes whose machines run, `disks` of those that have any."""

    def __init__(self) -> None:
        self.on: set[str] = set()
        self.disks: set[str] = set()

    def start(self, node: Node, up: Callable[[], None]) -> None:
        """Up at once."""
        node.workers = node.workers or [TpuWorker(index) for index in range(node.kind.hosts)]
        self.on.add(node.name)
        self.disks.add(node.name)
        up()

    def stop(self, node: Node, *, again: bool = False) -> None:
        """Off at once."""
        self.on.discard(node.name)

    def discard(self, node: Node) -> None:
        """No disk any more."""
        self.disks.discard(node.name)


class Sky:
    """A cloud, its queue, its machines and its time."""

    def __init__(self, **knobs: Any) -> None:
        self.time = VirtualTime()
        self.hosts = FakeHosts()
        self.cloud = TpuCloud(self.time, self.hosts, Knobs(**knobs))
        self.queue = TpuQueue(self.cloud)

    def turn(self, **knobs: Any) -> None:
        """Other knobs from now on."""
        self.cloud.life.turn_knobs(Knobs(**knobs))

    def create(self, node_id: str = "t1", spec: Mapping[str, Any] = SPEC, *, place: Place = ZONE) -> Operation:
        """Ask for a node, and let happen what happens at once."""
        operation = self.cloud.create(place, node_id, spec)
        self.time.go()
        return operation

    def node(self, node_id: str = "t1") -> Node:
        """The node in us-central1-b."""
        return self.cloud.node(ZONE.node(node_id))

    def names(self) -> list[str]:
        """The ids of all nodes that exist."""
        return sorted(name.rpartition("/")[2] for name in self.cloud.life.nodes)

    def enqueue(
        self, queued_id: str = "q1", *, until_s: float | None = None, after_s: float = 0.0, **more: Any
    ) -> Queued:
        """Ask for a queued resource with one spot node of the same name, unless `more` says otherwise."""
        spec = {"spot": {}, "tpu": {"nodeSpec": [node_spec(queued_id)]}, **more}
        now = self.time.now
        window = (now + after_s, None if until_s is None else now + until_s)
        self.queue.create(ZONE, queued_id, spec, window=window)
        self.time.go()
        return self.queue.get(ZONE.queued(queued_id))


def node_spec(node_id: str, **more: Any) -> dict[str, Any]:
    """One node specification of a queued resource."""
    return {"parent": str(ZONE), "nodeId": node_id, "node": dict(SPEC), **more}


def refused(call: Callable[..., object], *arguments: Any, **named: Any) -> Status:
    """Why the call was refused."""
    with pytest.raises(RefusedError) as caught:
        call(*arguments, **named)
    return caught.value.status
