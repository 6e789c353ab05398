"""Machines: what is asked for, and what was leased."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from accel_ci.domain import machine_types
from accel_ci.domain.machine_types import Kind


class State(StrEnum):
    """Where a machine is between being asked for and being gone."""

    CREATING = "creating"
    READY = "ready"
    RELEASING = "releasing"
    FAILED = "failed"
    GONE = "gone"


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineSpec:
    """What a user asked for: an accelerator type, where, and how. `boot_limit_s` bounds creation and boot, per candidate."""

    backend: str
    accelerator: str
    zones: tuple[str, ...] = ()
    spot: bool = True
    workers: int = 1
    boot_limit_s: float = 600.0
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One place to try: a zone, spot or on-demand, its price in US dollars an hour (None: unknown), and whose it is.

    `backend` may be "" where there is only one.
    """

    zone: str
    spot: bool
    dollars_per_hour: float | None = None
    backend: str = ""

    def __str__(self) -> str:
        return f"{self.zone} {'spot' if self.spot else 'on-demand'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """One host of a machine. `address` is what its transport dials: a host name, or a directory on this computer.

    `inner_address` is where the other workers reach it; "" where there is no network between them. `unconfined`: at its
    boot the user that runs the commands could not be kept from becoming root or from the cloud's metadata.
    """

    index: int
    address: str
    port: int = 22
    user: str = ""
    host_keys: tuple[str, ...] = ()
    inner_address: str = ""
    unconfined: bool = False

    @property
    def name(self) -> str:
        """How logs and reports call the worker: w0, w1, ..."""
        return f"w{self.index}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """One leased accelerator. `handle` is a URI such as tpu://project/zone/name; `root` is our directory on each worker.

    `hardware` is what a probe found on it: name, devices, driver, cuda, memory_mib; {} where none looked.
    """

    handle: str
    name: str
    zone: str
    accelerator: str
    spot: bool
    state: State
    workers: tuple[Worker, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    root: str = "accel-ci"
    hardware: Mapping[str, str] = field(default_factory=dict)

    @property
    def backend(self) -> str:
        """The scheme of the handle: which backend made the machine."""
        return self.handle.split("://", 1)[0]

    @property
    def is_this_computer(self) -> bool:
        """True where commands run with the rights of whoever runs us: nothing is taken from them, or could be."""
        return self.backend == "local"


@dataclass(frozen=True, slots=True, kw_only=True)
class Creation:
    """A creation under way: `stage` says in a few words what is waited for; `machine` is set once it is ready."""

    handle: str
    stage: str
    machine: Machine | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a backend can do: end machines by itself, list and find by labels, report interruptions.

    `extendable`: keep-until can push the end of a living machine back.
    """

    native_lifetime_limit: bool
    zones: bool
    extendable: bool = True
    annotations: bool = True
    max_lateness_s: float = 30.0


MASTER_PORT = 29500  # torchrun's own default


def distributed_environment(machine: Machine, worker: Worker) -> dict[str, str]:
    """What torchrun and PyTorch/XLA read on this worker; the first two names only where workers can reach each other.

    JAX needs nothing: on TPU VMs `jax.distributed.initialize()` asks the machine itself.
    """
    told = {"NNODES": str(len(machine.workers)), "NODE_RANK": str(worker.index)}
    if machine.workers[0].inner_address:
        told |= {"MASTER_ADDR": machine.workers[0].inner_address, "MASTER_PORT": str(MASTER_PORT)}
    shape = machine_types.shape(machine.accelerator)
    if machine.backend == "tpu" or (shape is not None and shape.kind is Kind.TPU):
        told["PJRT_DEVICE"] = "TPU"
    return told
