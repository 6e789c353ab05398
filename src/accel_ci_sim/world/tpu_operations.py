"""Long-running operations: what was begun, and how it ended."""

from __future__ import annotations

import copy
from collections.abc import Callable

from accel_ci_sim.world import tpu_status
from accel_ci_sim.world.tpu_life import NodeLife
from accel_ci_sim.world.tpu_node import Node, Operation, Place, Queued, place_of
from accel_ci_sim.world.tpu_status import Status


class Operations:
    """All operations by name. None is ever forgotten, unless somebody deletes it. `on_end` hears of each that ends."""

    def __init__(self, life: NodeLife) -> None:
        self.on_end: Callable[[Operation], None] = lambda operation: None
        self._life = life
        self._by_name: dict[str, Operation] = {}

    def begin(self, verb: str, target: str) -> Operation:
        """A new operation on the resource of that name."""
        now, draw = self._life.now, self._life.dice.getrandbits
        unique = f"{now * 1000:.0f}-{draw(52):013x}-{draw(32):08x}-{draw(32):08x}"
        name = f"{place_of(target)}/operations/operation-{unique}"
        self._by_name[name] = Operation(name=name, verb=verb, target=target, created_at=now)
        return self._by_name[name]

    def end(self, operation: Operation, error: Status | None = None, *, result: Node | Queued | None = None) -> None:
        """The operation is over, with an error or with the resource as it is now."""
        operation.ended_at = self._life.now
        operation.error = error
        # As it was at that moment: the resource goes on changing.
        operation.result = copy.copy(result) if error is None else None
        self.on_end(operation)

    def get(self, name: str) -> Operation:
        """The operation of that name; RefusedError without one."""
        if name not in self._by_name:
            raise tpu_status.not_found(name)
        return self._by_name[name]

    def forget(self, name: str) -> None:
        """Nobody is interested in the operation any more; it goes on."""
        del self._by_name[self.get(name).name]

    def listed(self, place: Place) -> list[Operation]:
        """The operations of a zone by name."""
        return [self._by_name[name] for name in sorted(self._by_name) if place_of(name) == place]
