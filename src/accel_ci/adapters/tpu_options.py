"""What users may set for a TPU beyond the common inputs."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass

from accel_ci.adapters import google_hosts
from accel_ci.domain import accelerators
from accel_ci.domain.errors import ConfigurationError, Mistake
from accel_ci.domain.machine import MachineSpec

BACKEND = "tpu"
_FORMS: Mapping[str, tuple[str, ...]] = {
    "image": (),
    "network": (),
    "subnetwork": (),
    "external-ips": ("true", "false"),
    "machine-account": (),
    "queued": ("true", "false"),
    "fallback": ("on-demand",),
    "sudo": ("true", "false"),
    "health": ("devices", "jax", google_hosts.NO_PROBE),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TpuOptions:
    """The settings of one machine, with everything that was left out filled in; an empty text leaves it to the API."""

    runtime: str
    network: str = ""
    subnetwork: str = ""
    external_ips: bool = True
    machine_account: str = ""
    queued: bool = False
    on_demand: bool = False
    sudo: bool = False
    health: str = "devices"


def checked(spec: MachineSpec) -> TpuOptions:
    """The options of a machine that can exist; ConfigurationError with every mistake about it otherwise."""
    given = spec.options
    mistakes = [
        *accelerators.mistakes(spec.accelerator, backend=BACKEND, zones=spec.zones, image=given.get("image", "")),
        *(mistake for name, value in given.items() if (mistake := _wrong(name, value))),
    ]
    if mistakes:
        raise ConfigurationError(
            "no such TPU can be had", what_to_do="see `accel-ci accelerators` and docs/tpu.md", mistakes=tuple(mistakes)
        )
    return TpuOptions(
        runtime=given.get("image") or accelerators.runtime(spec.accelerator),
        network=given.get("network", ""),
        subnetwork=given.get("subnetwork", ""),
        external_ips=given.get("external-ips") != "false",
        machine_account=given.get("machine-account", ""),
        queued=given.get("queued") == "true",
        on_demand=not spec.spot or given.get("fallback") == "on-demand",
        sudo=given.get("sudo") == "true",
        health=given.get("health", "devices"),
    )


def _wrong(name: str, value: str) -> Mistake | None:
    if name not in _FORMS:
        near = difflib.get_close_matches(name, _FORMS, n=1)
        hint = f"did you mean `{near[0]}`?" if near else f"one of {', '.join(_FORMS)}"
        return Mistake("options", f"`{name}` is not an option of backend `{BACKEND}`", hint)
    if _FORMS[name] and value not in _FORMS[name]:
        return Mistake("options", f"`{name}={value}` is not a choice", f"one of {', '.join(_FORMS[name])}")
    return None
