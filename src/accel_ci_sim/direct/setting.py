"""What kind of world it is to be, where the seed is not to decide it all."""

from __future__ import annotations

from dataclasses import dataclass

from accel_ci_sim.direct import layers as all_layers
from accel_ci_sim.direct.layers import Layer
from accel_ci_sim.direct.plans import RunPlan
from accel_ci_sim.world.weather import Weather


@dataclass(frozen=True, slots=True)
class Stage:
    """A world whose cloud and jobs are given: only what goes wrong is not."""

    name: str
    weather: Weather
    plans: tuple[RunPlan, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """`layers` that work, a `stage` instead of the seed's own, and whether the jobs are the peer's flow instead of ours."""

    layers: frozenset[Layer] = all_layers.ALL
    stage: Stage | None = None
    peer: bool = False


USUAL = Setting()
PEER = Setting(layers=frozenset(), peer=True)
