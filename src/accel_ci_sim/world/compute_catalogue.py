"""What Compute Engine offers where. Its own table, so that it can contradict the catalogue of the program under test."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from accel_ci_sim.world import tpu_catalogue
from accel_ci_sim.world.tpu_catalogue import region as region

GB = 1024
NVIDIA = "nvidia-"


def _zones(text: str) -> tuple[str, ...]:
    """`us-central1-ab us-east1-c` as us-central1-a, us-central1-b and us-east1-c."""
    pairs = (word.rsplit("-", 1) for word in text.split())
    return tuple(f"{region}-{letter}" for region, letters in pairs for letter in letters)


@dataclass(frozen=True, slots=True, kw_only=True)
class Accelerator:
    """An accelerator type: what it is called in words, where it is, how its quota is called, most of it on one machine."""

    name: str
    description: str
    zones: tuple[str, ...]
    quota: str
    most: int = 8

    @property
    def is_gpu(self) -> bool:
        """True for what counts against GPUS_ALL_REGIONS."""
        return self.name.startswith(NVIDIA)


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineType:
    """A machine type, and what it always has with it: accelerator type and count, ("", 0) for nothing."""

    name: str
    cpus: int
    memory_mb: int
    accelerator: tuple[str, int] = ("", 0)
    shared_cpu: bool = False

    @property
    def family(self) -> str:
        """`n1` of n1-standard-8."""
        return self.name.partition("-")[0]

    @property
    def number(self) -> int:
        """A number that stands for the type, always the same."""
        return sum(ord(letter) << (index % 8) * 3 for index, letter in enumerate(self.name)) + 10_000


_H100_ZONES = _zones(
    "asia-east1-c asia-northeast1-b asia-southeast1-bc europe-west1-bc europe-west4-bc us-central1-abc us-east4-abc "
    "us-east5-a us-west1-ab us-west4-a"
)
ACCELERATORS = {
    each.name: each
    for each in (
        Accelerator(
            name="nvidia-l4",
            description="NVIDIA L4",
            quota="NVIDIA_L4_GPUS",
            zones=_zones(
                "asia-east1-abc asia-northeast1-abc asia-northeast3-ab asia-south1-abc asia-southeast1-abc europe-west1-bc "
                "europe-west2-ab europe-west3-b europe-west4-abc europe-west6-bc me-central2-a northamerica-northeast2-ab "
                "us-central1-abc us-east1-bcd us-east4-ac us-west1-abc us-west4-ac"
            ),
        ),
        Accelerator(
            name="nvidia-tesla-t4",
            description="NVIDIA T4",
            quota="NVIDIA_T4_GPUS",
            most=4,
            zones=_zones(
                "asia-east1-ac asia-east2-ac asia-northeast1-ac asia-northeast3-bc asia-south1-ab asia-southeast1-abc "
                "asia-southeast2-ab australia-southeast1-ac europe-central2-bc europe-west1-bcd europe-west2-ab "
                "europe-west3-b europe-west4-abc northamerica-northeast1-c southamerica-east1-c us-central1-abcf us-east1-cd "
                "us-east4-abc us-west1-ab us-west2-bc us-west4-ab"
            ),
        ),
        Accelerator(
            name="nvidia-tesla-v100",
            description="NVIDIA V100",
            quota="NVIDIA_V100_GPUS",
            zones=_zones("asia-east1-c europe-west4-abc us-central1-abcf us-east1-c us-west1-ab"),
        ),
        Accelerator(
            name="nvidia-tesla-p100",
            description="NVIDIA Tesla P100",
            quota="NVIDIA_P100_GPUS",
            most=4,
            zones=_zones(
                "asia-east1-ac australia-southeast1-c europe-west1-bd europe-west4-a us-central1-cf us-east1-bc us-west1-ab"
            ),
        ),
        Accelerator(
            name="nvidia-tesla-p4",
            description="NVIDIA Tesla P4",
            quota="NVIDIA_P4_GPUS",
            most=4,
            zones=_zones(
                "asia-southeast1-bc australia-southeast1-ab europe-west4-bc us-central1-ac us-east4-abc us-west2-bc"
            ),
        ),
        Accelerator(
            name="nvidia-tesla-a100",
            description="NVIDIA A100 40GB",
            quota="NVIDIA_A100_GPUS",
            most=16,
            zones=_zones(
                "asia-northeast1-ac asia-northeast3-b asia-southeast1-bc europe-west4-ab me-west1-bc us-central1-abcf "
                "us-east1-b us-west1-b us-west3-b us-west4-b"
            ),
        ),
        Accelerator(
            name="nvidia-a100-80gb",
            description="NVIDIA A100 80GB",
            quota="NVIDIA_A100_80GB_GPUS",
            zones=_zones("asia-southeast1-c europe-west4-a us-central1-ac us-east4-c us-east5-b"),
        ),
        Accelerator(
            name="nvidia-h100-80gb", description="NVIDIA H100 80GB", quota="NVIDIA_H100_GPUS", zones=_H100_ZONES
        ),
        Accelerator(
            name="nvidia-h100-mega-80gb",
            description="NVIDIA H100 80GB MEGA",
            quota="NVIDIA_H100_MEGA_GPUS",
            zones=_H100_ZONES,
        ),
        Accelerator(
            name="nvidia-h200-141gb",
            description="NVIDIA H200 141GB",
            quota="NVIDIA_H200_GPUS",
            zones=_zones(
                "asia-south1-b asia-south2-c europe-west1-b us-central1-b us-east4-b us-east5-a us-south1-b us-west1-c"
            ),
        ),
        Accelerator(
            name="nvidia-b200",
            description="NVIDIA B200 180GB",
            quota="NVIDIA_B200_GPUS",
            zones=_zones("asia-southeast1-b europe-west4-b us-central1-b us-east1-b us-south1-b us-west2-c us-west3-b"),
        ),
        Accelerator(
            name="nvidia-gb200",
            description="NVIDIA GB200",
            quota="NVIDIA_GB200_GPUS",
            most=4,
            zones=_zones("us-central1-a"),
        ),
        Accelerator(
            name="nvidia-rtx-pro-6000",
            description="NVIDIA RTX PRO 6000",
            quota="NVIDIA_RTX_PRO_6000_GPUS",
            zones=_zones("asia-southeast1-b europe-west4-a us-central1-b us-east5-b us-west1-a"),
        ),
        Accelerator(
            name="ct5lp",
            description="ct5lp",
            quota="TPU_LITE_PODSLICE_V5",
            zones=tpu_catalogue.FAMILIES["v5litepod"].zones,
        ),
        Accelerator(
            name="ct5p", description="ct5p", quota="TPU_PODSLICE_V5P", most=4, zones=tpu_catalogue.FAMILIES["v5p"].zones
        ),
        Accelerator(
            name="ct6e", description="ct6e", quota="TPUS_PER_TPU_FAMILY", zones=tpu_catalogue.FAMILIES["v6e"].zones
        ),
        Accelerator(
            name="tpu7x",
            description="tpu7x",
            quota="TPUS_PER_TPU_FAMILY",
            most=4,
            zones=("us-central1-ai1a", "us-central1-c"),
        ),
    )
}


def _with(name: str, cpus: int, memory_gb: float, accelerator: str = "", count: int = 0) -> MachineType:
    return MachineType(name=name, cpus=cpus, memory_mb=int(memory_gb * GB), accelerator=(accelerator, count))


def _sizes(prefix: str, sizes: str, gb_per_cpu: float) -> Iterator[MachineType]:
    return (_with(f"{prefix}-{size}", int(size), int(size) * gb_per_cpu) for size in sizes.split())


TYPES = {
    each.name: each
    for each in (
        MachineType(name="e2-micro", cpus=2, memory_mb=1024, shared_cpu=True),
        MachineType(name="e2-small", cpus=2, memory_mb=2048, shared_cpu=True),
        MachineType(name="e2-medium", cpus=2, memory_mb=4096, shared_cpu=True),
        MachineType(name="f1-micro", cpus=1, memory_mb=614, shared_cpu=True),
        MachineType(name="g1-small", cpus=1, memory_mb=1740, shared_cpu=True),
        *_sizes("e2-standard", "2 4 8 16 32", 4),
        *_sizes("e2-highcpu", "2 4 8 16 32", 1),
        *_sizes("e2-highmem", "2 4 8 16", 8),
        *_sizes("n1-standard", "1 2 4 8 16 32 64 96", 3.75),
        *_sizes("n1-highmem", "2 4 8 16 32 64 96", 6.5),
        *_sizes("n1-highcpu", "2 4 8 16 32 64 96", 0.9),
        *_sizes("n2-standard", "2 4 8 16 32 48 64 80 96 128", 4),
        *_sizes("n2d-standard", "2 4 8 16 32 48 64 80 96 128 224", 4),
        *_sizes("c2-standard", "4 8 16 30 60", 4),
        *_sizes("c3-standard", "4 8 22 44 88 176", 4),
        *(
            _with(f"g2-standard-{cpus}", cpus, cpus * 4, "nvidia-l4", count)
            for cpus, count in ((4, 1), (8, 1), (12, 1), (16, 1), (24, 2), (32, 1), (48, 4), (96, 8))
        ),
        *(
            _with(f"g4-standard-{48 * count}", 48 * count, 180 * count, "nvidia-rtx-pro-6000", count)
            for count in (1, 2, 4, 8)
        ),
        *(_with(f"a2-highgpu-{n}g", 12 * n, 85 * n, "nvidia-tesla-a100", n) for n in (1, 2, 4, 8)),
        _with("a2-megagpu-16g", 96, 1360, "nvidia-tesla-a100", 16),
        *(_with(f"a2-ultragpu-{n}g", 12 * n, 170 * n, "nvidia-a100-80gb", n) for n in (1, 2, 4, 8)),
        *(_with(f"a3-highgpu-{n}g", 26 * n, 234 * n, "nvidia-h100-80gb", n) for n in (1, 2, 4, 8)),
        _with("a3-megagpu-8g", 208, 1872, "nvidia-h100-mega-80gb", 8),
        _with("a3-ultragpu-8g", 224, 2952, "nvidia-h200-141gb", 8),
        _with("a4-highgpu-8g", 224, 3968, "nvidia-b200", 8),
        _with("a4x-highgpu-4g", 140, 884, "nvidia-gb200", 4),
        *(_with(f"ct5lp-hightpu-{n}t", 28 * n, 48 * n, "ct5lp", n) for n in (1, 4, 8)),
        _with("ct5p-hightpu-4t", 208, 448, "ct5p", 4),
        _with("ct6e-standard-1t", 44, 176, "ct6e", 1),
        _with("ct6e-standard-4t", 180, 720, "ct6e", 4),
        _with("ct6e-standard-8t", 180, 1440, "ct6e", 8),
        _with("tpu7x-standard-1t", 56, 240, "tpu7x", 1),
        _with("tpu7x-standard-4t", 224, 960, "tpu7x", 4),
    )
}
ZONES = tuple(
    sorted(
        {
            *_zones("us-central1-abcf us-east1-bcd us-east4-abc us-east5-abc us-west1-abc us-west2-abc us-west4-abc"),
            *_zones("europe-west1-bcd europe-west4-abc asia-east1-abc asia-northeast1-abc asia-southeast1-abc"),
            *tpu_catalogue.ZONES,
            *(zone for each in ACCELERATORS.values() for zone in each.zones),
        }
    )
)
REGIONS = tuple(sorted({region(zone) for zone in ZONES}))


@cache
def machine_types(zone: str) -> Mapping[str, MachineType]:
    """The machine types of the zone by name."""
    return {
        name: kind
        for name, kind in sorted(TYPES.items())
        if not kind.accelerator[0] or zone in ACCELERATORS[kind.accelerator[0]].zones
    }


@cache
def accelerators(zone: str) -> Mapping[str, Accelerator]:
    """The accelerator types of the zone by name."""
    return {name: each for name, each in sorted(ACCELERATORS.items()) if zone in each.zones}


def attachable(machine: MachineType, accelerator: Accelerator, count: int) -> bool:
    """True when so many of these can be put beside such a machine: to N1, 1, 2, 4 or 8; or what is always there."""
    # To name what is there anyway is allowed, to name more of it is not.
    if machine.accelerator[0]:
        return machine.accelerator == (accelerator.name, count)
    beside = accelerator.is_gpu and not any(accelerator.name == each.accelerator[0] for each in TYPES.values())
    fits = count in (1, 2, 4, 8) and count <= accelerator.most
    return beside and fits and machine.family == "n1" and not machine.shared_cpu
