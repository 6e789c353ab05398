"""How a cloud behaves in one world: drawn once, consulted by the model whenever it needs a die."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from accel_ci_sim.world import dice
from accel_ci_sim.world.dice import Dice

LONGEST_LISTING_LAG_S = 15.0
GITHUB_LISTING_LAGS_S = (0.0, 0.0, 2.9, 2.9, 15.0)  # the last is longer than accel-ci looks again after
# Shorter than the cleanup's own limit, so that even a delete that sticks can be verified.
LONGEST_RELEASE_S = 240.0
LATENESS_S = 30.0
SERVICES = ("sim", "sim", "gce", "gce", "auto", "tpu", "queued")
LIMITED = ("sim", "gce", "auto")  # whose machines may have a lifetime limit of the cloud's own
ZONES = {
    "sim": ("us-a-1", "us-a-2", "eu-b-1", "as-c-1"),
    "tpu": ("us-central1-b", "us-east5-a", "us-east5-b", "europe-west4-a"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """Probabilities per machine or request, and ranges in seconds. A calm cloud has all of them at 0 but the times.

    `service`: `sim`, a cloud as our port sees clouds; the others are below our own adapters: `gce`, Compute Engine; `tpu`,
    Cloud TPU nodes; `queued`, its queue; `auto`, Compute Engine and nodes as one backend.
    `native_limit`: the cloud ends machines by itself (on Compute Engine: `maxRunDuration` works).
    `remembers`: it knows a request that it saw before.
    `outages`: when a service, or one kind of call to it, is down, from and to.
    """

    zones: tuple[str, ...]
    service: str = "sim"
    native_limit: bool
    remembers: bool
    boot_s: tuple[float, float] = (1.0, 20.0)
    release_s: tuple[float, float] = (0.5, 8.0)
    listing_lag_s: float = 0.0
    stockout: float = 0.0
    empty: tuple[str, ...] = ()  # zones that never have any
    late_stockout: float = 0.0
    quota: int = 1000
    lands_anyway: float = 0.0
    hangs: float = 0.0
    preempts: float = 0.0
    sticks: float = 0.0
    refuses_release: float = 0.0
    partial_lists: float = 0.0
    rate_limited: float = 0.0
    sick: float = 0.0  # the probe finds the accelerators unwell
    outages: Mapping[str, tuple[float, float]] = field(default_factory=dict)


def calm(stream: Dice) -> Weather:
    """A cloud that has everything and does what it says, in some zones."""
    service = stream.choice(SERVICES)
    native = service in LIMITED and dice.chance(stream, 0.5)
    return Weather(
        zones=_zones(stream, service), service=service, native_limit=native, remembers=dice.chance(stream, 0.5)
    )


def rough(stream: Dice, services: Sequence[str]) -> Weather:
    """A cloud on an ordinary bad day, when one of the services may be down for a while."""
    service = stream.choice(SERVICES)
    native = service in LIMITED and dice.chance(stream, 0.5)
    return Weather(
        zones=_zones(stream, service),
        service=service,
        native_limit=native,
        remembers=native if service == "sim" else dice.chance(stream, 0.5),
        listing_lag_s=stream.choice((0.0, 2.0, LONGEST_LISTING_LAG_S)),
        stockout=stream.choice((0.0, 0.1, 0.4)),
        late_stockout=stream.choice((0.0, 0.1)),
        # Small projects have quotas of one or two.
        quota=stream.choice((1000, 1000, 2, 1)),
        lands_anyway=stream.choice((0.0, 0.1, 0.5)),
        hangs=stream.choice((0.0, 0.03)),
        preempts=stream.choice((0.0, 0.1, 0.3)),
        sticks=stream.choice((0.0, 0.1)),
        refuses_release=stream.choice((0.0, 0.1)),
        partial_lists=stream.choice((0.0, 0.0, 0.1)),
        rate_limited=stream.choice((0.0, 0.0, 0.05)),
        sick=stream.choice((0.0, 0.1)),
        # Whole outages, beside single faults: a retry does not help, only a limit does.
        outages={stream.choice(services): _outage(stream)} if dice.chance(stream, 0.2) else {},
    )


def _outage(stream: Dice) -> tuple[float, float]:
    begins = stream.uniform(0.0, 80.0)
    return begins, begins + stream.choice((5.0, 60.0, 200.0, 400.0))


def _zones(stream: Dice, service: str) -> tuple[str, ...]:
    # Two zones of one region: a quota ends both, a stockout one.
    every = ZONES["sim" if service == "sim" else "tpu"]
    return every[: stream.choice((1, 2, 3, 3, 4))]
