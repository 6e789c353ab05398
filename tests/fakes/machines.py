"""A cloud in memory: each zone follows a script, and time is the fake clock's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from accel_ci.domain import lease as leases
from accel_ci.domain.errors import AccelError, BootError, CloudError, ConfigurationError, TransientError
from accel_ci.domain.lease import Lease, Owner
from accel_ci.domain.machine import Candidate, Capabilities, Creation, Machine, MachineSpec, State, Worker
from accel_ci.domain.runkey import RunKey
from accel_ci.ports.clock import Clock

LIFETIME_LIMIT = "lifetime limit reached"
SPEC = MachineSpec(backend="fake", accelerator="v6e-1")


@dataclass(frozen=True, kw_only=True)
class Script:
    """What becomes of one creation in a zone; without arguments: ready at once, gone at once when released.

    `error` is raised by begin_create, `boot_error` by poll after `boot_s`. With `leaves_machine` an `error` came after
    the machine was made. The first `lost_releases` releases have no effect, and an `immortal` machine never goes.
    """

    error: AccelError | None = None
    leaves_machine: bool = False
    boot_s: float = 0.0
    boot_error: AccelError | None = None
    interrupted_after_s: float = float("inf")
    interruption: str = "preempted"
    release_s: float = 0.0
    lost_releases: int = 0
    immortal: bool = False


@dataclass
class Entry:
    """One machine that was made, and what happened to it."""

    machine: Machine
    script: Script
    created_at: float
    native: bool
    release_at: float | None = None
    lost: int = 0

    def gone_at(self) -> float:
        """When it ends, by whatever comes first."""
        if self.script.immortal:
            return float("inf")
        released = float("inf") if self.release_at is None else self.release_at + self.script.release_s
        return min(released, self.expires_at(), self.interrupted_at())

    def expires_at(self) -> float:
        """When the cloud ends it by itself."""
        return (leases.expires_at(self.machine.labels) or float("inf")) if self.native else float("inf")

    def interrupted_at(self) -> float:
        """When the cloud takes it away."""
        return self.created_at + self.script.interrupted_after_s

    def state(self, now: float) -> State:
        """Where it is at that time."""
        if now >= self.gone_at():
            return State.GONE
        if self.release_at is not None:
            return State.RELEASING
        if now < self.created_at + self.script.boot_s:
            return State.CREATING
        return State.READY if self.script.boot_error is None else State.FAILED

    def seen(self, now: float) -> Machine:
        """The machine as a caller sees it at that time."""
        return replace(self.machine, state=self.state(now))


class FakeMachines:
    """Zones are tried in the order of `zones`. A list of scripts serves one creation each, its last one all further.

    `calls` holds (method, name or zone) of every call; `fail` makes the next calls of a method raise.
    """

    def __init__(
        self,
        clock: Clock,
        zones: Mapping[str, Script | Sequence[Script]] | None = None,
        *,
        native_lifetime_limit: bool = True,
        listing_lag_s: float = 0.0,
    ) -> None:
        self.calls: list[tuple[str, str]] = []
        self.joined: list[tuple[str, str]] = []
        self._clock = clock
        self._zones = {zone: _queue(scripts) for zone, scripts in (zones or {"zone-a": Script()}).items()}
        self._native = native_lifetime_limit
        self.extendable = True
        self._listing_lag_s = listing_lag_s
        self._entries: dict[str, Entry] = {}
        self._failures: dict[str, list[AccelError]] = {}

    def fail(self, method: str, error: AccelError, *, times: int = 1) -> None:
        """Let the next `times` calls of the method raise the error, without any effect."""
        self._failures.setdefault(method, []).extend([error] * times)

    def living(self) -> list[str]:
        """The handles of the machines that exist now, whatever a listing shows: the truth."""
        return [handle for handle, entry in self._entries.items() if entry.state(self._clock.now()) is not State.GONE]

    def interrupt(self, handle: str, why: str = "preempted") -> None:
        """The cloud takes the machine away now."""
        entry = self._entries[handle]
        after_s = self._clock.now() - entry.created_at
        entry.script = replace(entry.script, interrupted_after_s=after_s, interruption=why)

    def lose_labels(self, handle: str) -> None:
        """Somebody removes every label of the machine."""
        self._entries[handle].machine = replace(self._entries[handle].machine, labels={})

    def capabilities(self, handle: str = "") -> Capabilities:
        """As the constructor was told."""
        return Capabilities(
            native_lifetime_limit=self._native, zones=True, extendable=self.extendable, max_lateness_s=0.0
        )

    def candidates(self, spec: MachineSpec) -> Sequence[Candidate]:
        """One per zone, at a dollar an hour."""
        self._called("candidates", spec.accelerator)
        return [Candidate(zone=zone, spot=spec.spot, dollars_per_hour=1.0) for zone in self._zones]

    def begin_create(self, spec: MachineSpec, lease: Lease, candidate: Candidate, *, public_key: str) -> Creation:
        """Begin what the zone's script says, or adopt."""
        self._called("begin_create", candidate.zone)
        handle = f"fake://{candidate.zone}/{lease.key.name}"
        entry = self._living(handle)
        if entry is None:
            scripts = self._zones[candidate.zone]
            script = scripts.pop(0) if len(scripts) > 1 else scripts[0]
            if script.error is None or script.leaves_machine:
                self._entries[handle] = self._entry(spec, lease, candidate, script=script)
            if script.error is not None:
                raise script.error
        elif entry.state(self._clock.now()) is State.RELEASING:
            raise TransientError(f"{handle} is still ending")
        elif not lease.labels().items() <= entry.machine.labels.items():
            raise ConfigurationError(f"{handle} belongs to another lease")
        return Creation(handle=handle, stage="creating")

    def poll(self, creation: Creation) -> Creation:
        """Ready after the script's `boot_s`."""
        self._called("poll", creation.handle)
        entry = self._living(creation.handle)
        if entry is None:
            raise BootError(f"{creation.handle} is gone: {self._interruption(creation.handle) or 'released'}")
        machine = entry.seen(self._clock.now())
        if machine.state is State.FAILED and entry.script.boot_error is not None:
            raise entry.script.boot_error
        if machine.state is State.RELEASING:
            raise BootError(f"{creation.handle} is being released")
        ready = machine if machine.state is State.READY else None
        return Creation(handle=creation.handle, stage="ready" if ready else "booting", machine=ready)

    def find(self, key: RunKey, zones: Sequence[str]) -> list[Machine]:
        """By name, in the zones (all zones when none is named)."""
        self._called("find", key.name)
        return [each for each in self._seen() if each.name == key.name and (not zones or each.zone in zones)]

    def list_owned(self, owner: Owner) -> list[Machine]:
        """By label, but for machines younger than the listing's lag."""
        self._called("list_owned", str(owner.run_id))
        listed = self._clock.now() - self._listing_lag_s
        return [
            each
            for each in self._seen()
            if owner.owns(each.name, each.labels) and self._entries[each.handle].created_at <= listed
        ]

    def release(self, handle: str) -> None:
        """Begin to end it, unless the script loses the request."""
        self._called("release", handle)
        entry = self._living(handle)
        if entry is None or entry.release_at is not None:
            return
        if entry.lost < entry.script.lost_releases:
            entry.lost += 1
        else:
            entry.release_at = self._clock.now()

    def released(self, handle: str) -> bool:
        """True once it is gone."""
        self._called("released", handle)
        return self._living(handle) is None

    def release_command(self, handle: str) -> str:
        """A command of no cloud."""
        return f"fake-cloud delete {handle}"

    def handles(self, key: RunKey, zones: Sequence[str]) -> Sequence[str]:
        """One for each zone."""
        return [f"fake://{zone}/{key.name}" for zone in zones or self._zones]

    def search_commands(self, owner: Owner) -> Sequence[str]:
        """A command of no cloud."""
        return [f"fake-cloud delete --run {owner.run_id}"]

    def annotate(self, handle: str, name: str, value: str) -> None:
        """Set the label."""
        self._called("annotate", handle)
        entry = self._living(handle)
        if entry is None:
            raise CloudError(f"{handle} is gone")
        entry.machine = replace(entry.machine, labels={**entry.machine.labels, name: value})

    def join(self, machine: Machine, *, public_key: str, root: str) -> Machine:
        """Let the key in."""
        self._called("join", machine.handle)
        if self._living(machine.handle) is None:
            raise BootError(f"{machine.handle} is gone")
        self.joined.append((machine.handle, public_key))
        return replace(machine, root=root)

    def console_tail(self, handle: str) -> str:
        """One line."""
        self._called("console_tail", handle)
        return "fake console\n" if handle in self._entries else ""

    def interruption(self, handle: str) -> str:
        """Why the cloud ended it."""
        self._called("interruption", handle)
        return self._interruption(handle)

    def _interruption(self, handle: str) -> str:
        entry = self._entries.get(handle)
        if entry is None or self._clock.now() < entry.gone_at():
            return ""
        if entry.gone_at() == entry.interrupted_at():
            return entry.script.interruption
        return LIFETIME_LIMIT if entry.gone_at() == entry.expires_at() else ""

    def _entry(self, spec: MachineSpec, lease: Lease, candidate: Candidate, *, script: Script) -> Entry:
        name = lease.key.name
        workers = tuple(Worker(index=n, address=f"{name}-w{n}", host_keys=(f"key-{n}",)) for n in range(spec.workers))
        machine = Machine(
            handle=f"fake://{candidate.zone}/{name}",
            name=name,
            zone=candidate.zone,
            accelerator=spec.accelerator,
            spot=candidate.spot,
            state=State.CREATING,
            workers=workers,
            labels=lease.labels(),
        )
        return Entry(machine=machine, script=script, created_at=self._clock.now(), native=self._native)

    def _living(self, handle: str) -> Entry | None:
        entry = self._entries.get(handle)
        return None if entry is None or entry.state(self._clock.now()) is State.GONE else entry

    def _seen(self) -> list[Machine]:
        return [self._entries[handle].seen(self._clock.now()) for handle in self.living()]

    def _called(self, method: str, what: str) -> None:
        self.calls.append((method, what))
        if self._failures.get(method):
            raise self._failures[method].pop(0)


def _queue(scripts: Script | Sequence[Script]) -> list[Script]:
    return [scripts] if isinstance(scripts, Script) else list(scripts)
