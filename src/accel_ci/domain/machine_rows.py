"""What Compute Engine has, and nothing else: change facts here. Prices are dated estimates; None is unknown, never a guess.

Machine types: docs.cloud.google.com/compute/docs/gpus and /tpu. Zones and prices: SkyPilot's catalogue v8 (gcp/vms.csv at
8427bbf). Its on-demand prices below its own spot prices, or at the level of a three-year commitment, are left out; prices
of the hosts of n1, a3-megagpu, a3-ultragpu and a4 were not found. `python -m tools.refresh_catalogue` rewrites PLACES.
"""

from __future__ import annotations

from typing import NamedTuple


class MachineType(NamedTuple):
    """A machine type with its vCPUs and chips, and the accelerator attached to it ("": it has its chips built in)."""

    name: str
    vcpus: int
    chips: int
    attached: str = ""


class Price(NamedTuple):
    """US dollars an hour in a region: one chip on demand and spot, and one vCPU with its memory on demand and spot.

    `date`: when all four were read from Google's price list; "": they are SOURCE's, of DATE.
    """

    region: str
    zones: str
    chip: float | None
    chip_spot: float | None
    vcpu: float | None
    vcpu_spot: float | None
    date: str = ""


DATE = "2026-08"  # of the prices
ZONES_DATE = "2026-08"
PRICE_LIST = "Google's price list (cloudbilling.googleapis.com)"
SOURCE = "SkyPilot catalog v8, gcp/vms.csv at 8427bbf"

# What users order: the family and how many chips. The smallest machine type that has them.
SHAPES = {
    "l4-1": MachineType("g2-standard-4", 4, 1),
    "l4-2": MachineType("g2-standard-24", 24, 2),
    "l4-4": MachineType("g2-standard-48", 48, 4),
    "l4-8": MachineType("g2-standard-96", 96, 8),
    "t4-1": MachineType("n1-standard-4", 4, 1, "nvidia-tesla-t4"),
    "t4-2": MachineType("n1-standard-8", 8, 2, "nvidia-tesla-t4"),
    "t4-4": MachineType("n1-standard-16", 16, 4, "nvidia-tesla-t4"),
    "p4-1": MachineType("n1-standard-4", 4, 1, "nvidia-tesla-p4"),
    "p100-1": MachineType("n1-standard-8", 8, 1, "nvidia-tesla-p100"),
    "v100-1": MachineType("n1-standard-8", 8, 1, "nvidia-tesla-v100"),
    "v100-8": MachineType("n1-standard-64", 64, 8, "nvidia-tesla-v100"),
    "a100-1": MachineType("a2-highgpu-1g", 12, 1),
    "a100-2": MachineType("a2-highgpu-2g", 24, 2),
    "a100-4": MachineType("a2-highgpu-4g", 48, 4),
    "a100-8": MachineType("a2-highgpu-8g", 96, 8),
    "a100-16": MachineType("a2-megagpu-16g", 96, 16),
    "a100-80gb-1": MachineType("a2-ultragpu-1g", 12, 1),
    "a100-80gb-2": MachineType("a2-ultragpu-2g", 24, 2),
    "a100-80gb-4": MachineType("a2-ultragpu-4g", 48, 4),
    "a100-80gb-8": MachineType("a2-ultragpu-8g", 96, 8),
    "h100-1": MachineType("a3-highgpu-1g", 26, 1),
    "h100-2": MachineType("a3-highgpu-2g", 52, 2),
    "h100-4": MachineType("a3-highgpu-4g", 104, 4),
    "h100-8": MachineType("a3-highgpu-8g", 208, 8),
    "h100-mega-8": MachineType("a3-megagpu-8g", 208, 8),
    "h200-8": MachineType("a3-ultragpu-8g", 224, 8),
    "b200-8": MachineType("a4-highgpu-8g", 224, 8),
    "v6e-1": MachineType("ct6e-standard-1t", 44, 1),
    "v6e-4": MachineType("ct6e-standard-4t", 180, 4),
    "v6e-8": MachineType("ct6e-standard-8t", 180, 8),
    "tpu7x-2": MachineType("tpu7x-standard-1t", 56, 1),
    "tpu7x-8": MachineType("tpu7x-standard-4t", 224, 4),
    "e2-standard-2": MachineType("e2-standard-2", 2, 0),
    "e2-standard-4": MachineType("e2-standard-4", 4, 0),
    "e2-standard-8": MachineType("e2-standard-8", 8, 0),
    "e2-standard-16": MachineType("e2-standard-16", 16, 0),
    "e2-standard-32": MachineType("e2-standard-32", 32, 0),
}

# Families whose chips are TPUs; what is not here and has chips has GPUs.
TPUS = ("v6e", "tpu7x", "v5litepod", "v5p")

# How many chips an explicit machine type has built in, where it is not the smallest one of SHAPES.
BUILT_IN = {
    "g2-standard-8": ("l4", 8, 1),
    "g2-standard-12": ("l4", 12, 1),
    "g2-standard-16": ("l4", 16, 1),
    "g2-standard-32": ("l4", 32, 1),
    # Public projects lease these on Compute Engine since 2026; which zones have them is not known to us.
    "ct5lp-hightpu-1t": ("v5litepod", 24, 1),
    "ct5lp-hightpu-4t": ("v5litepod", 112, 4),
    "ct5lp-hightpu-8t": ("v5litepod", 224, 8),
    "ct5p-hightpu-4t": ("v5p", 208, 4),
}

# Where a family's machines are, and what they cost. TPUs are in accelerator_rows: both backends lease the same hardware.
PLACES = {
    "l4": (
        Price("us-central1", "abc", 0.56004, 0.2231, 0.036698, 0.014684),
        Price("us-east1", "bcd", 0.56004, 0.2231, 0.036698, 0.014684),
        Price("us-west1", "abc", 0.56004, 0.2231, 0.036698, 0.014684),
        Price("us-east4", "ac", 0.55821, 0.2233, 0.036578, 0.014628),
        Price("us-west4", "ac", 0.63077, 0.1912, None, None),
        Price("europe-west1", "bc", 0.61666, 0.2406, 0.040408, 0.01324),
        Price("europe-west2", "ab", 0.63765, 0.2711, 0.041784, 0.01843),
        Price("europe-west3", "ab", 0.66085, 0.3049, 0.04325, 0.019982),
        Price("europe-west4", "abc", 0.58804, 0.2322, 0.038572, 0.017022),
        Price("europe-west6", "bc", 0.78344, 0.1802, 0.048077, 0.020036),
        Price("northamerica-northeast1", "b", 0.61666, 0.2401, 0.040408, 0.011906),
        Price("northamerica-northeast2", "ab", 0.61666, 0.2553, 0.040408, 0.01493),
        Price("asia-east1", "abc", 0.64847, 0.2568, 0.042493, 0.012474),
        Price("asia-northeast1", "abc", 0.7192, 0.3445, 0.047128, 0.022774),
        Price("asia-northeast3", "ab", 0.7192, 0.1555, 0.047128, 0.009136),
        Price("asia-south1", "abc", 0.58298, 0.2321, 0.038201, 0.015276),
        Price("asia-southeast1", "abc", 0.69092, 0.2253, 0.045274, 0.01712),
        Price("me-central2", "ac", 0.89606, 0.4328, 0.058717, 0.024298),
    ),
    "t4": (
        Price("us-central1", "abcf", 0.35, 0.175, None, None),
        Price("us-east1", "cd", None, None, None, None),
        Price("us-west1", "ab", None, None, None, None),
        Price("us-west4", "ab", 0.35, 0.126, None, None),
        Price("europe-west1", "bcd", 0.35, 0.14, None, None),
        Price("europe-west4", "abc", 0.3675, 0.175, None, None),
        Price("asia-east1", "ac", 0.35, 0.1257, None, None),
        Price("asia-northeast1", "ac", 0.37, 0.1192, None, None),
        Price("asia-southeast1", "abc", 0.37, 0.1828, None, None),
    ),
    "p4": (
        Price("us-central1", "ac", 0.60, 0.2484, None, None),
        Price("us-east4", "abc", 0.60, 0.1734, None, None),
        Price("europe-west4", "bc", 0.63, 0.12, None, None),
        Price("asia-southeast1", "bc", 0.65, 0.0585, None, None),
    ),
    "p100": (
        Price("us-central1", "cf", 1.46, 0.6699, None, None),
        Price("us-east1", "bc", 1.46, 0.6699, None, None),
        Price("us-west1", "ab", 1.46, 0.6699, None, None),
        Price("europe-west1", "bd", 1.60, 0.3129, None, None),
        Price("europe-west4", "a", 1.533, 0.2601, None, None),
        Price("asia-east1", "ac", 1.60, 0.144, None, None),
    ),
    "v100": (
        Price("us-central1", "abcf", 2.48, 1.089, None, None),
        Price("us-west1", "ab", 2.48, 1.089, None, None),
        Price("europe-west4", "abc", None, None, None, None),
        Price("asia-east1", "c", None, None, None, None),
    ),
    "a100": (
        Price("us-central1", "abcf", 2.93391, 1.4341, 0.061623, 0.030813),
        Price("us-east1", "b", 2.93391, 1.4341, 0.061623, 0.030813),
        Price("us-west1", "b", 2.93391, 1.4341, 0.061623, 0.030813),
        Price("us-west3", "b", 3.43686, 1.4903, 0.074017, 0.032178),
        Price("us-west4", "b", 3.10156, 1.2406, 0.0694, 0.027755),
        Price("me-west1", "ac", 3.2273, 1.0076, 0.067785, 0.026606),
        Price("europe-west4", "ab", None, 1.1691, 0.067838, 0.02652),
        Price("asia-northeast1", "ac", None, 1.1721, 0.079003, 0.033162),
        Price("asia-northeast3", "ab", None, 1.2406, 0.079003, 0.028522),
        Price("asia-southeast1", "bc", None, 1.5012, 0.076017, 0.036793),
    ),
    "a100-80gb": (
        Price("us-east5", "ab", 4.4242, 1.272, 0.091635, 0.025994),
        Price("us-central1", "ac", None, 1.964, 0.091635, 0.045815),
        Price("us-east4", "c", None, 1.7697, 0.103194, 0.039994),
        Price("europe-west4", "a", None, 2.1626, 0.100875, 0.03944),
        Price("asia-southeast1", "c", 4.84607, 1.919, 0.113034, 0.054708),
    ),
    "h100": (
        Price("us-east4", "abc", 9.79655, 2.1291, 0.045481, 0.009887),
        Price("us-east5", "a", 11.03385, 2.2934, 0.051225, 0.01065),
        Price("us-central1", "abc", None, 2.8501, 0.045481, 0.013233),
        Price("us-west1", "ab", None, 2.8501, 0.045481, 0.013233),
        Price("us-west4", "a", None, 2.2934, 0.051225, 0.01065),
        Price("europe-north1", "c", 10.78698, 1.4854, 0.050079, 0.008083),
        Price("europe-west1", "bc", 10.78698, 2.2427, 0.050079, 0.010412),
        Price("europe-west3", "c", 11.55993, 2.5178, 0.053668, 0.011699),
        Price("europe-west4", "bc", 12.73552, 2.6465, 0.047755, 0.009935),
        Price("europe-west9", "c", 11.364, 2.5875, 0.052758, 0.010603),
        Price("asia-east1", "c", 11.34343, 2.5829, 0.052663, 0.011985),
        Price("asia-northeast1", "b", None, 3.2344, 0.058407, 0.013291),
        Price("asia-south1", "c", 10.18841, 2.219, 0.0473, 0.010316),
        Price("asia-south2", "b", 11.76664, 2.5628, 0.054627, 0.011899),
        Price("asia-southeast1", "bc", None, 2.7674, 0.05611, 0.012195),
        Price("australia-southeast1", "c", None, 2.7883, 0.056851, 0.011428),
    ),
    "h100-mega": (
        Price("us-central1", "abc", 10.344276, 3.0096, None, None),
        Price("us-east4", "abc", 10.34428, 1.8619, None, None),
        Price("us-west1", "ab", 10.344276, 3.0096, None, None),
        Price("us-west4", "a", 11.65076, 2.0971, None, None),
        Price("europe-west4", "bc", 13.44756, 2.7958, None, None),
    ),
    "h200": (
        Price("us-east4", "b", 9.31174, 3.6567, None, None),
        Price("us-central1", "b", 9.31174, 4.6559, None, None),
        Price("us-west1", "c", 9.31174, 4.6559, None, None),
    ),
    "b200": (
        Price("us-central1", "b", 11.277, 4.0758, None, None),
        Price("us-east1", "b", 11.277, 4.0758, None, None),
        Price("us-south1", "b", 11.277, 4.0758, None, None),
        Price("europe-west4", "b", 11.277, 4.4834, None, None),
    ),
    "e2": (
        Price("us-central1", "abcf", 0.0, 0.0, 0.033505, 0.01547),
        Price("us-east1", "bcd", 0.0, 0.0, 0.033505, 0.01547),
        Price("us-east4", "abc", 0.0, 0.0, 0.037735, 0.018165),
        Price("us-east5", "abc", 0.0, 0.0, 0.033505, 0.008415),
        Price("us-west1", "abc", 0.0, 0.0, 0.033505, 0.01547),
        Price("us-west4", "abc", 0.0, 0.0, 0.037735, 0.003578),
        Price("europe-north1", "abc", 0.0, 0.0, 0.03689, 0.008095),
        Price("europe-west1", "bcd", 0.0, 0.0, 0.036858, 0.01474),
        Price("europe-west2", "abc", 0.0, 0.0, 0.043168, 0.011865),
        Price("europe-west3", "abc", 0.0, 0.0, 0.043168, 0.01726),
        Price("europe-west4", "abc", 0.0, 0.0, 0.036885, 0.01462),
        Price("asia-east1", "abc", 0.0, 0.0, 0.038795, 0.018773),
        Price("asia-northeast1", "abc", 0.0, 0.0, 0.042983, 0.019863),
        Price("asia-southeast1", "abc", 0.0, 0.0, 0.041333, 0.01909),
    ),
}
