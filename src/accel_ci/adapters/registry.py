"""Which backends exist: one entry each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from accel_ci.adapters.every_backend import EveryBackend
from accel_ci.adapters.google_sign_in import GoogleSignIn
from accel_ci.adapters.local import LocalMachines
from accel_ci.adapters.local_exec import LocalExec
from accel_ci.adapters.ssh import Ssh
from accel_ci.adapters.supervised import SupervisedRemote
from accel_ci.adapters.tpu import TpuMachines
from accel_ci.domain import accelerators, errors
from accel_ci.domain.errors import Mistake
from accel_ci.ports.machines import Machines

LATER = ("gce", "gke", "jarvis", "pool")
EVERY = "every"


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
    """How to make a backend's machines, the remote that works on them, and whether it can be reached from here at all."""

    machines: Callable[[Site], Machines]
    remote: Callable[[Site], SupervisedRemote]
    reachable: Callable[[Site], bool] = lambda site: True


def _over_ssh(site: Site) -> SupervisedRemote:
    return SupervisedRemote(Ssh(f"{site.run}/ssh-key"))  # the key is made when a machine is to know it


BACKENDS: Mapping[str, Backend] = {
    "local": Backend(
        machines=lambda site: LocalMachines(f"{site.state}/local"),
        remote=lambda site: SupervisedRemote(LocalExec(site.environment)),
    ),
    "tpu": Backend(
        machines=lambda site: TpuMachines(site.cloud, project=site.project, sign_in=site.google),
        remote=_over_ssh,
        reachable=lambda site: site.google.likely(),
    ),
}


def backend(name: str, *, accelerator: str) -> Backend:
    """The backend of that name; `auto` is the one that has the accelerator. ConfigurationError for one that is not there.

    `every` is all that can be reached from here, for looking for machines and ending them.
    """
    if name == EVERY:
        return Backend(machines=_everywhere, remote=BACKENDS["local"].remote)
    chosen = _that_has(accelerator) if name == "auto" else name
    if chosen in BACKENDS:
        return BACKENDS[chosen]
    wanted = f"a backend for {accelerator!r}" if name == "auto" else f"backend {name!r}"
    raise errors.ConfigurationError(
        f"{wanted} is not in this version",
        what_to_do=f"use one of {', '.join(BACKENDS)}; {', '.join(LATER)} come in later releases",
        mistakes=_misread(accelerator) if name == "auto" and not chosen else (),
    )


def _that_has(accelerator: str) -> str:
    if accelerator.split("-")[0] == "local":
        return "local"
    return next((name for name in accelerators.backends_of(accelerator) if name in BACKENDS), "")


def _misread(accelerator: str) -> tuple[Mistake, ...]:
    """What the user may have meant; nothing when the type is not even similar to one that we know."""
    meant = accelerators.nearest(accelerator)
    return (Mistake("accelerator", f"`{accelerator}` is not known", f"did you mean `{meant}`?"),) if meant else ()


def _everywhere(site: Site) -> Machines:
    return EveryBackend({name: each.machines(site) for name, each in BACKENDS.items() if each.reachable(site)})
