"""A rented machine as the cloud knows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from accel_ci_sim.world.worker import Worker

TAKEN = "lifetime limit reached"


class State(StrEnum):
    """Where a machine is between its landing and its end."""

    CREATING = "creating"
    READY = "ready"
    FAILED = "failed"
    RELEASING = "releasing"
    GONE = "gone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a client asks for. `ends_at` is the native lifetime limit, None where the cloud has none.

    `asker` is the truth about who asked, for the judge of the world: no client sees it. `base` begins the handle.
    """

    name: str
    zone: str
    spot: bool
    workers: int
    labels: Mapping[str, str]
    request_id: str
    ends_at: float | None
    asker: str = ""
    base: str = "sim://"


@dataclass(slots=True)
class Machine:
    """One machine, from landing to GONE. `boot_s` None: it never becomes ready; `stockout`: it fails instead."""

    request: Request
    serial: int
    landed_at: float
    boot_s: float | None
    stockout: bool
    workers: list[Worker]
    state: State = State.CREATING
    visible_at: float = 0.0
    ready_at: float | None = None
    gone_at: float | None = None
    interruption: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    refusals: int = 0
    kept_at: float | None = None  # when somebody asked to keep it
    keys: dict[str, float] | None = None  # that it lets in, and since when; None: its asker's
    guests: dict[str, float] = field(default_factory=dict)  # every key that it ever let in, and since when

    @property
    def place(self) -> tuple[str, str]:
        """Zone and name."""
        return self.request.zone, self.request.name

    @property
    def alive(self) -> bool:
        """True while it costs money."""
        return self.state is not State.GONE

    def reachable(self, now: float) -> bool:
        """True while its workers answer."""
        # A machine that is being ended, or was preempted, says nothing any more.
        return self.state is State.READY and self.workers[0].died_at is None and now >= (self.ready_at or 0.0)

    def kill_workers(self, now: float) -> None:
        """Everything that runs there ends without a record."""
        for worker in self.workers:
            worker.die(now)
