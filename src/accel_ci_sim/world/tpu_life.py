"""The life of nodes: they boot, run, are preempted, maintained, stopped and removed, on whatever time they are given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from accel_ci_sim.world import tpu_status
from accel_ci_sim.world.dice import Dice
from accel_ci_sim.world.life import Life, Time
from accel_ci_sim.world.tpu_catalogue import Kind
from accel_ci_sim.world.tpu_knobs import Knobs
from accel_ci_sim.world.tpu_node import Node, NodeState
from accel_ci_sim.world.tpu_status import Status

Ended = Callable[[Status | None], None]


class Hosts(Protocol):
    """Where nodes run."""

    def start(self, node: Node, up: Callable[[], None]) -> None:
        """Turn the node's workers on, fill in `node.workers`, and call `up` once all can be reached."""

    def stop(self, node: Node, *, again: bool = False) -> None:
        """Turn them off: what ran there has ended when this returns, and a start that is under way never calls `up`.

        `again`: it comes back at once, at the same address.
        """

    def discard(self, node: Node) -> None:
        """Forget their disks."""


class NodeLife(Life[Node]):
    """The nodes of all projects; those that exist by their full names in `nodes`.

    `on_land` hears of each new node, `on_lost` of each that will not be READY again, `on_gone` of its end.
    """

    def __init__(self, time: Time, hosts: Hosts, knobs: Knobs) -> None:
        super().__init__(time, knobs, "tpu")
        self.draw, self.chance, self.scarce = self.luck.draw, self.luck.chance, self.luck.scarce
        self.nodes = self.living
        self.on_land: Callable[[Node], None] = lambda node: None
        self.on_lost: Callable[[Node], None] = lambda node: None
        self.on_gone: Callable[[Node], None] = lambda node: None
        self.after = time.after
        self._hosts = hosts

    @property
    def dice(self) -> Dice:
        """What decides when the knobs leave a choice."""
        return self.luck.dice

    def event(self) -> str:
        """An id as messages of the API bear one."""
        return f"0x{self.dice.getrandbits(64):x}"

    def turn(self, node: Node, state: NodeState) -> int:
        """Change the node's state; the number of this turn."""
        number = node.turns(state)
        self.on_turn(node)
        return number

    def land(
        self, name: str, spec: Mapping[str, Any], *, kind: Kind, queued: str = "", multislice: bool = False
    ) -> Node:
        """A new node in CREATING."""
        node = Node(
            name=name,
            number=self.dice.getrandbits(62),
            kind=kind,
            spec=dict(spec),
            created_at=self.now,
            queued=queued,
            multislice=multislice,
        )
        self.nodes[name] = node
        self.ledger.append(node)
        self.on_land(node)
        return node

    def boot(
        self, node: Node, ended: Ended, *, problem: Status | None = None, back_to: NodeState | None = None
    ) -> None:
        """Let a node become READY in a while, or have its problem, or be removed before that: `ended` hears which.

        After a problem the node is in the state `back_to`; without one it vanishes.
        """
        node.pending = ended
        turn = node.turn

        def booted() -> None:
            if node.turn != turn:
                return
            if problem is None:
                self._hosts.start(node, lambda: self._up(node, turn))
            elif back_to is not None:
                self.turn(node, back_to)
                node.settle(problem)
            else:
                self._vanish(node)
                node.settle(problem)

        self.after(self.draw(self.knobs.boot_s), booted)

    def restart(self, node: Node, ended: Ended) -> None:
        """Turn the node's workers off and on again."""
        self.turn(node, NodeState.RESTARTING)
        self._hosts.stop(node)
        self.boot(node, ended)

    def halt(self, node: Node, ended: Ended) -> None:
        """Turn the node's workers off and keep their disks."""
        node.pending = ended
        turn = self.turn(node, NodeState.STOPPING)
        self._hosts.stop(node)

        def stopped() -> None:
            if node.turn == turn:
                self.turn(node, NodeState.STOPPED)
                node.settle()

        self.after(self.draw(self.knobs.stop_s), stopped)

    def remove(self, node: Node, gone: Callable[[], None], *, why: Status | None = None) -> None:
        """Let the node be DELETING and then be gone; whatever was under way with it ends with `why`."""
        # A node can be deleted in whatever state it is; what it was doing ends in conflict.
        turn = self.turn(node, NodeState.DELETING)
        self._hosts.stop(node)
        self.on_lost(node)
        node.settle(why or tpu_status.overtaken())

        def vanish() -> None:
            if node.turn == turn:
                self._vanish(node)
                gone()

        stuck = self.chance(self.knobs.stuck_deleting)
        self.after(self.knobs.stuck_deleting_s if stuck else self.draw(self.knobs.delete_s), vanish)

    def preempt(self, node: Node) -> None:
        """Take the machines away. The node stays, in PREEMPTED, and uses up quota until it is deleted."""
        # Unlike an instance it stays, and nobody but its owner deletes it.
        self.turn(node, NodeState.PREEMPTED)
        self._hosts.stop(node)
        self.on_lost(node)

    def _up(self, node: Node, turn: int) -> None:
        if node.turn == turn:
            self.turn(node, NodeState.READY)
            node.ready_at = self.now
            node.settle()
            self._watch(node)

    def _watch(self, node: Node) -> None:
        """Plan what will happen to a READY node by itself."""
        # During maintenance a node stays READY and tells it by its health only.
        if node.state is not NodeState.READY or node.maintained:
            return
        assert node.ready_at is not None
        if node.spot and self.knobs.preempt_after_s is not None:
            self._plan(node, node.ready_at + self.knobs.preempt_after_s, self.preempt)
        if self.knobs.maintenance_after_s is not None:
            self._plan(node, node.ready_at + self.knobs.maintenance_after_s, self._maintain)

    def _maintain(self, node: Node) -> None:
        node.maintained = True
        turn = self.turn(node, NodeState.READY)
        self._hosts.stop(node, again=True)

        def over() -> None:
            if node.turn == turn:
                self._hosts.start(node, back)

        def back() -> None:
            if node.turn == turn:
                node.maintained = False
                self._up(node, turn)

        self.after(self.knobs.maintenance_s, over)

    def _vanish(self, node: Node) -> None:
        self._hosts.discard(node)
        node.gone_at = self.now
        # Only now is the name free: a create before that gets a 409.
        del self.nodes[node.name]
        self.on_gone(node)
