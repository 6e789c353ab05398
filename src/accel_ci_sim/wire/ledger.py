"""Every machine that there ever was, with the times that a bill would be made from."""

from __future__ import annotations

from typing import Any

from accel_ci_sim.world.compute_instance import Instance
from accel_ci_sim.world.tpu_node import Node


def of_node(node: Node) -> dict[str, Any]:
    """A node of the ledger: seconds since 1970, null for what has not come. Google charges from READY to the end."""
    return {
        "name": node.name,
        "acceleratorType": node.kind.name,
        "spot": node.spot,
        "state": "GONE" if node.gone_at is not None else node.state.value,
        "created_at": node.created_at,
        "ready_at": node.ready_at,
        "gone_at": node.gone_at,
    }


def of_instance(instance: Instance) -> dict[str, Any]:
    """An instance of the ledger; Google charges from RUNNING to the end, or to TERMINATED."""
    return {
        "name": instance.name,
        "machineType": instance.machine_type.name,
        "acceleratorType": ",".join(f"{name}:{count}" for name, count in instance.accelerators.items()),
        "spot": instance.spot,
        "state": "GONE" if instance.gone_at is not None else instance.status.value,
        "created_at": instance.created_at,
        "ready_at": instance.started_at,
        "stopped_at": instance.stopped_at,
        "gone_at": instance.gone_at,
    }
