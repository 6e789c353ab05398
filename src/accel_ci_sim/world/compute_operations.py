"""Compute Engine's operations: what was begun where, and how it ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from accel_ci_sim.world import compute_status
from accel_ci_sim.world.compute_status import Problem
from accel_ci_sim.world.life import Time
from accel_ci_sim.world.luck import Luck

SYSTEM = "system"
USER = "simulated@example.iam.gserviceaccount.com"


@dataclass(slots=True, eq=False, kw_only=True)
class Operation:
    """Over once `ended_at` is set, then with a problem or without. `scope` is `projects/P/zones/Z` or `projects/P/global`.

    `target` is the full name of what it is about, `user` who began it: SYSTEM for what the cloud does by itself.
    """

    name: str
    number: int
    kind: str
    scope: str
    target: str
    target_number: int
    user: str
    created_at: float
    ended_at: float | None = None
    problem: Problem | None = None
    message: str = ""

    @property
    def path(self) -> str:
        """Its full name."""
        return f"{self.scope}/operations/{self.name}"


class Operations:
    """All operations by path, none ever forgotten. `on_end` hears of each that ends."""

    def __init__(self, time: Time, luck: Luck) -> None:
        self.on_end: Callable[[Operation], None] = lambda operation: None
        self._time = time
        self._luck = luck
        self._by_path: dict[str, Operation] = {}
        self._by_request: dict[tuple[str, str], Operation] = {}

    def begin(
        self, kind: str, scope: str, target: str, *, number: int, user: str = USER, request_id: str = ""
    ) -> Operation:
        """A new operation on the resource of that name and number."""
        now, draw = self._time.now, self._luck.dice.getrandbits
        # What Google does by itself has a name and a user of its own: so clients tell a limit from a delete.
        prefix = "operation" if user == USER else "systemevent"
        operation = Operation(
            name=f"{prefix}-{now * 1000:.0f}-{draw(52):013x}-{draw(32):08x}-{draw(32):08x}",
            number=draw(62),
            kind=kind,
            scope=scope,
            target=target,
            target_number=number,
            user=user,
            created_at=now,
        )
        self._by_path[operation.path] = operation
        if request_id:
            self._by_request[scope, request_id] = operation
        return operation

    def end(self, operation: Operation, problem: Problem | None = None) -> None:
        """The operation is over."""
        # The first end counts: an overtaken creation ends once.
        if operation.ended_at is None:
            operation.ended_at = self._time.now
            operation.problem = problem
            self.on_end(operation)

    def remembered(self, scope: str, request_id: str) -> Operation | None:
        """What was begun by a request of that id before."""
        # By zone: the same id in two zones is two requests, as with Google.
        return self._by_request.get((scope, request_id)) if request_id else None

    def get(self, path: str) -> Operation:
        """The operation of that full name; RefusedError without one."""
        if path not in self._by_path:
            raise compute_status.not_found(path)
        return self._by_path[path]

    def forget(self, path: str) -> None:
        """Nobody is interested in the operation any more; it goes on."""
        del self._by_path[self.get(path).path]

    def listed(self, scope: str) -> list[Operation]:
        """The operations of a scope by name."""
        return [each for _, each in sorted(self._by_path.items()) if each.scope == scope]

    def of_project(self, project: str) -> list[Operation]:
        """The operations of all scopes by name."""
        return [each for path, each in sorted(self._by_path.items()) if path.startswith(f"projects/{project}/")]
