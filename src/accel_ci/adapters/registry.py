"""Which backends exist: one line each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from accel_ci.adapters.local import LocalMachines
from accel_ci.adapters.local_exec import LocalExec
from accel_ci.adapters.supervised import SupervisedRemote
from accel_ci.domain import errors
from accel_ci.ports.machines import Machines

LATER = ("gce", "tpu", "gke", "jarvis", "pool")


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What backends are made from: the directory that keeps state on this computer, and the environment of commands."""

    state: str
    environment: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """How to make a backend's machines, and the remote that works on them."""

    machines: Callable[[Site], Machines]
    remote: Callable[[Site], SupervisedRemote]


BACKENDS: Mapping[str, Backend] = {
    "local": Backend(
        machines=lambda site: LocalMachines(f"{site.state}/local"),
        remote=lambda site: SupervisedRemote(LocalExec(site.environment)),
    ),
}


def backend(name: str, *, accelerator: str) -> Backend:
    """The backend of that name; `auto` is the one that has the accelerator. ConfigurationError for one that is not there."""
    if name == "auto" and accelerator.split("-")[0] == "local":
        name = "local"
    if name in BACKENDS:
        return BACKENDS[name]
    wanted = f"a backend for {accelerator!r}" if name == "auto" else f"backend {name!r}"
    raise errors.ConfigurationError(
        f"{wanted} is not in this version",
        what_to_do=f"use one of {', '.join(BACKENDS)} (accelerator: local); {', '.join(LATER)} come in later releases",
    )
