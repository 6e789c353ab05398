"""Where simulated machines run: on this computer, each host at a loopback address of its own."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from accel_ci_sim.wire import processes
from accel_ci_sim.wire.console import Console
from accel_ci_sim.wire.guest import Guest
from accel_ci_sim.wire.loopback import Addresses
from accel_ci_sim.wire.machine import Machine


class Rented(Protocol):
    """A node or an instance: its full name, and a number that no other of that name has."""

    @property
    def name(self) -> str:
        """`projects/...`."""

    @property
    def number(self) -> int:
        """Its id."""


Owner = TypeVar("Owner", bound=Rented)


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What all machines share: addresses, a directory, their PATH. `failed` hears why one could not be turned on."""

    addresses: Addresses
    directory: Path
    path: str
    failed: Callable[[str], None]


class LoopbackHosts(Generic[Owner]):
    """The machines of one service, whose `guests` says what hosts an owner has."""

    def __init__(self, site: Site, guests: Callable[[Owner], Sequence[Guest]]) -> None:
        self._site = site
        self._guests = guests
        self._machines: dict[Owner, list[Machine]] = {}
        self._powered: set[Owner] = set()
        self._coming_back: set[Owner] = set()
        self._starting: dict[Owner, asyncio.Task[None]] = {}
        self._clearing: set[asyncio.Task[None]] = set()

    def assign(self, owner: Owner) -> None:
        """Give the owner's machines addresses, unless they are to come back at theirs; nothing answers there yet."""
        if owner not in self._machines:
            place = self._place(owner)
            self._machines[owner] = [
                Machine(guest, place / f"w{guest.computer.index}", path=self._site.path)
                for guest in self._guests(owner)
            ]
        for machine in self._machines[owner]:
            # A reset keeps the address, a stop gives it back: clients hold connections to it.
            address = machine.address if owner in self._coming_back else self._site.addresses.take()
            machine.power_on(address, self._site.addresses.port)
        self._powered.add(owner)
        self._coming_back.discard(owner)

    def start(self, owner: Owner, up: Callable[[], None]) -> None:
        """Let the owner's machines come up, and call `up` once all can be reached."""
        if owner not in self._powered:
            self.assign(owner)
        self._starting[owner] = asyncio.create_task(self._start(owner, up))

    def stop(self, owner: Owner, *, again: bool = False) -> None:
        """Turn them off and kill what runs there; `again`: they come back at the same addresses."""
        self._powered.discard(owner)
        if again:
            self._coming_back.add(owner)
        starting = self._starting.pop(owner, None)
        # A machine that is deleted while it boots must not come up afterwards.
        if starting is not None:
            starting.cancel()
        for machine in self._machines.get(owner, ()):
            machine.power_off()
        if owner in self._machines:
            processes.end(self._place(owner))

    def discard(self, owner: Owner) -> None:
        """Forget their directories: gone at once for everybody, from the disk soon."""
        place = self._place(owner)
        self._coming_back.discard(owner)
        if self._machines.pop(owner, None) is None or not place.exists():
            return
        # A new machine of the same name may want the place at once; thousands of files take their time.
        wreck = place.rename(place.with_name(f".{place.name}"))
        clearing = asyncio.create_task(asyncio.to_thread(shutil.rmtree, wreck, ignore_errors=True))
        self._clearing.add(clearing)
        clearing.add_done_callback(self._clearing.discard)

    def console(self, owner: Owner) -> Console | None:
        """The serial port of the owner's first machine; None while it was never turned on."""
        machines = self._machines.get(owner)
        return machines[0].console if machines else None

    async def close(self) -> None:
        """Turn everything off and leave nothing."""
        for owner in list(self._machines):
            self.stop(owner)
        await asyncio.gather(*self._clearing)

    async def _start(self, owner: Owner, up: Callable[[], None]) -> None:
        try:
            await asyncio.gather(*(machine.come_up() for machine in self._machines[owner]))
        except OSError as error:
            self._site.failed(f"{owner.name} cannot be turned on: {error}")
        else:
            up()

    def _place(self, owner: Owner) -> Path:
        return self._site.directory / f"{owner.name.rpartition('/')[2]}-{owner.number % (1 << 32):08x}"
