"""What users may set for a machine of Compute Engine beyond the common inputs, and what is taken when they do not."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from accel_ci.domain import accelerators, machine_types
from accel_ci.domain.errors import ConfigurationError, Mistake
from accel_ci.domain.machine import MachineSpec
from accel_ci.domain.machine_types import Kind, Shape

BACKEND = "gce"
FLEX_START = "flex-start"
_TRUTH = re.compile("true|false")
_NETWORK = re.compile(r"(?:projects/[a-z0-9.:-]+/[a-z0-9/-]+/)?[a-z][a-z0-9-]{0,62}")
_FORMS: Mapping[str, tuple[re.Pattern[str], str]] = {
    "image": (
        re.compile(r"[a-z0-9]+(?:-[a-z]+)*|[a-z0-9.:-]+/[a-z0-9-]+|projects/[a-z0-9.:-]+/global/images/[a-z0-9/-]+"),
        "deep-learning, ubuntu-accelerator, tpu, tpu7x, debian, PROJECT/FAMILY or projects/PROJECT/global/images/NAME",
    ),
    "disk-size": (re.compile("[1-9][0-9]{1,4}"), "a number of GB such as 200"),
    "disk-type": (re.compile("(?:pd|hyperdisk)-[a-z-]+"), "a type such as pd-ssd"),
    "network": (_NETWORK, "a name such as ci"),
    "subnetwork": (_NETWORK, "a name such as ci-us-central1"),
    "external-ips": (_TRUTH, "true or false"),
    "tags": (re.compile(r"[a-z][a-z0-9-]{0,62}(?:\+[a-z][a-z0-9-]{0,62})*"), "network tags such as ci+ssh"),
    "secure-boot": (_TRUTH, "true or false"),
    "machine-account": (re.compile("[a-z0-9-]+@[a-z0-9.-]+"), "a service account's address"),
    "provisioning": (re.compile(FLEX_START), FLEX_START),
    "fallback": (re.compile("on-demand"), "on-demand"),
    "sudo": (_TRUTH, "true or false"),
    "health": (re.compile("devices|jax|torch|off"), "devices, jax, torch or off"),
}

# Families, never dated images: those are withdrawn within months. docs/google-cloud.md says how to look them up.
IMAGES = {
    "deep-learning": "deeplearning-platform-release/common-cu128-ubuntu-2204-nvidia-570",
    "ubuntu-accelerator": "ubuntu-os-accelerator-images/ubuntu-accelerator-2204-amd64-with-nvidia-570",
    "tpu": "ubuntu-os-accelerator-images/ubuntu-accel-2204-amd64-tpu-v5e-v5p-v6e",
    "tpu7x": "ubuntu-os-accelerator-images/ubuntu-accel-2404-amd64-tpu-tpu7x",
    "debian": "debian-cloud/debian-12",
    "debian-arm": "debian-cloud/debian-12-arm64",
}
_USUAL = {Kind.GPU: ("deep-learning", 100), Kind.TPU: ("tpu", 100), Kind.CPU: ("debian", 20)}
# Series whose hardware the usual image of their kind does not run on.
_OTHERWISE = {"tpu7x": "tpu7x", **dict.fromkeys(machine_types.ARM, "debian-arm")}
# These take no persistent disk.
_HYPERDISK = ("a3-ultragpu", "a4", "a4x", "c4", "c4a", "c4d", "n4", "n4a", "n4d", "ct6e", "tpu7x")


@dataclass(frozen=True, slots=True, kw_only=True)
class GceOptions:
    """The settings of one machine, with everything that was left out filled in. `image` is a path below Google's API."""

    shape: Shape
    image: str
    disk_gb: int
    disk_type: str
    network: str
    subnetwork: str
    external_ips: bool
    tags: tuple[str, ...]
    secure_boot: bool
    machine_account: str
    flex_start: bool
    spot: bool
    on_demand: bool
    sudo: bool
    health: str


def checked(spec: MachineSpec) -> GceOptions:
    """The options of a machine that can exist; ConfigurationError with every mistake about it otherwise."""
    given, shape = spec.options, machine_types.shape(spec.accelerator)
    mistakes = [
        *accelerators.mistakes(spec.accelerator, backend=BACKEND, zones=spec.zones),
        *(mistake for name, value in given.items() if (mistake := _wrong(name, value))),
        *(_contradictions(spec, shape) if shape else ()),
    ]
    if mistakes or shape is None:
        raise ConfigurationError(
            "no such machine can be had on Compute Engine",
            what_to_do="see `accel-ci accelerators` and docs/google-cloud.md",
            mistakes=tuple(mistakes),
        )
    usual_image, usual_gb = _USUAL[shape.kind]
    flex_start = given.get("provisioning") == FLEX_START
    return GceOptions(
        shape=shape,
        image=_image(given.get("image") or _OTHERWISE.get(shape.series, usual_image)),
        disk_gb=int(given.get("disk-size") or usual_gb),
        disk_type=given.get("disk-type") or _disk_type(shape),
        network=given.get("network", ""),
        subnetwork=given.get("subnetwork", ""),
        external_ips=given.get("external-ips") != "false",
        tags=tuple(filter(None, given.get("tags", "").split("+"))),
        # NVIDIA's and Google's TPU drivers are built at boot or by the image, and nothing signs them for us.
        secure_boot=given.get("secure-boot", "true" if shape.kind is Kind.CPU else "false") == "true",
        machine_account=given.get("machine-account", ""),
        flex_start=flex_start,
        spot=spec.spot and not flex_start,
        on_demand=flex_start or not spec.spot or given.get("fallback") == "on-demand",
        sudo=given.get("sudo") == "true",
        health=given.get("health", "devices") if shape.chips else "off",
    )


def _contradictions(spec: MachineSpec, shape: Shape) -> list[Mistake]:
    found = []
    if spec.options.get("provisioning") == FLEX_START and not shape.chips:
        found.append(Mistake("options", "`provisioning=flex-start` is for machines with accelerators", "leave it out"))
    if shape.kind is Kind.CPU and spec.options.get("image") in ("deep-learning", "ubuntu-accelerator", "tpu"):
        found.append(
            Mistake(
                "options", f"`image={spec.options['image']}` is for accelerators, {spec.accelerator} has none", "debian"
            )
        )
    if spec.options.get("health") == "torch" and shape.kind is Kind.TPU:
        found.append(Mistake("options", "`health=torch` counts GPUs", "devices or jax"))
    if spec.options.get("subnetwork") and len({zone.rpartition("-")[0] for zone in spec.zones}) != 1:
        found.append(Mistake("options", "`subnetwork` is of one region", "name zones of one region in `zones`"))
    return found


def _wrong(name: str, value: str) -> Mistake | None:
    if name not in _FORMS:
        near = difflib.get_close_matches(name, _FORMS, n=1)
        hint = f"did you mean `{near[0]}`?" if near else f"one of {', '.join(_FORMS)}"
        return Mistake("options", f"`{name}` is not an option of backend `{BACKEND}`", hint)
    form, hint = _FORMS[name]
    if not form.fullmatch(value) or (name == "image" and "/" not in value and value not in IMAGES):
        return Mistake("options", f"`{name}={value}` is not a choice", hint)
    return None


def _image(image: str) -> str:
    image = IMAGES.get(image, image)
    if image.startswith("projects/"):
        return image
    project, _, family = image.partition("/")
    return f"projects/{project}/global/images/family/{family}"


def _disk_type(shape: Shape) -> str:
    hyperdisk = any(f"{shape.machine_type}-".startswith(f"{each}-") for each in _HYPERDISK)
    return "hyperdisk-balanced" if hyperdisk else "pd-balanced"
