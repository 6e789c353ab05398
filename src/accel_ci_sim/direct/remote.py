"""The remote port over the simulated workers."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Mapping, Sequence

from accel_ci.domain import errors, verdict
from accel_ci.domain.doors import Tried
from accel_ci.domain.machine import Machine
from accel_ci.domain.verdict import EndRecord
from accel_ci.domain.workload import Caps, Fetched, Package, Phase, Unpacked
from accel_ci.ports.remote import Base, Beat, Ended, Event, Lost, Output, Quiet
from accel_ci_sim.direct import files, handles
from accel_ci_sim.direct.files import Files
from accel_ci_sim.direct.process import Process
from accel_ci_sim.world.machine import Machine as World
from accel_ci_sim.world.worker import NEVER, End, Limits, Running, Worker

CONNECT_S = 5.0  # until a connection to a dead host is given up
FORGED_NONCE = "0" * 32
OWN = "accel-ci"  # the directory of the job that leased


class Remote:
    """Connections of one process to the workers of machines."""

    def __init__(self, process: Process, into: Files) -> None:
        self._process = process
        self._files = into
        self._schedule = process.scene.schedule

    def prepare(self, machine: Machine) -> list[Tried]:
        """See ports.remote.Remote."""
        for worker in self._workers(machine):
            worker.prepared.add(machine.root)
        return [Tried(worker=worker.index) for worker in self._workers(machine)]

    def put(self, machine: Machine, package: Package) -> Unpacked:
        """See ports.remote.Remote."""
        for worker in self._workers(machine):
            if machine.root not in worker.prepared:
                raise errors.CloudError(f"w{worker.index} has no courier")
            worker.sources[machine.root] = package.sha
        return Unpacked(sha=package.sha or "")

    def start(self, machine: Machine, phase: Phase) -> None:
        """See ports.remote.Remote."""
        for worker in self._workers(machine):
            source = worker.sources.get(machine.root)
            if source is None:
                raise errors.CloudError(f"w{worker.index} has no source")
            self._process.judge.public.starts(self._process.run, source)
            there = worker.phases.get(_place(machine, phase.name))
            if there is None:
                self._start(machine, worker, phase)
            # Nobody may take over another run's phase, and its verdict with it.
            elif (there.key, there.nonce) != (phase.key, phase.nonce):
                raise errors.CloudError(f"w{worker.index} refuses: the phase was started by somebody else")

    def attach(self, machine: Machine, phase: Phase, offsets: Mapping[int, int]) -> Generator[Event, None, None]:
        """See ports.remote.Remote."""
        # ssh gives up slowly: a dead host does not refuse, it says nothing.
        if not self._reachable(machine):
            self._process.pause(CONNECT_S)
            yield from [Lost(index, "no route to host (simulated)") for index in offsets]
            return
        workers = {worker.index: worker for worker in self._workers(machine)}
        reached = dict(offsets)
        following = {index: workers[index].phases.get(_place(machine, phase.name)) for index in offsets}
        for running in filter(None, following.values()):
            self._process.attach(running)
        try:
            yield from self._follow(machine, following, reached)
        finally:
            for running in filter(None, following.values()):
                self._process.detach(running)

    def stop(self, machine: Machine, phase: Phase, workers: Sequence[int]) -> None:
        """See ports.remote.Remote."""
        for worker in self._workers(machine):
            running = worker.phases.get(_place(machine, phase.name))
            if worker.index in workers and running is not None:
                running.stop(self._schedule.now)

    def get(
        self, machine: Machine, patterns: Sequence[str], *, caps: Caps, into: str, base: Base = Base.SOURCE
    ) -> list[Fetched]:
        """See ports.remote.Remote: each worker has one artifact, and a results file when its script says so."""
        del patterns, caps
        found = []
        for worker in self._workers(machine):
            content = _results(machine, worker) if base is Base.RESULTS else b"weights\n"
            if content:
                name = f"w{worker.index}/{base.value}-1"
                self._files.documents[f"{files.inside(into)}/{name}"] = content
                found.append(_fetched(worker.index, name, content))
        return found

    def public_key(self) -> str:
        """The job's own."""
        return handles.key(self._process.run)

    def _start(self, machine: Machine, worker: Worker, phase: Phase) -> None:
        now, scripts = self._schedule.now, worker.scripts
        if machine.root != OWN:  # the commands of a job that joined are its own
            scripts = dict(self._process.scene.runs[self._process.run].plan.scripts[worker.index])
        worker.phases[_place(machine, phase.name)] = Running(
            key=phase.key,
            nonce=phase.nonce,
            phase=phase.name,
            script=scripts[phase.name],
            limits=Limits(
                limit_s=phase.limit_s,
                grace_s=phase.grace_s,
                unattended_s=phase.unattended_s,
                lease_expires_at=phase.lease_expires_at,
            ),
            started_at=now,
            attended_at=now,
        )

    def _follow(
        self, machine: Machine, following: dict[int, Running | None], offsets: dict[int, int]
    ) -> Generator[Event, None, None]:
        quiet = 0
        while following:
            events = self._news(machine, following, offsets)
            yield from events
            if events:
                quiet = 0
                continue
            self._process.pause(self._until_news(following, offsets))
            # Beats tell that the connection stands while the command says nothing.
            quiet += 1
            yield from [Beat(index) for index in following] if quiet % 4 == 0 else [Quiet()]

    def _news(self, machine: Machine, following: dict[int, Running | None], offsets: dict[int, int]) -> list[Event]:
        now, news = self._schedule.now, list[Event]()
        for index, running in list(following.items()):
            if not self._reachable(machine):
                news.append(Lost(index, "connection closed by the machine (simulated)"))
            elif running is None:
                news.append(Ended(index, None, "the phase was never started"))
            else:
                running.settle(now)
                # From the offset that the client has: after a break nothing is lost or doubled.
                fresh = running.written(now)[offsets[index] :]
                if fresh:
                    news.append(Output(index, offsets[index], fresh))
                    offsets[index] += len(fresh)
                if not running.over:
                    continue
                news.append(_ended(index, running))
            del following[index]
        return news

    def _until_news(self, following: dict[int, Running | None], offsets: dict[int, int]) -> float:
        now = self._schedule.now
        changes = [
            min(running.changes_at(), running.next_output_at(offsets[index]))
            for index, running in following.items()
            if running is not None
        ]
        return min(1.0, max(0.001, min(changes, default=now) - now))

    def _workers(self, machine: Machine) -> list[Worker]:
        if not self._reachable(machine):
            self._process.pause(CONNECT_S)
            raise errors.ConnectionLostError(f"{machine.name}: no route to host (simulated)")
        there = self._process.scene.cloud.get(*handles.place(machine.handle))
        assert there is not None
        return there.workers

    def _reachable(self, machine: Machine) -> bool:
        there = self._process.scene.cloud.get(*handles.place(machine.handle))
        return (
            there is not None
            and there.reachable(self._schedule.now)
            and self._let_in(there)
            # A later machine of that name is not the one that was leased.
            and handles.address(there, 0) == machine.workers[0].address
        )

    def _let_in(self, there: World) -> bool:
        if there.keys is None:
            return there.request.asker == self._process.run
        return there.keys.get(self.public_key(), NEVER) <= self._schedule.now


def _place(machine: Machine, phase: str) -> str:
    """Where the phase is on a worker: whoever shares a machine has a directory of their own."""
    return phase if machine.root == OWN else f"{machine.root}/{phase}"


def _ended(index: int, running: Running) -> Ended:
    if running.end is None:
        return Ended(index, None, "the supervisor is gone (simulated)")
    return Ended(index, _record(running.end, forged=running.script.forges))


def _record(end: End, *, forged: bool) -> EndRecord:
    """The end record as the machine sends it; a hostile command can replace it, but does not know the nonce."""
    return EndRecord(
        key=end.key,
        # The nonce is handed to the supervisor alone: what runs as another user cannot read it.
        nonce=FORGED_NONCE if forged else end.nonce,
        phase=end.phase,
        reason=verdict.Reason.EXITED if forged else verdict.Reason(end.reason),
        exit_code=0 if forged else end.exit_code,
        signal=None if forged else end.signal,
        started_at=end.started_at,
        ended_at=end.ended_at,
        output_bytes=end.output_bytes,
    )


def _results(machine: Machine, worker: Worker) -> bytes:
    running = worker.phases.get(_place(machine, "run"))
    return running.script.results if running is not None else b""


def _fetched(worker: int, name: str, content: bytes) -> Fetched:
    return Fetched(
        worker=worker,
        name=name,
        path=name,
        size_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
    )
