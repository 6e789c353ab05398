"""Which backends exist: one entry each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from accel_ci.adapters import gce_library, gce_options, local, tpu_api, tpu_options
from accel_ci.adapters.every_backend import EveryBackend
from accel_ci.adapters.gce import GceMachines
from accel_ci.adapters.google_sign_in import GoogleSignIn
from accel_ci.adapters.local import LocalMachines
from accel_ci.adapters.local_exec import LocalExec
from accel_ci.adapters.ssh import Ssh
from accel_ci.adapters.supervised import SupervisedRemote
from accel_ci.adapters.tpu import TpuMachines
from accel_ci.domain import accelerators, errors
from accel_ci.domain.errors import Mistake
from accel_ci.domain.machine import MachineSpec
from accel_ci.ports.machines import Machines

LATER = ("gke", "jarvis", "pool")
EVERY = "every"
CLOUDS = ("gce", "tpu")


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What backends are made from: the directories that keep state on this computer and of this run, the environment

    of commands, the variables that lead to clouds and credentials, and what the user named: project and identity.
    """

    state: str
    run: str
    environment: Mapping[str, str]
    cloud: Mapping[str, str] = field(default_factory=dict)
    project: str = ""
    sign_in: GoogleSignIn | None = None

    @property
    def google(self) -> GoogleSignIn:
        """Who we are to Google: the identity that was named, else whoever the variables say."""
        return self.sign_in or GoogleSignIn(self.cloud)


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """How to make a backend's machines, the remote that works on them, and whether it can be reached from here at all.

    `check` refuses with a ConfigurationError what it can never lease; it calls nobody. `ahead` begins in the background
    what takes long before the first machine can be leased.
    """

    machines: Callable[[Site], Machines]
    remote: Callable[[Site], SupervisedRemote]
    check: Callable[[MachineSpec], object] = lambda spec: None
    reachable: Callable[[Site], bool] = lambda site: True
    ahead: Callable[[], None] = lambda: None


def _over_ssh(site: Site) -> SupervisedRemote:
    return SupervisedRemote(Ssh(f"{site.run}/ssh-key"))  # the key is made when a machine is to know it


BACKENDS: Mapping[str, Backend] = {
    "local": Backend(
        machines=lambda site: LocalMachines(f"{site.state}/local"),
        remote=lambda site: SupervisedRemote(LocalExec(site.environment)),
        check=local.check,
    ),
    "gce": Backend(
        machines=lambda site: GceMachines(site.cloud, project=site.project, sign_in=site.google),
        remote=_over_ssh,
        check=gce_options.checked,
        reachable=lambda site: site.google.likely() and gce_library.installed(),
        ahead=gce_library.begin,
    ),
    "tpu": Backend(
        machines=lambda site: TpuMachines(site.cloud, project=site.project, sign_in=site.google),
        remote=_over_ssh,
        check=tpu_options.checked,
        reachable=lambda site: site.google.likely() and tpu_api.installed(),
    ),
}


HERE = f"use one of {', '.join(BACKENDS)}; {', '.join(LATER)} come in later releases"


def backend(name: str, *, accelerator: str) -> Backend:
    """The backend of that name; `auto` is the one that has the accelerator, or all that have it, as one.

    `every` is all that can be reached from here, for looking for machines and ending them. ConfigurationError for a
    backend that is not there.
    """
    if name == EVERY:
        return Backend(machines=_everywhere, remote=BACKENDS["local"].remote)
    chosen = _that_have(accelerator) if name == "auto" else [name]
    if chosen and all(each in BACKENDS for each in chosen):
        return BACKENDS[chosen[0]] if len(chosen) == 1 else _together(chosen)
    wanted = f"a backend for {accelerator!r}" if name == "auto" else f"backend {name!r}"
    raise errors.ConfigurationError(
        f"{wanted} is not in this version",
        what_to_do=HERE,
    )


def mistakes(values: Mapping[str, Any]) -> list[Mistake]:
    """What no backend can give of these values of inputs, by field, as far as can be said without a call.

    A field that could not be read is missing, and the others are judged all the same.
    """
    name, accelerator = values.get("backend", "auto"), values.get("accelerator", "")
    later = [Mistake("backend", f"`{name}` is not in this version", HERE)] if name in LATER else []
    if values.get("zone"):
        return [*later, *accelerators.unknown_zones((values["zone"],), field="zone")]
    if not values.keys() & {"accelerator", "zones", "options"}:
        return later
    spec = MachineSpec(
        backend=name,
        accelerator=accelerator,
        zones=values.get("zones", ()),
        spot=values.get("spot", True),
        workers=accelerators.hosts(accelerator),
        options=values.get("options", {}),
    )
    named = [name] if name in BACKENDS else _that_have(accelerator)
    # As `candidates` of several backends: one that can lease it is enough.
    refused = min((_refused(BACKENDS[each], spec) for each in named or CLOUDS), key=len)
    if not (named and accelerator):
        refused = accelerators.unknown(accelerator, zones=spec.zones) + [
            mistake for mistake in refused if mistake.name == "options"
        ]
    return [*later, *(mistake for mistake in refused if mistake.name in values)]


def _refused(backend: Backend, spec: MachineSpec) -> list[Mistake]:
    try:
        backend.check(spec)
    except errors.ConfigurationError as error:
        return [*error.mistakes] or [Mistake("accelerator", error.what_happened, error.what_to_do)]
    return []


def unreachable(site: Site) -> list[str]:
    """The backends that `every` leaves out: nothing here leads to credentials for their cloud, or a library is missing."""
    return [name for name, each in BACKENDS.items() if not each.reachable(site)]


def _that_have(accelerator: str) -> list[str]:
    if accelerator.split("-")[0] == "local":
        return ["local"]
    return [name for name in accelerators.backends_of(accelerator) if name in BACKENDS]


def _together(names: Sequence[str]) -> Backend:
    """Backends of one cloud as one, whose machines are all reached alike; what cannot be reached is left out."""

    def machines(site: Site) -> Machines:
        """Those that can be reached; where none can, all, so that the error says what is missing."""
        there = [name for name in names if BACKENDS[name].reachable(site)] or names
        return EveryBackend({name: BACKENDS[name].machines(site) for name in there})

    return Backend(machines=machines, remote=_over_ssh, ahead=BACKENDS[names[0]].ahead)


def _everywhere(site: Site) -> Machines:
    return EveryBackend({name: each.machines(site) for name, each in BACKENDS.items() if each.reachable(site)})
