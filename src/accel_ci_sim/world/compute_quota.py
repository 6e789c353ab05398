"""How much of everything a project uses and may use."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from accel_ci_sim.world import compute_catalogue, compute_status
from accel_ci_sim.world.compute_instance import Instance, InstanceStatus
from accel_ci_sim.world.compute_order import Order
from accel_ci_sim.world.compute_status import Problem
from accel_ci_sim.world.tpu_knobs import Knobs

ALL_REGIONS = "GPUS_ALL_REGIONS"
PLENTY = 1000


def metric(accelerator: str, *, spot: bool) -> str:
    """The quota that such an accelerator uses up."""
    return "PREEMPTIBLE_" * spot + compute_catalogue.ACCELERATORS[accelerator].quota


def exceeded(there: Iterable[Instance], knobs: Knobs, order: Order, *, project: str, zone: str) -> Problem | None:
    """What is wrong when the order would come on top of what is there; None when nothing is."""
    instances = [each for each in there if each.project == project]
    region = compute_catalogue.region(zone)
    spot = order.spec["scheduling"]["provisioningModel"] == "SPOT"
    # Spot has quotas of its own: PREEMPTIBLE_NVIDIA_L4_GPUS beside NVIDIA_L4_GPUS.
    limit, used = knobs.quota_limit(region), usage(instances, region)
    for name, count in order.accelerators.items():
        if limit is not None and used[metric(name, spot=spot)] + count > limit:
            return compute_status.over_quota(metric(name, spot=spot), limit, region)
    # GPUS_ALL_REGIONS is 0 in new projects, and no other region helps.
    gpus = _gpus(order.accelerators)
    most = knobs.gpus_all_regions
    if most is not None and gpus and usage(instances)[ALL_REGIONS] + gpus > most:
        return compute_status.over_quota(ALL_REGIONS, most, "")
    return None


def usage(instances: Iterable[Instance], region: str = "") -> Counter[str]:
    """What the instances use by metric, in the region or in all. Those that are TERMINATED use nothing but their disks."""
    used: Counter[str] = Counter()
    for each in instances:
        if region in ("", compute_catalogue.region(each.zone)):
            used["INSTANCES"] += 1
            used["DISKS_TOTAL_GB"] += sum(int(disk["diskSizeGb"]) for disk in each.spec["disks"])
            # A stopped machine gives its cores back and keeps its disk.
            if each.status is not InstanceStatus.TERMINATED:
                used["PREEMPTIBLE_CPUS" if each.spot else "CPUS"] += each.machine_type.cpus
                used[ALL_REGIONS] += _gpus(each.accelerators)
                for name, count in each.accelerators.items():
                    used[metric(name, spot=each.spot)] += count
    return used


def limits(knobs: Knobs, region: str) -> dict[str, int]:
    """How much of each metric there may be in the region."""
    own = knobs.quota_limit(region)
    families = sorted({each.quota for each in compute_catalogue.ACCELERATORS.values()})
    accelerators = {
        prefix + name: PLENTY if own is None else own for name in families for prefix in ("", "PREEMPTIBLE_")
    }
    return {"CPUS": 10 * PLENTY, "PREEMPTIBLE_CPUS": 10 * PLENTY, "DISKS_TOTAL_GB": 100 * PLENTY, **accelerators}


def _gpus(accelerators: Mapping[str, int]) -> int:
    return sum(count for name, count in accelerators.items() if compute_catalogue.ACCELERATORS[name].is_gpu)
