"""Small worlds for the tests of the model: a clock, a cloud, and machines in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from accel_ci_sim.world import dice
from accel_ci_sim.world.cloud import Cloud
from accel_ci_sim.world.ledger import Ledger
from accel_ci_sim.world.machine import Machine, Request
from accel_ci_sim.world.schedule import EPOCH, Schedule
from accel_ci_sim.world.weather import Weather
from accel_ci_sim.world.worker import NEVER, Limits, Running, Script


@dataclass
class Sky:
    """A cloud with this weather, and what was heard of it."""

    weather: Weather
    schedule: Schedule = field(default_factory=Schedule)
    heard: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.schedule, scripts=lambda request, worker: {}, hear=self._hear)
        self.cloud = Cloud(self.schedule, self.weather, dice.of(1, 1, "test"), self.ledger)

    def _hear(self, machine: Machine, what: str) -> None:
        self.heard.append(what)

    def at(self, seconds: float, look: Callable[[], object]) -> object:
        """What `look` returns that many seconds after the world's beginning; the world is then over."""
        seen: list[object] = []
        self.schedule.at(EPOCH + seconds, lambda: seen.append(look()))
        self.schedule.run()
        return seen[0]


def weather(**changes: object) -> Weather:
    """A cloud without surprises but these: every machine boots in 10 s and is released in 5 s."""
    quiet: dict[str, object] = {
        "zones": ("us-a-1", "us-a-2"),
        "native_limit": False,
        "remembers": False,
        "boot_s": (10.0, 10.0),
        "release_s": (5.0, 5.0),
    }
    return Weather(**{**quiet, **changes})  # type: ignore[arg-type]


def request(*, name: str = "m", zone: str = "us-a-1", ends_at: float | None = None, request_id: str = "") -> Request:
    """A request for one machine with one worker."""
    return Request(
        name=name,
        zone=zone,
        spot=True,
        workers=1,
        labels={"who": name},
        request_id=request_id or f"{name}/{zone}",
        ends_at=ends_at,
    )


def running(script: Script, **limits: float) -> Running:
    """A phase that starts at second 0 and that somebody looked at then."""
    usual = {"limit_s": 1000.0, "grace_s": 20.0, "unattended_s": 300.0, "lease_expires_at": NEVER}
    return Running(key="k", nonce="n", phase="run", script=script, limits=Limits(**{**usual, **limits}), started_at=0.0)
