"""The machines port over the simulated cloud: what an honest adapter does with what such a cloud answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from accel_ci.adapters import google_machines
from accel_ci.domain import errors, machine
from accel_ci.domain.lease import Lease, Owner
from accel_ci.domain.machine import Candidate, Capabilities, Creation, MachineSpec
from accel_ci.domain.runkey import RunKey
from accel_ci_sim.direct import handles
from accel_ci_sim.direct.process import Process
from accel_ci_sim.world import cloud
from accel_ci_sim.world.cloud import Cloud
from accel_ci_sim.world.machine import Machine, Request, State
from accel_ci_sim.world.weather import LATENESS_S

DOLLARS = 1.35


class Machines:
    """The backend of one process."""

    def __init__(self, process: Process, sky: Cloud) -> None:
        self._process = process
        self._cloud = sky

    def capabilities(self, handle: str = "") -> Capabilities:
        """With or without a native limit, as the world's cloud has it."""
        return Capabilities(
            native_lifetime_limit=self._cloud.weather.native_limit, zones=True, max_lateness_s=LATENESS_S
        )

    def candidates(self, spec: MachineSpec) -> Sequence[Candidate]:
        """The zones asked for; spot everywhere first."""
        return [Candidate(zone=zone, spot=spec.spot, dollars_per_hour=DOLLARS) for zone in spec.zones]

    def begin_create(self, spec: MachineSpec, lease: Lease, candidate: Candidate, *, public_key: str) -> Creation:
        """See ports.machines.Machines."""
        native = self._cloud.weather.native_limit
        request = Request(
            name=lease.key.name,
            zone=candidate.zone,
            spot=candidate.spot,
            workers=spec.workers,
            labels=lease.labels(),
            request_id=google_machines.request_id(lease, candidate.zone),
            ends_at=lease.expires_at if native else None,
            asker=self._process.run,
        )
        return Creation(handle=handles.of(self._created(request)), stage="creating")

    def poll(self, creation: Creation) -> Creation:
        """See ports.machines.Machines."""
        there = self._last(creation.handle)
        if there is None or there.state in (State.GONE, State.RELEASING):
            why = self.interruption(creation.handle) or "somebody released it"
            raise errors.BootError(f"{creation.handle} ended before it was used: {why}")
        if there.state is State.FAILED:
            kind = errors.NoCapacityError if there.stockout else errors.BootError
            raise kind(f"{creation.handle} failed: {there.interruption or 'no capacity after all'}")
        ready = of_world(there) if there.state is State.READY else None
        return Creation(handle=creation.handle, stage=there.state.value, machine=ready)

    def find(self, key: RunKey, zones: Sequence[str]) -> list[machine.Machine]:
        """See ports.machines.Machines; no zones mean all."""
        found = [self._cloud.get(zone, key.name) for zone in zones or self._cloud.weather.zones]
        return [of_world(each) for each in found if each is not None]

    def list_owned(self, owner: Owner) -> list[machine.Machine]:
        """See ports.machines.Machines. Stale, as listings are."""
        if self._process.listed_at is None and owner.run_id is not None:
            self._process.listed_at = self._process.scene.schedule.now
        owned = [
            of_world(each, state) for each, state in self._cloud.listed() if owner.owns(each.request.name, each.labels)
        ]
        if owner.run_id is not None:  # what a sweep beside provision sees is not this run's to end
            self._process.listed.update(each.handle for each in owned)
        return owned

    def release(self, handle: str) -> None:
        """See ports.machines.Machines."""
        there = self._last(handle)
        # What is ending already is no deed of this process.
        if there is not None and there.alive and there.state is not State.RELEASING:
            self._process.judge.releases(self._process, there)
            self._cloud.release(*there.place)

    def released(self, handle: str) -> bool:
        """See ports.machines.Machines."""
        return self._cloud.get(*handles.place(handle)) is None

    def release_command(self, handle: str) -> str:
        """A command for people."""
        return f"sim delete {handle}"

    def handles(self, key: RunKey, zones: Sequence[str]) -> Sequence[str]:
        """See ports.machines.Machines."""
        return [f"sim://{zone}/{key.name}" for zone in zones or self._cloud.weather.zones]

    def search_commands(self, owner: Owner) -> Sequence[str]:
        """A command for people."""
        return [f"sim delete --run {owner.run_id}"]

    def annotate(self, handle: str, name: str, value: str) -> None:
        """See ports.machines.Machines."""
        self._cloud.annotate(*handles.place(handle), {name: value})

    def join(self, machine: machine.Machine, *, public_key: str, root: str) -> machine.Machine:
        """See ports.machines.Machines."""
        there = self._cloud.get(*handles.place(machine.handle))
        if there is None:
            raise errors.BootError(f"{machine.handle} ended before it was used")
        known, scene = there.keys or [handles.key(there.request.asker)], self._process.scene
        handles.let_in(there, [*known, public_key], now=scene.schedule.now, stream=scene.dice)
        return replace(machine, root=root)

    def console_tail(self, handle: str) -> str:
        """Nothing."""
        return ""

    def interruption(self, handle: str) -> str:
        """See ports.machines.Machines."""
        there = self._last(handle)
        return there.interruption if there is not None else ""

    def _created(self, request: Request) -> Machine:
        try:
            there = self._cloud.create(request)
        except cloud.StockoutError as error:
            raise errors.NoCapacityError(str(error)) from error
        except cloud.QuotaExceededError as error:
            raise errors.QuotaError(str(error)) from error
        except cloud.AlreadyExistsError as error:
            there = error.machine
        return adopted(there, request.labels)

    def _last(self, handle: str) -> Machine | None:
        return self._cloud.last(*handles.place(handle))


def adopted(there: Machine, labels: Mapping[str, str]) -> Machine:
    """The machine, if it is the one asked for: all of its labels are ours. Raises when it is not, or is ending."""
    if there.state is State.RELEASING:
        raise errors.TransientError(f"an earlier machine {there.request.name} is still ending")
    # More labels are fine: somebody may have kept it meanwhile.
    if not labels.items() <= there.labels.items():
        raise errors.ConfigurationError(f"a machine {there.request.name} exists that belongs to another lease")
    return there


def of_world(there: Machine, state: State | None = None) -> machine.Machine:
    """The machine in accel-ci's words."""
    request = there.request
    return machine.Machine(
        handle=handles.of(there),
        name=request.name,
        zone=request.zone,
        accelerator="sim-1",
        spot=request.spot,
        state=machine.State((state or there.state).value),
        workers=tuple(
            machine.Worker(index=each.index, address=handles.address(there, each.index)) for each in there.workers
        ),
        labels=there.labels,
    )
