"""What the lives of nodes and instances have in common: time, knobs and dice, and plans that a change of state makes void."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from accel_ci_sim.world.luck import Luck
from accel_ci_sim.world.tpu_knobs import Knobs


class Time(Protocol):
    """A clock and what it will bring; `world.schedule.Schedule` is one."""

    @property
    def now(self) -> float:
        """Seconds since 1970."""

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        """Let `action` happen in that many seconds."""


class Turning(Protocol):
    """What lives: `turn` counts its changes of state."""

    turn: int


Thing = TypeVar("Thing", bound=Turning)


class Life(Generic[Thing]):
    """`living` by name; `ledger` has everything there ever was. `on_turn` hears of every change of state."""

    def __init__(self, time: Time, knobs: Knobs, purpose: str) -> None:
        self.luck = Luck(knobs, purpose)
        self.living: dict[str, Thing] = {}
        self.ledger: list[Thing] = []
        self.on_turn: Callable[[Thing], None] = lambda thing: None
        self._time = time
        self._edition = 0

    @property
    def now(self) -> float:
        """Seconds since 1970."""
        return self._time.now

    @property
    def knobs(self) -> Knobs:
        """As they are turned now."""
        return self.luck.knobs

    def turn_knobs(self, knobs: Knobs) -> None:
        """Go on with these; what runs learns about new preemptions and maintenance."""
        self.luck.turn(knobs)
        # What was planned by the old knobs is void.
        self._edition += 1
        for thing in list(self.living.values()):
            self._watch(thing)

    def _watch(self, thing: Thing) -> None:
        """Plan what will happen to it by itself."""
        raise NotImplementedError

    def _plan(self, thing: Thing, when: float, happen: Callable[[Thing], None]) -> None:
        """Let it happen then, unless its state or the knobs have changed by that time."""
        turn, edition = thing.turn, self._edition

        def due() -> None:
            if (thing.turn, self._edition) == (turn, edition):
                happen(thing)

        self._time.after(max(0.0, when - self.now), due)
