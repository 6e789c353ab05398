"""The catalogue's data, and nothing else: change facts here. Prices are dated estimates; None is unknown, never a guess.

Prices and zones: SkyPilot's catalogue v8 (gcp/vms.csv at 006059e), its rows per machine divided by chips, and
docs.cloud.google.com/tpu/docs/regions-zones. Runtime versions: docs.cloud.google.com/tpu/docs/runtimes.
Chips and hosts: system_characteristics.py of AI-Hypercomputer/xpk 1.16.0, and the documentation for 8 chips on one host.
A module rather than a JSON file, because the domain reads no files.
"""

from __future__ import annotations

from typing import NamedTuple


class Family(NamedTuple):
    """Types of one generation: the backends that have them, the preferred one first; the Cloud TPU API's runtime version;

    where the prices come from.
    """

    backends: tuple[str, ...]
    runtime: str
    date: str
    source: str


class Place(NamedTuple):
    """A family in a zone: US dollars a chip and hour, on demand and spot. `date`: see machine_rows.Price."""

    family: str
    zone: str
    on_demand: float | None
    spot: float | None
    date: str = ""


CATALOG = "SkyPilot catalog v8, gcp/vms.csv at 006059e"

FAMILIES = {
    "v6e": Family(("gce", "tpu"), "v2-alpha-tpuv6e", "2026", CATALOG),
    "v5litepod": Family(("tpu",), "v2-alpha-tpuv5-lite", "2026", CATALOG),
    "v5p": Family(("tpu",), "v2-alpha-tpuv5", "2026", CATALOG),
    "v4": Family(("tpu",), "tpu-ubuntu2204-base", "2026", CATALOG),
    "v3": Family(("tpu",), "tpu-ubuntu2204-base", "2026", CATALOG),
    "v2": Family(("tpu",), "tpu-ubuntu2204-base", "2026", CATALOG),
    "tpu7x": Family(("gce",), "", "2026", "docs.cloud.google.com/tpu/docs/regions-zones"),
}

# What people call a family, where that is not what the API calls it.
NICKNAMES = {
    "v5e": "v5litepod",
    "v5lite": "v5litepod",
    "v7x": "tpu7x",
    "v7": "tpu7x",
    "a100-40gb": "a100",
    "a100-80": "a100-80gb",
    "h100-80gb": "h100",
}

# By type its chips and hosts. The number in a type counts chips in v6e and v5litepod, cores (two a chip) elsewhere.
SHAPES = {
    "v6e-1": (1, 1),
    "v6e-4": (4, 1),
    "v6e-8": (8, 1),
    "v6e-16": (16, 4),
    "v6e-32": (32, 8),
    "v6e-64": (64, 16),
    "v6e-128": (128, 32),
    "v6e-256": (256, 64),
    "v5litepod-1": (1, 1),
    "v5litepod-4": (4, 1),
    "v5litepod-8": (8, 1),
    "v5litepod-16": (16, 4),
    "v5litepod-32": (32, 8),
    "v5litepod-64": (64, 16),
    "v5litepod-128": (128, 32),
    "v5litepod-256": (256, 64),
    "v5p-8": (4, 1),
    "v5p-16": (8, 2),
    "v5p-32": (16, 4),
    "v5p-64": (32, 8),
    "v5p-128": (64, 16),
    "v4-8": (4, 1),
    "v4-16": (8, 2),
    "v4-32": (16, 4),
    "v4-64": (32, 8),
    "v4-128": (64, 16),
    "v3-8": (4, 1),
    "v2-8": (4, 1),
    "tpu7x-2": (1, 1),
    "tpu7x-8": (4, 1),
}

PLACES = (
    Place("v6e", "us-central1-b", 2.70, 0.544),
    Place("v6e", "us-east1-d", 2.70, 0.544),
    Place("v6e", "us-east4-a", 2.70, 0.578),
    Place("v6e", "us-east5-a", 2.70, 1.215),
    Place("v6e", "us-east5-b", 2.70, 1.215),
    Place("v6e", "us-south1-a", 2.70, 1.35),
    Place("v6e", "us-south1-c", 2.70, 1.35),
    Place("v6e", "us-west1-c", 2.70, 0.544),
    Place("v6e", "europe-west4-a", 2.97, 1.037),
    Place("v6e", "asia-northeast1-b", 3.24, 0.944),
    Place("v6e", "asia-south1-b", 3.24, 2.27),
    Place("v6e", "asia-south1-c", 3.24, 2.27),
    Place("v6e", "asia-southeast1-b", 2.97, 0.363),
    Place("v6e", "southamerica-west1-a", None, None),
    Place("v5litepod", "us-central1-a", 1.20, 0.245),
    Place("v5litepod", "us-south1-a", 1.416, 0.566),
    Place("v5litepod", "us-west1-c", 1.20, 0.245),
    Place("v5litepod", "us-west4-a", 1.20, 0.48),
    Place("v5litepod", "europe-west4-b", 1.56, 0.445),
    Place("v5litepod", "asia-southeast1-b", 1.56, 0.78),
    Place("v5p", "us-central1-a", 4.20, 0.836),
    Place("v5p", "us-east5-a", 4.20, 1.68),
    Place("v5p", "europe-west4-b", 4.25, 1.35),
    Place("v4", "us-central2-b", 3.22, 0.9215),
    Place("v3", "us-central1-a", 2.00, 0.51),
    Place("v3", "us-central1-b", 2.00, 0.51),
    Place("v3", "europe-west4-a", None, None),
    Place("v2", "us-central1-b", 1.125, 0.3375),
    Place("v2", "us-central1-c", 1.125, 0.3375),
    Place("v2", "europe-west4-a", None, None),
    Place("v2", "asia-east1-c", None, None),
    Place("tpu7x", "us-central1-c", None, None),
    Place("tpu7x", "us-central1-ai1a", None, None),
)
