"""A cloud that rents machines, with what real clouds do: it lags, fails, sticks, preempts and runs out."""

from __future__ import annotations

from collections.abc import Mapping

from accel_ci_sim.world import dice
from accel_ci_sim.world.dice import Dice
from accel_ci_sim.world.ledger import Ledger
from accel_ci_sim.world.machine import TAKEN, Machine, Request, State
from accel_ci_sim.world.schedule import Schedule
from accel_ci_sim.world.weather import LATENESS_S, LONGEST_RELEASE_S, Weather

LANDS_WITHIN_S = 40.0


class StockoutError(Exception):
    """The zone has none now."""


class QuotaExceededError(Exception):
    """The region's quota is used up."""


class AlreadyExistsError(Exception):
    """409: a machine of that name is there."""

    def __init__(self, machine: Machine) -> None:
        super().__init__(machine.request.name)
        self.machine = machine


class Cloud:
    """Its machines by place; the `ledger` hears of every change."""

    def __init__(self, schedule: Schedule, weather: Weather, stream: Dice, ledger: Ledger) -> None:
        self.weather = weather
        self.ledger = ledger
        self.base = "sim://"
        self._schedule = schedule
        self._dice = stream
        self._hear = ledger.hear
        self._by_place: dict[tuple[str, str], Machine] = {}
        self._requests: dict[str, Machine] = {}

    def create(self, request: Request) -> Machine:
        """The machine, just landed. A request seen before is answered as before, if this cloud remembers requests."""
        known = self._requests.get(request.request_id)
        if known is not None:
            return known
        there = self.get(request.zone, request.name)
        if there is not None:
            raise AlreadyExistsError(there)
        if self._used(request) >= self.weather.quota:
            raise QuotaExceededError(f"quota of {self.weather.quota} in the region of {request.zone}")
        if request.zone in self.weather.empty or dice.chance(self._dice, self.weather.stockout):
            if dice.chance(self._dice, self.weather.lands_anyway):
                self._schedule.after(self._dice.uniform(0.1, LANDS_WITHIN_S), lambda: self.land_late(request))
            raise StockoutError(f"no capacity in {request.zone}")
        return self._land(request)

    def land_late(self, request: Request) -> None:
        """A request that everybody believes dead takes effect after all, if it still can."""
        if request.request_id not in self._requests and self.get(request.zone, request.name) is None:
            self.ledger.late = True
            self._land(request)
            self.ledger.late = False

    def get(self, zone: str, name: str) -> Machine | None:
        """The machine of that name as it is now, None when there is none: looking up by name never lags."""
        machine = self._by_place.get((zone, name))
        return machine if machine is not None and machine.alive else None

    def last(self, zone: str, name: str) -> Machine | None:
        """The latest machine of that name, gone or not."""
        return self._by_place.get((zone, name))

    def listed(self) -> list[tuple[Machine, State]]:
        """What a listing shows now: new machines are missing and ended ones are shown for a moment."""
        now, lag = self._schedule.now, self.weather.listing_lag_s
        return [
            # A stale listing shows what is gone as if it still ran.
            (machine, machine.state if machine.alive else State.READY)
            for machine in self.ledger.machines
            if machine.visible_at <= now and (machine.gone_at is None or machine.gone_at + lag > now)
        ]

    def release(self, zone: str, name: str) -> None:
        """Begin to end the machine; nothing happens when it is gone or ending already."""
        machine = self.get(zone, name)
        # Idempotent, as our port asks of backends.
        if machine is None or machine.state is State.RELEASING:
            return
        before, machine.state = machine.state, State.RELEASING
        machine.kill_workers(self._schedule.now)
        self._hear(machine, "releasing")
        seconds = self._dice.uniform(*self.weather.release_s)
        if dice.chance(self._dice, self.weather.sticks):
            seconds = self._dice.uniform(30.0, LONGEST_RELEASE_S)
        # Once only: a cloud that never deletes wins against everybody.
        if not machine.refusals and dice.chance(self._dice, self.weather.refuses_release):
            machine.refusals += 1
            self._schedule.after(seconds, lambda: self._refuse(machine, before))
        else:
            self._schedule.after(seconds, lambda: self.ledger.end(machine, ""))

    def annotate(self, zone: str, name: str, labels: Mapping[str, str]) -> None:
        """Add labels to a living machine."""
        machine = self.get(zone, name)
        if machine is not None:
            self.ledger.keep(machine, labels)

    def _used(self, request: Request) -> int:
        # Quotas are counted by region, and for spot apart.
        region = request.zone.rsplit("-", 1)[0]
        return sum(
            machine.alive and machine.request.zone.startswith(region) and machine.request.spot == request.spot
            for machine in self.ledger.machines
        )

    def _land(self, request: Request) -> Machine:
        weather = self.weather
        machine = self.ledger.enter(
            request,
            boot_s=None if dice.chance(self._dice, weather.hangs) else self._dice.uniform(*weather.boot_s),
            stockout=dice.chance(self._dice, weather.late_stockout),
            hidden_s=self._dice.uniform(0.0, weather.listing_lag_s),
        )
        self._by_place[machine.place] = machine
        # Clouds forget request ids at some time: then the same id makes a second machine.
        if weather.remembers:
            self._requests[request.request_id] = machine
        self._hear(machine, "landed")
        if machine.boot_s is not None:
            self._schedule.after(machine.boot_s, lambda: self._booted(machine))
        if request.ends_at is not None:
            late = self._dice.uniform(0.0, LATENESS_S)
            self._schedule.at(request.ends_at + late, lambda: self.ledger.end(machine, TAKEN))
        return machine

    def _booted(self, machine: Machine) -> None:
        if machine.state is not State.CREATING:
            return
        machine.state = State.FAILED if machine.stockout else State.READY
        machine.ready_at = self._schedule.now
        self._hear(machine, machine.state.value)
        if dice.chance(self._dice, self.weather.preempts):
            self._schedule.after(self._dice.uniform(0.0, 40.0), lambda: self._preempted(machine))

    def _preempted(self, machine: Machine) -> None:
        """Some clouds delete what they preempt, others leave a dead machine that has to be deleted."""
        if machine.state is not State.READY:
            return
        machine.interruption = "preempted"
        machine.kill_workers(self._schedule.now)
        if dice.chance(self._dice, 0.5):
            self.ledger.end(machine, "preempted")
        else:
            machine.state = State.FAILED
            self._hear(machine, "preempted")

    def _refuse(self, machine: Machine, before: State) -> None:
        if machine.state is State.RELEASING:
            machine.state = before
            self._hear(machine, "would not go")
