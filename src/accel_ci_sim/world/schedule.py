"""Virtual time: what happens when, and the actors (processes, jobs) that wait for their turn."""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable

from accel_ci_sim.world import carrier
from accel_ci_sim.world.carrier import Carrier

EPOCH = 1_800_000_000.0


class Actor:
    """Something that goes on by itself and waits now and then: ordinary code in a thread of its own."""

    __slots__ = ("body", "carrier", "turn")

    def __init__(self, body: Callable[[Actor], None]) -> None:
        self.body = body
        self.carrier: Carrier | None = None
        self.turn = 0


class Schedule:
    """The clock (seconds since 1970) and all that is still to happen, in one order that only the seed decides."""

    def __init__(self) -> None:
        self.now = EPOCH
        self.failure: BaseException | None = None
        self._numbers = itertools.count()
        self._due: list[tuple[float, int, Actor | None, int, Callable[[], None] | None]] = []
        self._over = threading.Lock()
        self._over.acquire()

    def at(self, when: float, action: Callable[[], None]) -> None:
        """Let `action` happen at that time; it must not wait."""
        # The number decides between two at the same moment: nothing else may.
        heapq.heappush(self._due, (when, next(self._numbers), None, 0, action))

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        """Let `action` happen in that many seconds."""
        self.at(self.now + seconds, action)

    def spawn(self, body: Callable[[Actor], None], *, delay_s: float = 0.0) -> None:
        """Let a new actor begin in `delay_s` seconds."""
        self._wake_at(Actor(body), self.now + delay_s)

    def pause(self, actor: Actor, seconds: float) -> None:
        """Return to the calling actor after that many seconds, or when somebody wakes it; the others run meanwhile."""
        until = self.now + seconds
        # Nothing happens meanwhile: a thread's turn costs more than most of the worlds' calls.
        if not self._due or self._due[0][0] > until:
            self.now = until
            return
        self._wake_at(actor, until)
        following = self._next()
        if following is not actor:
            assert actor.carrier is not None
            self._hand_to(following)
            actor.carrier.sleep()

    def wake(self, actor: Actor) -> None:
        """End the actor's pause now."""
        self._wake_at(actor, self.now)

    def run(self) -> None:
        """Let everything happen that is still to happen. Raises what an actor or an action raised."""
        following = self._next()
        if following is not None:
            self._hand_to(following)
            self._over.acquire()
        if self.failure is not None:
            raise self.failure

    def _wake_at(self, actor: Actor, when: float) -> None:
        actor.turn += 1
        heapq.heappush(self._due, (when, next(self._numbers), actor, actor.turn, None))

    def _next(self) -> Actor | None:
        """Let actions happen until an actor has its turn; None when nothing is left, or all is lost."""
        while self._due and self.failure is None:
            when, _, actor, turn, action = heapq.heappop(self._due)
            if actor is not None and actor.turn != turn:
                continue  # it was woken earlier
            # What was planned for the past happens now: time never goes back.
            if when > self.now:
                self.now = when
            if actor is not None:
                return actor
            assert action is not None
            self._happen(action)
        return None

    def _happen(self, action: Callable[[], None]) -> None:
        try:
            action()
        except BaseException as failure:  # not for the code that happens to wait here: `run` raises it
            self.failure = failure

    def _hand_to(self, actor: Actor | None) -> None:
        if actor is None:
            self._over.release()
        elif actor.carrier is None:
            actor.carrier = carrier.take()
            actor.carrier.begin(lambda: self._live(actor))
        else:
            actor.carrier.wake()

    def _live(self, actor: Actor) -> Callable[[], None]:
        """Run the actor to its end; who goes on then."""
        following: Actor | None = actor
        try:
            actor.body(actor)
            following = self._next()
        except BaseException as failure:  # `run` raises it, in the thread that began the world
            self.failure, following = failure, None
        return lambda: self._hand_to(following)
