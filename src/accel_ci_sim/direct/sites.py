"""Every place where a process can meet a fate: the methods of all ports, in one numbered list."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from accel_ci.adapters.gce_api import GceApi
from accel_ci.adapters.tpu_api import TpuApi
from accel_ci.domain import errors
from accel_ci.ports.clock import Clock
from accel_ci.ports.entropy import Entropy
from accel_ci.ports.files import Files
from accel_ci.ports.history import History
from accel_ci.ports.job import Job
from accel_ci.ports.machines import Machines
from accel_ci.ports.remote import Remote
from accel_ci.ports.sources import Sources
from accel_ci_sim.world import faults
from accel_ci_sim.world.faults import Fate


class Requests(Protocol):
    """The verbs of GitHub's API."""

    def get(self) -> None:
        """Look."""

    def post(self) -> None:
        """Make."""

    def patch(self) -> None:
        """Change."""

    def delete(self) -> None:
        """Remove."""


PORTS: dict[str, type] = {
    "machines": Machines,
    "gce": GceApi,
    "tpu": TpuApi,
    "github": Requests,
    "remote": Remote,
    "sources": Sources,
    "job": Job,
    "files": Files,
    "history": History,
    "clock": Clock,
    "entropy": Entropy,
}
NO_CALLS = frozenset(
    {"gce.connect", "gce.instances", "gce.operations", "gce.project", "tpu.client", "tpu.connect", "tpu.project"}
)
LATENCY_S = {
    "machines": 0.2,
    "gce": 0.1,
    "tpu": 0.1,
    "github": 0.2,
    "remote": 0.1,
    "sources": 0.5,
    "history": 0.3,
    # Looked up in eight zones at once: their executor waits for each eight.
    "gce.instance": 0.0,
    "tpu.node": 0.0,
    "tpu.queued": 0.0,
}
ERRORS: dict[str, type[errors.TransientError]] = {"remote": errors.ConnectionLostError}
ON_THIS_COMPUTER = frozenset(
    {
        *(f"machines.{name}" for name in ("capabilities", "handles", "release_command", "search_commands")),
        "remote.public_key",
    }
)
UNUSED = frozenset(  # no use case calls these yet
    {
        "machines.capabilities", "machines.annotate", "gce.set_labels", "tpu.set_labels",
        "job.mask", "history.names", "history.read",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Site:
    """One method of one port. Every event of `remote.attach` and both ends of `job.group` are calls of their own."""

    number: int
    port: str
    method: str
    fates: tuple[Fate, ...]
    latency_s: float
    name: str  # port.method

    @property
    def distant(self) -> bool:
        """True for what is asked of somebody else, who may not answer."""
        return self.fates is faults.DISTANT

    def error(self) -> errors.TransientError:
        """What a real adapter raises when it does not know whether the call worked."""
        return ERRORS.get(self.port, errors.TransientError)(f"{self.name}: no answer (simulated)")


def _sites() -> tuple[Site, ...]:
    # From the ports themselves: a new method is a new site, and has to be called.
    names = [
        (port, method)
        for port, kind in PORTS.items()
        for method in vars(kind)
        if not method.startswith("_") and f"{port}.{method}" not in NO_CALLS
    ]
    return tuple(_site(number, port, method) for number, (port, method) in enumerate(names))


def _site(number: int, port: str, method: str) -> Site:
    distant = port in LATENCY_S and f"{port}.{method}" not in ON_THIS_COMPUTER
    return Site(
        number,
        port,
        method,
        faults.DISTANT if distant else faults.LOCAL,
        LATENCY_S.get(f"{port}.{method}", LATENCY_S[port]) if distant else 0.0,
        f"{port}.{method}",
    )


SITES = _sites()
# Either all calls to the cloud or to the machines fail for a while, or one kind, as when one zone's API is down.
FAILING = (
    "machines",
    "machines",
    "remote",
    "remote",
    "github",
    "gce",
    "tpu",
    *(f"machines.{name}" for name in ("find", "released", "release")),
)
BY_NAME = {site.name: site for site in SITES}
OF_PORT = {port: tuple(site for site in SITES if site.port == port) for port in PORTS}
