"""From what users order to a machine type: `l4-2`, `n1-standard-8+t4-1`, `g2-standard-12`, `e2-standard-4`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from accel_ci.domain import machine_rows
from accel_ci.domain.machine_rows import MachineType


class Kind(StrEnum):
    """What a machine computes with: decides its image, its driver and what its health is."""

    GPU = "gpu"
    TPU = "tpu"
    CPU = "cpu"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A machine type with its chips of one family. `attached` names accelerators that are not part of the machine type."""

    machine_type: str
    family: str
    kind: Kind
    vcpus: int
    chips: int
    attached: str = ""

    @property
    def series(self) -> str:
        """What a machine type's name begins with: g2, a3, ct6e."""
        return self.machine_type.partition("-")[0]


ARM = ("t2a", "c4a", "n4a")  # they need images of another architecture
_CPU = re.compile(
    r"(?:e2|n[124]|n2d|n4[ad]|c[234]|c[234]d|c4a|t2[ad]|m[1234]|z3|h3)-(?:standard|highcpu|highmem|megamem|ultramem)"
    r"-(?P<vcpus>[1-9][0-9]{0,2})|e2-(?:micro|small|medium)"
)
_ATTACHED = re.compile(r"(?P<host>n1-(?:standard|highcpu|highmem)-[1-9][0-9]?)\+(?P<chips>(?:t4|p4|p100|v100)-[1248])")
_MODELS = {
    family: each.attached
    for name, each in machine_rows.SHAPES.items()
    if each.attached and (family := name.rpartition("-")[0])
}
_BY_MACHINE = {
    each.name: (name.rpartition("-")[0], each)
    for name, each in machine_rows.SHAPES.items()
    if each.chips and not each.attached
}


def shape(accelerator: str) -> Shape | None:
    """The machine type that the name stands for, itself one or an order such as `a100-8`; None for what is neither."""
    family = accelerator.rpartition("-")[0]
    if accelerator in machine_rows.SHAPES and machine_rows.SHAPES[accelerator].chips:
        return _with_chips(family, machine_rows.SHAPES[accelerator])
    if accelerator in _BY_MACHINE:
        return _with_chips(*_BY_MACHINE[accelerator])
    if accelerator in machine_rows.BUILT_IN:
        chip, vcpus, chips = machine_rows.BUILT_IN[accelerator]
        return _with_chips(chip, MachineType(accelerator, vcpus, chips))
    if attached := _ATTACHED.fullmatch(accelerator):
        chip, _, count = attached["chips"].partition("-")
        host = attached["host"]
        return _with_chips(chip, MachineType(host, int(host.rpartition("-")[2]), int(count), _MODELS[chip]))
    if cpu := _CPU.fullmatch(accelerator):
        series = accelerator.partition("-")[0]
        return Shape(machine_type=accelerator, family=series, kind=Kind.CPU, vcpus=int(cpu["vcpus"] or 2), chips=0)
    return None


def _with_chips(family: str, made_of: MachineType) -> Shape:
    return Shape(
        machine_type=made_of.name,
        family=family,
        kind=Kind.TPU if family in machine_rows.TPUS else Kind.GPU,
        vcpus=made_of.vcpus,
        chips=made_of.chips,
        attached=made_of.attached,
    )
