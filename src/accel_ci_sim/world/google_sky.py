"""Google's two clouds for accelerators in one world, Compute Engine and Cloud TPU; neither knows what the other has."""

from __future__ import annotations

from collections.abc import Mapping

from accel_ci_sim.world import gce_sky, tpu_sky
from accel_ci_sim.world.dice import Dice
from accel_ci_sim.world.gce_sky import GceSky
from accel_ci_sim.world.ledger import Ledger
from accel_ci_sim.world.machine import Machine
from accel_ci_sim.world.schedule import Schedule
from accel_ci_sim.world.tpu_sky import TpuSky
from accel_ci_sim.world.weather import Weather


class GoogleSky:
    """What `world.cloud.Cloud` is for other clouds; the weather's `service` says which of the two are in use."""

    def __init__(self, schedule: Schedule, weather: Weather, stream: Dice, ledger: Ledger) -> None:
        self.weather = weather
        self.gce = GceSky(schedule, weather, stream, ledger)
        self.tpu = TpuSky(schedule, weather, stream, ledger)

    @property
    def base(self) -> str:
        """How the handles of machines begin, where a client has a choice."""
        return gce_sky.BASE if self.weather.service in ("gce", "auto") else tpu_sky.BASE

    def get(self, zone: str, name: str) -> Machine | None:
        """The machine of that name as it is now."""
        # A try has a name of its own, so that only one of them can have it.
        return self.gce.get(zone, name) or self.tpu.get(zone, name)

    def annotate(self, zone: str, name: str, labels: Mapping[str, str]) -> None:
        """Add labels to a living machine."""
        self.gce.annotate(zone, name, labels)
        self.tpu.annotate(zone, name, labels)
