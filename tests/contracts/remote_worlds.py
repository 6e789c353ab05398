"""The worlds in which every implementation of the Remote port must show the same facts."""

from __future__ import annotations

import itertools
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from accel_ci.adapters import ssh
from accel_ci.adapters.local_exec import LocalExec
from accel_ci.adapters.supervised import Deadlines, SupervisedRemote
from accel_ci.adapters.transport import Transport
from accel_ci.domain.machine import Machine, State, Worker
from accel_ci.domain.workload import Phase
from accel_ci.ports.remote import Remote
from tests.fakes.remote import FakeRemote
from tests.servers import sshd
from tests.servers.proxy import Proxy, Serving
from tests.servers.ssh_in_python import PythonSshServer

DEADLINES = Deadlines(call_s=20, transfer_s=60, silence_s=10)
ENVIRONMENT = {
    "PATH": os.pathsep.join((os.path.dirname(sys.executable), "/usr/bin", "/bin")),
    "LC_ALL": "C",
}
_numbers = itertools.count(1)


class World(Protocol):
    """Where a machine with a few workers can be had, and the Remote that reaches it."""

    real: bool

    def remote(self) -> Remote:
        """The implementation; a real one is a SupervisedRemote, which the test closes."""

    def machine(self, workers: int = 1) -> Machine:
        """A machine that nobody used before."""

    def close(self) -> None:
        """End what serves the world."""


def phase(
    command: str,
    *,
    name: str = "run",
    limit_s: float = 60.0,
    grace_s: float = 5.0,
    output_limit_bytes: int = 2**30,
    environment: Mapping[str, str] | None = None,
) -> Phase:
    """A phase with a key and nonce of its own."""
    return Phase(
        name=name,
        command=command,
        key=f"key-{next(_numbers)}",
        nonce="5" * 32,
        limit_s=limit_s,
        grace_s=grace_s,
        lease_expires_at=time.time() + 1e8,
        output_limit_bytes=output_limit_bytes,
        environment=environment or {},
    )


class FakeWorld:
    """The fake: what a command does there is told by a Script."""

    real = False

    def __init__(self) -> None:
        self.fake = FakeRemote()

    def remote(self) -> FakeRemote:
        return self.fake

    def machine(self, workers: int = 1) -> Machine:
        listed = [Worker(index=index, address=f"fake{index}") for index in range(workers)]
        return machine(f"fake-{next(_numbers)}", listed)

    def close(self) -> None:
        pass


@dataclass(frozen=True)
class Door:
    """How a worker of an ssh world is reached, and where its home directory is."""

    port: int
    host_key: str
    home: Path


class LocalWorld:
    """Workers are directories of this computer."""

    real = True

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def transport(self) -> Transport:
        return LocalExec({**ENVIRONMENT, "HOME": str(self._directory)})

    def remote(self) -> SupervisedRemote:
        return SupervisedRemote(self.transport(), DEADLINES)

    def machine(self, workers: int = 1) -> Machine:
        name = f"local-{next(_numbers)}"
        places = [self._directory / name / f"w{index}" for index in range(workers)]
        for place in places:
            place.mkdir(mode=0o700, parents=True)
        return machine(name, [Worker(index=index, address=str(place)) for index, place in enumerate(places)])

    def root(self, machine: Machine, worker: int) -> Path:
        return Path(machine.workers[worker].address)

    def close(self) -> None:
        pass


class SshWorld:
    """Workers behind ssh servers on loopback, each through a proxy that can be cut or frozen."""

    real = True

    def __init__(self, directory: Path) -> None:
        self.serving = Serving()
        self.key_file = directory / "key"
        self.public_key = ssh.new_key(str(self.key_file))
        self.user = ""
        self.proxies: list[Proxy] = []
        self._doors = self.open_doors(directory)
        self.proxies = [Proxy(self.serving, ("127.0.0.1", door.port)) for door in self._doors]

    def open_doors(self, directory: Path) -> list[Door]:
        """Start the servers."""
        raise NotImplementedError

    def close_doors(self) -> None:
        """End the servers."""
        raise NotImplementedError

    def transport(self) -> Transport:
        return ssh.Ssh(str(self.key_file), connect_s=5)

    def remote(self) -> SupervisedRemote:
        return SupervisedRemote(self.transport(), DEADLINES)

    def machine(self, workers: int = 1) -> Machine:
        root = f"accel ci {next(_numbers)}"
        listed = [
            Worker(index=index, address="127.0.0.1", port=proxy.port, user=self.user, host_keys=(door.host_key,))
            for index, (proxy, door) in enumerate(zip(self.proxies, self._doors, strict=True))
        ]
        return machine(root, listed[:workers], root=root)

    def root(self, machine: Machine, worker: int) -> Path:
        return self._doors[worker].home / machine.root

    def close(self) -> None:
        for proxy in self.proxies:
            proxy.close()
        self.close_doors()
        self.serving.close()


class SshdWorld(SshWorld):
    """OpenSSH at both ends."""

    def open_doors(self, directory: Path) -> list[Door]:
        endpoints = [("127.0.0.1", sshd.free_port()) for _ in range(2)]
        self._sshd = sshd.Sshd(directory, endpoints, public_key=self.public_key)
        self.user = self._sshd.user
        return [Door(port, self._sshd.host_key, self._sshd.homes["127.0.0.1", port]) for _, port in endpoints]

    def close_doors(self) -> None:
        self._sshd.close()


class PythonSshWorld(SshWorld):
    """OpenSSH here, asyncssh there."""

    def open_doors(self, directory: Path) -> list[Door]:
        self.user = "somebody"
        homes = [directory / f"home{index}" for index in range(2)]
        for home in homes:
            home.mkdir()
        self._servers = [PythonSshServer(self.serving, home, public_key=self.public_key) for home in homes]
        return [Door(server.port, server.host_key, home) for server, home in zip(self._servers, homes, strict=True)]

    def close_doors(self) -> None:
        for server in self._servers:
            server.close()


def machine(name: str, workers: Sequence[Worker], *, root: str = "accel-ci") -> Machine:
    """A machine with these workers."""
    return Machine(
        handle=f"test://{name}",
        name=name.replace(" ", "-"),
        zone="here",
        accelerator="none",
        spot=False,
        state=State.READY,
        workers=tuple(workers),
        root=root,
    )
