"""A world of fakes, and what use cases are asked for in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from accel_ci.domain.context import Context
from accel_ci.domain.machine import MachineSpec
from accel_ci.domain.record import Identity, RunRecord, Target
from accel_ci.domain.runkey import RunKey
from accel_ci.domain.workload import CommitSource, Work
from accel_ci.operations.acquire import Order
from accel_ci.ports.world import World
from tests.fakes.clock import FakeClock
from tests.fakes.credentials import FakeCredentials
from tests.fakes.entropy import FakeEntropy
from tests.fakes.files import FakeFiles
from tests.fakes.github import FakeGitHub
from tests.fakes.history import FakeHistory
from tests.fakes.job import FakeJob
from tests.fakes.lanes import FakeLanes
from tests.fakes.machines import FakeMachines
from tests.fakes.remote import FakeRemote
from tests.fakes.sources import FakeSources

SHA = "a" * 40
HERE = Context(repository="org/hello", repository_id=4711, run_id=77, attempt=1, job="tpu", event="push", sha=SHA)
KEY = HERE.key()
WORK = Work(
    source=CommitSource(repository="https://example.org/org/hello", sha=SHA), setup="make deps", run="make test"
)


class Fakes:
    """One fake of each port; `world` is all of them together."""

    def __init__(
        self, scripts: Mapping[str, Any] | None = None, *, zones: Mapping[str, Any] | None = None, **more: Any
    ):
        self.clock = FakeClock()
        self.files = FakeFiles()
        self.job = FakeJob()
        self.machines = FakeMachines(self.clock, zones)
        self.remote = FakeRemote(scripts, clock=self.clock, lands_in=self.files, **more)
        self.sources = FakeSources()
        self.history = FakeHistory()
        self.entropy = FakeEntropy()
        self.lanes = FakeLanes()
        self.github: FakeGitHub | None = None
        self.credentials: FakeCredentials | None = None

    @property
    def world(self) -> World:
        """What use cases are handed."""
        return World(
            machines=self.machines,
            remote=self.remote,
            sources=self.sources,
            job=self.job,
            files=self.files,
            history=self.history,
            clock=self.clock,
            entropy=self.entropy,
            lanes=self.lanes,
            github=self.github,
            credentials=self.credentials,
        )


def order(*, workers: int = 1, ttl_s: float = 3600.0) -> Order:
    """An order for v6e machines that boot within ten minutes."""
    return Order(spec=MachineSpec(backend="fake", accelerator="v6e-1", workers=workers), ttl_s=ttl_s)


def record(key: RunKey = KEY) -> RunRecord:
    """The record of a run that has not begun."""
    identity = Identity(
        name=key.name,
        repository=key.repository,
        repository_id=key.repository_id,
        run_id=key.run_id,
        attempt=key.attempt,
        job=key.job,
        slot=key.slot,
        sha=SHA,
    )
    target = Target(backend="fake", accelerator="v6e-1")
    return RunRecord(accel_ci="test", identity=identity, target=target, started_at=0.0)
