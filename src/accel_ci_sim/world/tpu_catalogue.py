"""What the simulated cloud offers where. Its own table, so that it can contradict the catalogue of the program under test."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

FLAT = {
    "1": "1x1",
    "4": "2x2",
    "8": "2x4",
    "16": "4x4",
    "32": "4x8",
    "64": "8x8",
    "128": "8x16",
    "256": "16x16",
}
CUBES = {
    "8": "2x2x1",
    "16": "2x2x2",
    "32": "2x2x4",
    "64": "2x4x4",
    "128": "4x4x4",
    "256": "4x4x8",
    "512": "4x8x8",
}
SQUARES = {"8": "2x2", "32": "4x4", "128": "8x8", "256": "8x16", "512": "16x16"}
GENERIC_RUNTIMES = ("tpu-ubuntu2204-base",)
CHIPS_PER_HOST = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One generation: its name in the API's enum, its sizes, where it is, what it runs, how its quota is called."""

    generation: str
    topologies: Mapping[str, str]
    zones: tuple[str, ...]
    runtimes: tuple[str, ...]
    quota: tuple[str, str]
    most_chips_on_one_host: int = CHIPS_PER_HOST


OLD_RUNTIMES = (
    "tpu-vm-base",
    "tpu-vm-pt-2.0",
    *(
        f"tpu-vm-tf-{version}-{variant}"
        for version in ("2.16.1", "2.17.0", "2.18.0")
        for variant in ("pjrt", "pod-pjrt")
    ),
    "v2-alpha",
)
FAMILIES = {
    "v2": Family(
        generation="V2",
        topologies=SQUARES,
        zones=("asia-east1-c", "europe-west4-a", "us-central1-b", "us-central1-c"),
        runtimes=OLD_RUNTIMES,
        quota=("TPUV2s", "Pod"),
    ),
    "v3": Family(
        generation="V3",
        topologies=SQUARES,
        zones=("europe-west4-a", "us-central1-a", "us-central1-b"),
        runtimes=OLD_RUNTIMES,
        quota=("TPUV3s", "Pod"),
    ),
    "v4": Family(
        generation="V4",
        topologies=CUBES,
        zones=("us-central2-b",),
        runtimes=(*OLD_RUNTIMES, "tpu-vm-v4-base", "tpu-vm-v4-pt-2.0", "v2-alpha-tpuv4", "v2-alpha-tpuv4-pod"),
        quota=("TPUV4s", "Pod"),
    ),
    "v5litepod": Family(
        generation="V5LITE_POD",
        topologies=FLAT,
        zones=(
            "asia-southeast1-b",
            "europe-west4-b",
            "us-central1-a",
            "us-south1-a",
            "us-west1-c",
            "us-west4-a",
        ),
        runtimes=("v2-alpha-tpuv5-lite", "v2-alpha-tpuv5", "v2-tpuv5-litepod"),
        quota=("TPUV5s", "Litepod"),
        most_chips_on_one_host=8,
    ),
    "v5p": Family(
        generation="V5P",
        topologies=CUBES,
        zones=("europe-west4-b", "us-central1-a", "us-east5-a"),
        runtimes=("v2-alpha-tpuv5",),
        quota=("TPUV5P", ""),
    ),
    "v6e": Family(
        generation="V6E",
        topologies=FLAT,
        zones=(
            "asia-northeast1-b",
            "asia-south1-b",
            "asia-south1-c",
            "asia-southeast1-b",
            "europe-west4-a",
            "southamerica-west1-a",
            "us-central1-b",
            "us-east1-d",
            "us-east4-a",
            "us-east5-a",
            "us-east5-b",
            "us-south1-a",
            "us-south1-c",
            "us-west1-c",
        ),
        runtimes=("v2-alpha-tpuv6e",),
        quota=("TPUV6E", ""),
        most_chips_on_one_host=8,
    ),
}
ZONES = tuple(sorted({zone for family in FAMILIES.values() for zone in family.zones}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One accelerator type. `units` is the number in its name: chips, or cores in v2 to v4 and v5p; quotas count those."""

    name: str
    family: str
    units: int
    topology: str
    hosts: int

    @property
    def chips_per_host(self) -> int:
        """How many chips each host has."""
        return _chips(self.topology) // self.hosts

    @property
    def generation(self) -> str:
        """AcceleratorConfig.Type."""
        return FAMILIES[self.family].generation

    def quota(self, *, spot: bool) -> str:
        """The name of the quota that such nodes use up."""
        prefix, suffix = FAMILIES[self.family].quota
        return f"{prefix}{'Preemptible' if spot else ''}{suffix}PerProjectPerRegionForTPUAPI"

    def runs(self, runtime: str) -> bool:
        """True when the runtime version was made for such a type."""
        return runtime in (*GENERIC_RUNTIMES, *FAMILIES[self.family].runtimes)


@cache
def kinds(zone: str) -> Mapping[str, Kind]:
    """The accelerator types of the zone by name."""
    return {kind.name: kind for family in FAMILIES if zone in FAMILIES[family].zones for kind in _of(family)}


def by_topology(zone: str, generation: str, topology: str) -> Kind | None:
    """The zone's type of that generation and topology."""
    return next((k for k in kinds(zone).values() if (k.generation, k.topology) == (generation, topology)), None)


@cache
def runtimes(zone: str) -> tuple[str, ...]:
    """The runtime versions that the zone's types can run."""
    there = (family for family in FAMILIES.values() if zone in family.zones)
    return tuple(sorted({*GENERIC_RUNTIMES, *(runtime for family in there for runtime in family.runtimes)}))


def region(zone: str) -> str:
    """The region that the zone lies in."""
    return zone.rsplit("-", 1)[0]


def _of(family: str) -> Iterator[Kind]:
    about = FAMILIES[family]
    for size, topology in about.topologies.items():
        chips = _chips(topology)
        hosts = 1 if chips <= about.most_chips_on_one_host else chips // CHIPS_PER_HOST
        yield Kind(name=f"{family}-{size}", family=family, units=int(size), topology=topology, hosts=hosts)


def _chips(topology: str) -> int:
    return math.prod(map(int, topology.split("x")))
