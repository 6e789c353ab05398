"""What a world's clouds let somebody pay for: every machine that ever was, in the order of their landing."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from accel_ci_sim.world.machine import Machine, Request, State
from accel_ci_sim.world.schedule import Schedule
from accel_ci_sim.world.worker import Script, Worker

Scripts = Callable[[Request, int], dict[str, Script]]  # (request, worker) -> phase -> what its command would do
Hear = Callable[[Machine, str], None]


class Ledger:
    """The machines of all clouds of a world; `hear` is told of every change of a machine's state.

    `late`: what lands now was believed dead.
    """

    def __init__(self, schedule: Schedule, *, scripts: Scripts, hear: Hear) -> None:
        self.machines: list[Machine] = []
        self.late = False
        self.hear = hear
        self._schedule = schedule
        self._scripts = scripts

    def alive(self) -> list[Machine]:
        """What costs money or holds quota now."""
        return [machine for machine in self.machines if machine.alive]

    def enter(
        self, request: Request, *, boot_s: float | None = None, stockout: bool = False, hidden_s: float = 0.0
    ) -> Machine:
        """A machine that costs from now on; listings miss it for `hidden_s`. `boot_s` and `stockout`: see Machine."""
        now = self._schedule.now
        machine = Machine(
            request=request,
            serial=len(self.machines) + 1,
            landed_at=now,
            boot_s=boot_s,
            stockout=stockout,
            workers=[Worker(index, self._scripts(request, index)) for index in range(request.workers)],
            visible_at=now + hidden_s,
            labels=dict(request.labels),
        )
        self.machines.append(machine)
        return machine

    def keep(self, machine: Machine, labels: Mapping[str, str]) -> None:
        """Somebody labels the machine, such as to keep it."""
        # When it was kept counts, too: who looked before that could not know.
        machine.labels.update(labels)
        machine.kept_at = self._schedule.now

    def end(self, machine: Machine, why: str = "") -> None:
        """It costs nothing any more; `why` says what took it, unless something had before."""
        # Twice happens: the limit and a delete may come at the same moment.
        if machine.alive:
            machine.kill_workers(self._schedule.now)
            machine.state = State.GONE
            machine.interruption = machine.interruption or why
            machine.gone_at = self._schedule.now
            self.hear(machine, "gone")
