"""A TPU VM from inside: what its metadata server knows."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from accel_ci_sim.wire.guest import Guest
from accel_ci_sim.world import tpu, tpu_catalogue
from accel_ci_sim.world.tpu_node import Node, TpuWorker

# The generations whose chips are /dev/accel*; those of the others are VFIO groups.
ACCEL = ("V2", "V3", "V4")


def guests(node: Node) -> list[Guest]:
    """The hosts of a node, which now has its workers."""
    node.workers = [TpuWorker(index) for index in range(node.kind.hosts)]
    return [
        Guest(
            computer=worker,
            hostname=hostname(node, worker),
            metadata=lambda: node.metadata,
            tree=partial(tree, node, worker),
            devices=partial(devices, node),
        )
        for worker in node.workers
    ]


def tree(node: Node, worker: TpuWorker) -> Mapping[str, Any]:
    """What a TPU VM can read about itself."""
    place, node_id = node.place, node.name.rpartition("/")[2]
    number = tpu.project_number(place.project)
    endpoints = ",".join(f"unknown:unknown:{other.address}" for other in node.workers)
    return {
        "instance": {
            "attributes": {
                **node.metadata,
                "accelerator-type": node.kind.name,
                "agent-worker-number": str(worker.index),
                "worker-network-endpoints": endpoints,
                "instance-id": node_id,
            },
            "hostname": f"{hostname(node, worker)}.{place.zone}.c.{place.project}.internal",
            "id": str(node.number + worker.index),
            "name": hostname(node, worker),
            "preempted": "FALSE",
            "region": f"projects/{number}/regions/{tpu_catalogue.region(place.zone)}",
            "zone": f"projects/{number}/zones/{place.zone}",
        },
        "project": {"numeric-project-id": str(number), "project-id": place.project},
    }


def devices(node: Node) -> tuple[str, ...]:
    """What each host shows below /dev: a device for each of its chips, of Google's own driver in the older generations."""
    name = "accel{}" if node.kind.generation in ACCEL else "vfio/{}"
    return tuple(name.format(number) for number in range(node.kind.chips_per_host))


def hostname(node: Node, worker: TpuWorker) -> str:
    """How the machine calls itself."""
    return f"t1v-n-{node.number % (1 << 32):08x}-w-{worker.index}"
