"""Where simulated nodes run: on this computer, each worker at a loopback address of its own."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

from accel_ci_sim.wire import processes
from accel_ci_sim.wire.loopback import Addresses
from accel_ci_sim.wire.machine import Machine
from accel_ci_sim.world.tpu_node import Node, TpuWorker


class LoopbackHosts:
    """The machines of all nodes, in one directory. `failed` hears why machines could not be turned on."""

    def __init__(self, addresses: Addresses, directory: Path, *, path: str, failed: Callable[[str], None]) -> None:
        self._addresses = addresses
        self._directory = directory
        self._path = path
        self._failed = failed
        self._machines: dict[Node, list[Machine]] = {}
        self._starting: dict[Node, asyncio.Task[None]] = {}
        self._clearing: set[asyncio.Task[None]] = set()

    def start(self, node: Node, up: Callable[[], None]) -> None:
        """Turn the node's machines on, and call `up` once all can be reached."""
        if node not in self._machines:
            node.workers = [TpuWorker(index) for index in range(node.kind.hosts)]
            self._machines[node] = [
                Machine(node, worker, self._place(node) / f"w{worker.index}", path=self._path)
                for worker in node.workers
            ]
        self._starting[node] = asyncio.create_task(self._start(node, up))

    def stop(self, node: Node) -> None:
        """Turn them off and kill what runs there."""
        starting = self._starting.pop(node, None)
        if starting is not None:
            starting.cancel()
        for machine in self._machines.get(node, ()):
            machine.power_off()
        if node in self._machines:
            processes.end(self._place(node))

    def discard(self, node: Node) -> None:
        """Forget their directories: gone at once for everybody, from the disk soon."""
        place = self._place(node)
        if self._machines.pop(node, None) is None or not place.exists():
            return
        wreck = place.rename(place.with_name(f".{place.name}"))
        clearing = asyncio.create_task(asyncio.to_thread(shutil.rmtree, wreck, ignore_errors=True))
        self._clearing.add(clearing)
        clearing.add_done_callback(self._clearing.discard)

    async def close(self) -> None:
        """Turn everything off and leave nothing."""
        for node in list(self._machines):
            self.stop(node)
        await asyncio.gather(*self._clearing)
        await asyncio.to_thread(shutil.rmtree, self._directory, ignore_errors=True)

    async def _start(self, node: Node, up: Callable[[], None]) -> None:
        try:
            await asyncio.gather(
                *(machine.power_on(self._addresses.take(), self._addresses.port) for machine in self._machines[node])
            )
        except OSError as error:
            self._failed(f"{node.name} cannot be turned on: {error}")
        else:
            up()

    def _place(self, node: Node) -> Path:
        return self._directory / f"{node.name.rpartition('/')[2]}-{node.number % (1 << 32):08x}"
