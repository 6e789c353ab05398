"""Compute Engine in a world: the model of its API, and a ledger of what costs money there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from accel_ci_sim.world import dice
from accel_ci_sim.world.compute import ComputeCloud
from accel_ci_sim.world.compute_instance import Instance, InstanceStatus
from accel_ci_sim.world.compute_operations import Operation
from accel_ci_sim.world.dice import Dice
from accel_ci_sim.world.ledger import Ledger
from accel_ci_sim.world.machine import TAKEN, Machine, Request, State
from accel_ci_sim.world.schedule import Schedule
from accel_ci_sim.world.tpu_knobs import Knobs
from accel_ci_sim.world.tpu_sky import HOST_KEY, PROJECT, SICK, WELL
from accel_ci_sim.world.weather import LATENESS_S, LONGEST_RELEASE_S, Weather

BASE = f"gce://{PROJECT}/"
GUEST_BOOT_S = (0.2, 4.0)
SILENT_S = (5.0, 40.0, 200.0)
_STATES = {
    InstanceStatus.RUNNING: State.READY,
    InstanceStatus.STOPPING: State.RELEASING,
    InstanceStatus.TERMINATED: State.FAILED,
}
_CAMEL: dict[str, str] = {}


class GceSky:
    """What `world.cloud.Cloud` is for other clouds; the `ledger` gets the instances."""

    def __init__(self, schedule: Schedule, weather: Weather, stream: Dice, ledger: Ledger) -> None:
        self.weather = weather
        self._ledger = ledger
        self._schedule = schedule
        self._dice = stream
        self._asker = ""
        self._silent: list[str] = []
        self._silent_until = 0.0
        self._machines: dict[str, Machine] = {}
        self.compute = ComputeCloud(schedule, self, _knobs(weather, stream))
        self.compute.life.on_turn = self._turned

    def insert(self, zone: str, instance: Mapping[str, Any], *, request_id: str, asker: str) -> Operation:
        """Begin to make an instance for `asker`, whom only the judge knows."""
        self.enter(zone)
        self._asker = asker
        # Google remembers ids for an hour: whoever comes back later gets a 409, and so does everybody in some worlds.
        known_by = request_id if self.weather.remembers else ""
        return self.compute.insert(PROJECT, zone, wire(instance), request_id=known_by)

    def enter(self, zone: str) -> None:
        """RefusedError where the zone does not answer, or changes come too fast."""
        # In this order, as the API's own front does.
        self.compute.enter(PROJECT, zone)
        self.compute.mutate(PROJECT)

    def get(self, zone: str, name: str) -> Machine | None:
        """The instance of that name as it is now."""
        return self._machines.get(path(zone, name))

    def silent(self) -> list[str]:
        """The zones that lists go without now: for a while it is the same one, so that to ask again is no way out."""
        now = self._schedule.now
        if now >= self._silent_until:
            self._silent = [self._dice.choice(self.weather.zones)] if self.compute.partial() else []
            self._silent_until = now + (self._dice.choice(SILENT_S) if self._silent else 0.0)
        return self._silent

    def annotate(self, zone: str, name: str, labels: Mapping[str, str]) -> None:
        """Add labels to a living instance."""
        machine = self.get(zone, name)
        if machine is not None:
            self._ledger.keep(machine, labels)
            self.compute.instance(path(zone, name)).spec["labels"] = dict(machine.labels)

    def assign(self, instance: Instance) -> None:
        """Give it an address; nothing answers there yet."""
        instance.computer.address = f"{self._machines[instance.name].serial}.0.sim"
        # What it told before a restart is not true any more.
        instance.computer.attributes = {}

    def start(self, instance: Instance, up: Callable[[], None]) -> None:
        """It tells its keys and how its accelerators are."""
        instance.computer.attributes = {
            ("hostkeys", "ssh-ed25519"): HOST_KEY,
            ("accel-ci", "health"): SICK if dice.chance(self._dice, self.weather.sick) else WELL,
            ("accel-ci", "stage"): "ready",
        }
        up()

    def stop(self, instance: Instance, *, again: bool = False) -> None:
        """Turn it off."""
        self._machines[instance.name].kill_workers(self._schedule.now)

    def discard(self, instance: Instance) -> None:
        """It is gone, and costs nothing any more."""
        # The name is free again: the next one of that name is another machine.
        self._ledger.end(self._machines.pop(instance.name))

    def _turned(self, instance: Instance) -> None:
        # It costs from its first turn on, whatever its operation says later.
        machine = self._machines.get(instance.name)
        if machine is None:
            machine = self._landed(instance)
        now, ends_at = self._schedule.now, instance.ends_at
        machine.state = _STATES.get(instance.status, State.CREATING)
        if instance.status is InstanceStatus.RUNNING:
            machine.ready_at = now
        elif instance.preempted:
            machine.interruption = "preempted"
        # What a client asked for is marked as `deleting` before it turns.
        elif machine.state is State.RELEASING and not instance.deleting and ends_at is not None and now >= ends_at:
            machine.interruption = TAKEN
        self._ledger.hear(machine, instance.status.value.lower())

    def _landed(self, instance: Instance) -> Machine:
        machine = self._ledger.enter(
            Request(
                name=instance.short_name,
                zone=instance.zone,
                spot=instance.spot,
                workers=1,
                labels=instance.spec["labels"],
                request_id="",
                ends_at=None,
                asker=self._asker,
                base=BASE,
            )
        )
        self._machines[instance.name] = machine
        self._ledger.hear(machine, "landed")
        return machine


def path(zone: str, name: str) -> str:
    """The full name of an instance of the world's project."""
    return f"projects/{PROJECT}/zones/{zone}/instances/{name}"


def wire(value: Any) -> Any:
    """A message as Google's Python library takes it, in the API's own JSON; the keys of labels are the user's."""
    if isinstance(value, Mapping):
        return {_camel(key): dict(each) if key == "labels" else wire(each) for key, each in value.items()}
    return [wire(each) for each in value] if isinstance(value, list) else value


def _camel(name: str) -> str:
    if name not in _CAMEL:
        first, *rest = name.rstrip("_").split("_")  # type_, because `type` is a word of Python
        _CAMEL[name] = first + "".join(map(str.capitalize, rest))
    return _CAMEL[name]


def _knobs(weather: Weather, stream: Dice) -> Knobs:
    """The same weather in this cloud's own terms."""
    return Knobs(
        seed=stream.getrandbits(32),
        boot_s=weather.boot_s,
        guest_boot_s=GUEST_BOOT_S,
        delete_s=weather.release_s,
        stockout={"*": weather.stockout} | dict.fromkeys(weather.empty, 1.0),
        quota={"*": weather.quota},
        quota_at_once=0.5,
        preempt_after_s=stream.uniform(0.0, 40.0) if dice.chance(stream, weather.preempts) else None,
        preempt_notice_s=stream.choice((0.0, 30.0)),
        preempt_creating=weather.late_stockout,
        stuck_deleting=weather.sticks,
        stuck_deleting_s=LONGEST_RELEASE_S,
        boot_hangs=weather.hangs,
        lands_anyway=weather.lands_anyway,
        not_ready=weather.refuses_release,
        partial_lists=weather.partial_lists,
        rate_limited=weather.rate_limited,
        limit_late_s=(0.0, LATENESS_S),
        limit_fails=0.0 if weather.native_limit else 1.0,
        list_lag_s=weather.listing_lag_s,
    )
