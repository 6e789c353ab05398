"""Workers in memory: each phase follows a script, and everything is delivered in the same order every time."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from accel_ci.domain.doors import Tried
from accel_ci.domain.errors import CloudError, ConnectionLostError
from accel_ci.domain.machine import Machine
from accel_ci.domain.verdict import EndRecord, Reason
from accel_ci.domain.workload import Caps, Fetched, Package, Phase, Unpacked
from accel_ci.ports.clock import Clock
from accel_ci.ports.remote import Base, Beat, Ended, Event, Lost, Output, Quiet
from tests.fakes.clock import FakeClock
from tests.fakes.files import FakeFiles


@dataclass(frozen=True, kw_only=True)
class Script:
    """What a phase does on a worker; without arguments it says nothing and exits 0.

    The attachment breaks once after `lose_after` bytes, with `last_words`; after `dies_after` bytes the worker is never
    heard of again. `never_ends` goes on until it is stopped, or its limit or lease is over. `lasts_s` passes before the end
    is there. `record` replaces the end record; with `no_record` the machine ends without one. `workers` overrides single
    workers.
    """

    output: bytes | Sequence[bytes] = b""
    exit_code: int | None = 0
    signal: int | None = None
    reason: Reason = Reason.EXITED
    detail: str = ""
    dropped_bytes: int = 0
    lasts_s: float = 0.0
    never_ends: bool = False
    lose_after: int | None = None
    last_words: str = "connection reset"
    dies_after: int | None = None
    record: EndRecord | None = None
    no_record: bool = False
    workers: Mapping[int, Script] = field(default_factory=dict)

    def of(self, worker: int) -> Script:
        """The script of that worker."""
        return self.workers.get(worker, self)

    def chunks(self) -> list[bytes]:
        """The output in the pieces in which it is delivered."""
        return [self.output] if isinstance(self.output, bytes) else list(self.output)


@dataclass
class Started:
    """A phase that runs on a worker, or did."""

    phase: Phase
    script: Script
    at: float
    stopped: bool = False
    lost: bool = False
    ended: EndRecord | None = None


class FakeRemote:
    """Remote without machines. `calls` holds what was asked, in order, such as ("start", "run").

    `scripts` maps a phase's name to its Script (an unknown one exits 0). `files` and `results` are what `get` finds on
    every worker below source and results, `worker_files` adds single workers' own. They land on disk, or in `lands_in`.
    `doors` are open on every worker, name -> how; `unpacked` is told of a package beside its commits.
    Workers in `unreachable` raise ConnectionLostError or are Lost; a test may change that set at any time.
    """

    def __init__(
        self,
        scripts: Mapping[str, Script] | None = None,
        *,
        files: Mapping[str, bytes] | None = None,
        results: Mapping[str, bytes] | None = None,
        worker_files: Mapping[int, Mapping[str, bytes]] | None = None,
        unreachable: Sequence[int] = (),
        clock: Clock | None = None,
        lands_in: FakeFiles | None = None,
        public_key: str = "ssh-ed25519 AAAA fake",
    ) -> None:
        self.scripts = dict(scripts or {})
        self.files = dict(files or {})
        self.results = dict(results or {})
        self.worker_files = dict(worker_files or {})
        self.unreachable = set(unreachable)
        self.calls: list[tuple[object, ...]] = []
        self.packages: dict[tuple[str, int], Package] = {}
        self.started: dict[tuple[str, int, str], Started] = {}
        self._prepared: set[tuple[str, int]] = set()
        self.doors: dict[str, str] = {}
        self.unpacked = Unpacked()
        self._clock = clock or FakeClock()
        self._lands_in = lands_in
        self._public_key = public_key

    def prepare(self, machine: Machine) -> list[Tried]:
        """See ports.remote.Remote."""
        self.calls.append(("prepare", machine.name))
        self._reach(machine)
        self._prepared.update((machine.name, worker.index) for worker in machine.workers)
        if machine.is_this_computer:
            return []
        return [Tried(worker=each.index, names=("root", "sudo"), open=dict(self.doors)) for each in machine.workers]

    def put(self, machine: Machine, package: Package) -> Unpacked:
        """See ports.remote.Remote."""
        self.calls.append(("put", package))
        self._reach(machine)
        for worker in machine.workers:
            there = self.packages.setdefault((machine.name, worker.index), package)
            if there.sha != package.sha:
                raise CloudError(f"worker {worker.name} refuses: it has another source")
        merge = "e" * 40 if package.base and not self.unpacked.obstacle else ""
        return replace(self.unpacked, sha=package.sha or "", base=package.base, merge=merge, tree=merge)

    def start(self, machine: Machine, phase: Phase) -> None:
        """See ports.remote.Remote."""
        self.calls.append(("start", phase.name))
        self._reach(machine)
        for worker in machine.workers:
            if (machine.name, worker.index) not in self._prepared:
                raise ConnectionLostError(f"worker {worker.name} ({worker.address}): it was not prepared")
            script = self.scripts.get(phase.name, Script()).of(worker.index)
            started = self.started.setdefault(
                (machine.name, worker.index, phase.name), Started(phase, script, self._clock.now())
            )
            if (started.phase.key, started.phase.nonce) != (phase.key, phase.nonce):
                raise CloudError(f"worker {worker.name} refuses: {phase.name} was started with another key or nonce")

    def attach(self, machine: Machine, phase: Phase, offsets: Mapping[int, int]) -> Generator[Event, None, None]:
        """See ports.remote.Remote."""
        self.calls.append(("attach", phase.name, dict(offsets)))
        streams = [self._stream(machine, phase, worker=worker, offset=offsets[worker]) for worker in offsets]
        while streams:
            events = [next(stream) for stream in streams]
            yield from events
            streams = [
                stream for stream, event in zip(streams, events, strict=True) if not isinstance(event, Ended | Lost)
            ]
            if all(isinstance(event, Beat) for event in events):
                self._clock.sleep(1)
                yield Quiet()

    def stop(self, machine: Machine, phase: Phase, workers: Sequence[int]) -> None:
        """See ports.remote.Remote."""
        self.calls.append(("stop", phase.name, tuple(workers)))
        self._reach(replace(machine, workers=tuple(each for each in machine.workers if each.index in workers)))
        for worker in workers:
            self.started[(machine.name, worker, phase.name)].stopped = True

    def get(
        self, machine: Machine, patterns: Sequence[str], *, caps: Caps, into: str, base: Base = Base.SOURCE
    ) -> list[Fetched]:
        """See ports.remote.Remote."""
        self.calls.append(("get", tuple(patterns), base))
        self._reach(machine)
        common = self.results if base is Base.RESULTS else self.files
        fetched: list[Fetched] = []
        for worker in machine.workers:
            own = self.worker_files.get(worker.index, {}) if base is Base.SOURCE else {}
            there = {**common, **own}
            names = sorted(name for name in there if any(_matches(name, pattern) for pattern in patterns))
            landing = _Landing(worker.index, caps=caps, into=into, lands_in=self._lands_in)
            fetched += [landing.take(name, there[name]) for name in names]
        return fetched

    def public_key(self) -> str:
        """See ports.remote.Remote."""
        return self._public_key

    def _reach(self, machine: Machine) -> None:
        gone = [f"{worker.name} ({worker.address})" for worker in machine.workers if worker.index in self.unreachable]
        if gone:
            raise ConnectionLostError(f"worker {', '.join(gone)}: no route to host")

    def _stream(self, machine: Machine, phase: Phase, *, worker: int, offset: int) -> Iterator[Event]:
        if worker in self.unreachable:
            yield Lost(worker, "no route to host")
            return
        started = self.started.get((machine.name, worker, phase.name))
        if started is None:
            yield Ended(worker, None, f"phase {phase.name} was never started")
            return
        position = 0
        for chunk in started.script.chunks():
            for part in _cut(chunk, at=self._break(started) - position):
                fresh = part[max(0, offset - position) :]
                position += len(part)
                if fresh:
                    yield Output(worker, position - len(fresh), fresh)
                yield from self._loss(started, worker, position=position)
        yield from self._loss(started, worker, position=position)
        while (record := self._end(started)) is None:
            yield Beat(worker)
        yield Ended(worker, None if started.script.no_record else record)

    def _break(self, started: Started) -> int:
        places = [started.script.dies_after, None if started.lost else started.script.lose_after]
        return min((place for place in places if place is not None), default=-1)

    def _loss(self, started: Started, worker: int, *, position: int) -> Iterator[Event]:
        if position == started.script.dies_after:
            self.unreachable.add(worker)
            yield Lost(worker, "no route to host")
        if position == started.script.lose_after and not started.lost:
            started.lost = True
            yield Lost(worker, started.script.last_words)

    def _end(self, started: Started) -> EndRecord | None:
        """The end record, once there is one; it never changes afterwards."""
        reason = self._reason(started)
        if reason is not None and started.ended is None:
            exited = reason is started.script.reason
            started.ended = started.script.record or EndRecord(
                key=started.phase.key,
                nonce=started.phase.nonce,
                phase=started.phase.name,
                reason=reason,
                exit_code=started.script.exit_code if exited else None,
                signal=started.script.signal if exited else 15,
                started_at=started.at,
                ended_at=self._clock.now(),
                output_bytes=sum(map(len, started.script.chunks())),
                output_dropped_bytes=started.script.dropped_bytes,
                detail=started.script.detail,
            )
        return started.ended

    def _reason(self, started: Started) -> Reason | None:
        passed_s = self._clock.now() - started.at
        if passed_s >= started.script.lasts_s and not started.script.never_ends:
            return started.script.reason
        if started.stopped:
            return Reason.CANCELLED
        if passed_s >= started.phase.limit_s:
            return Reason.TIMED_OUT
        return Reason.LEASE_EXPIRED if self._clock.now() >= started.phase.lease_expires_at else None


class _Landing:
    def __init__(self, worker: int, *, caps: Caps, into: str, lands_in: FakeFiles | None) -> None:
        self._worker = worker
        self._caps = caps
        self._left = caps.total_bytes
        self._count = 0
        self._into = into
        self._lands_in = lands_in

    def take(self, name: str, content: bytes) -> Fetched:
        if len(content) > min(self._caps.file_bytes, self._left) or self._count >= self._caps.files:
            return Fetched(worker=self._worker, name=name, refused="beyond the caps")
        self._left -= len(content)
        self._count += 1
        path = (
            f"w{self._worker}/{self._count:04}-{re.sub(r'[^A-Za-z0-9._-]+', '_', os.path.basename(name)).lstrip('.-')}"
        )
        self._write(f"{self._into}/{path}", content)
        digest = hashlib.sha256(content).hexdigest()
        return Fetched(worker=self._worker, name=name, path=path, size_bytes=len(content), sha256=digest)

    def _write(self, path: str, content: bytes) -> None:
        if self._lands_in is None:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            Path(path).write_bytes(content)
        else:
            self._lands_in.write(path.removeprefix(self._lands_in.path("x").removesuffix("x")), content)


def _cut(chunk: bytes, *, at: int) -> list[bytes]:
    return [chunk[:at], chunk[at:]] if 0 < at < len(chunk) else [chunk]


def _matches(name: str, pattern: str) -> bool:
    parts = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    translated = "".join(parts.get(part) or re.escape(part) for part in re.split(r"(\*\*/|\*\*|\*|\?)", pattern))
    return re.fullmatch(translated, name, re.DOTALL) is not None
