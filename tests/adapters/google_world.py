"""What the tests of both Google backends share: a cloud on this computer, the backend over it, and how to wait."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Generic, TypeVar

import pytest

from accel_ci.domain.lease import Lease
from accel_ci.domain.machine import Candidate, Creation, Machine, MachineSpec
from accel_ci.ports.machines import Machines
from tests.servers.tpu_over_http import Document, Scripted

PUBLIC_KEY = "ssh-ed25519 AAAA accel-ci"
POLLS = 50
CloudT = TypeVar("CloudT", bound=Scripted)
MachinesT = TypeVar("MachinesT", bound=Machines)


@dataclass(frozen=True)
class GoogleWorld(Generic[CloudT, MachinesT]):
    """The cloud, the backend that talks to it, and what it is asked for when a test does not say."""

    SPEC: ClassVar[MachineSpec]
    SPOT: ClassVar[Candidate]
    LEASE: ClassVar[Lease]

    cloud: CloudT
    machines: MachinesT
    environment: dict[str, str]

    def begin(self, spec: MachineSpec | None = None, *, candidate: Candidate | None = None) -> Creation:
        """A creation under the usual lease."""
        wanted, place = spec or self.SPEC, candidate or self.SPOT
        return self.machines.begin_create(wanted, self.LEASE, place, public_key=PUBLIC_KEY)

    def wait(self, creation: Creation) -> Machine:
        """The machine, looked for without pausing."""
        for _ in range(POLLS):
            creation = self.machines.poll(creation)
            if creation.machine is not None:
                return creation.machine
        raise AssertionError(f"still {creation.stage}")

    def ready(self, spec: MachineSpec | None = None, *, candidate: Candidate | None = None) -> Machine:
        """A machine under the usual lease."""
        return self.wait(self.begin(spec, candidate=candidate))

    def asked(self, line: str) -> list[Document]:
        """The bodies of the requests with this `METHOD path-end`."""
        method, end = line.split()
        return [each.body for each in self.cloud.requests if each.method == method and each.path.endswith(end)]


@contextmanager
def signed_in(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A file with a token. Repeated reads do not pause."""
    monkeypatch.setattr("accel_ci.adapters.google_calls.PAUSE_S", 0.001)
    (directory / "token").write_text("a-token\n")
    yield str(directory / "token")
