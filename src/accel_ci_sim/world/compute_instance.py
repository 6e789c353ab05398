"""An instance of the simulated Compute Engine."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from accel_ci_sim.world import compute_catalogue
from accel_ci_sim.world.compute_catalogue import MachineType
from accel_ci_sim.world.compute_images import Image
from accel_ci_sim.world.compute_status import Problem
from accel_ci_sim.world.tpu_node import TpuWorker

PATH = re.compile(r"projects/([^/]+)/zones/([^/]+)(?:/|$)")
TRUE = ("true", "1", "y", "yes")


class InstanceStatus(StrEnum):
    """Instance.status, as far as it is modelled."""

    PROVISIONING = "PROVISIONING"
    STAGING = "STAGING"
    RUNNING = "RUNNING"
    STOPPING = "STOPPING"
    TERMINATED = "TERMINATED"


@dataclass(slots=True, eq=False, kw_only=True)
class Instance:
    """One VM. `spec` is its resource in the API's own JSON, without what the API alone says; `turn` counts its changes.

    `accelerators` is what it really has, by type: what the machine type brings along and what was put beside it.
    `pending` is told how the change ends that is under way; None when there is none. Times are seconds since 1970:
    `ends_at` is when the cloud itself will end it, `up_at` when its inside last came up, `driver_at` from when on its GPU
    driver works.
    """

    name: str
    number: int
    spec: dict[str, Any]
    machine_type: MachineType
    accelerators: dict[str, int]
    image: Image | None
    created_at: float
    status: InstanceStatus = InstanceStatus.PROVISIONING
    turn: int = 0
    pending: Callable[[Problem | None], None] | None = None
    deleting: bool = False
    preempted: bool = False
    maintained: bool = False
    started_at: float | None = None
    up_at: float | None = None
    driver_at: float | None = None
    stopped_at: float | None = None
    ends_at: float | None = None
    gone_at: float | None = None
    workers: list[TpuWorker] = field(default_factory=lambda: [TpuWorker(0)])

    @property
    def project(self) -> str:
        """Its project."""
        return place_of(self.name)[0]

    @property
    def zone(self) -> str:
        """Its zone."""
        return place_of(self.name)[1]

    @property
    def scope(self) -> str:
        """Its project and zone."""
        return self.name.partition("/instances/")[0]

    @property
    def short_name(self) -> str:
        """Its name in its zone."""
        return self.name.rpartition("/")[2]

    @property
    def computer(self) -> TpuWorker:
        """The one host."""
        return self.workers[0]

    @property
    def scheduling(self) -> Mapping[str, Any]:
        """How and how long it runs."""
        found: Mapping[str, Any] = self.spec["scheduling"]
        return found

    @property
    def spot(self) -> bool:
        """True when it may be preempted."""
        return self.scheduling.get("provisioningModel") == "SPOT" or bool(self.scheduling.get("preemptible"))

    @property
    def has_gpu(self) -> bool:
        """True when there is work for a GPU driver."""
        return any(compute_catalogue.ACCELERATORS[name].is_gpu for name in self.accelerators)

    @property
    def deletes_itself(self) -> bool:
        """True when the cloud deletes it rather than stops it."""
        # The default is STOP, which goes on costing the disk.
        return self.scheduling.get("instanceTerminationAction") == "DELETE"

    @property
    def metadata(self) -> Mapping[str, str]:
        """What was given to the machine to read, its ssh keys and startup script among it."""
        return items(self.spec.get("metadata", {}))

    def turns(self, status: InstanceStatus) -> int:
        """Change the status; the number of this turn, so that what was planned for an earlier one can be told apart."""
        self.status = status
        self.turn += 1
        return self.turn

    def settle(self, problem: Problem | None = None) -> None:
        """The change that is under way is over, like this."""
        pending, self.pending = self.pending, None
        if pending is not None:
            pending(problem)


def place_of(name: str) -> tuple[str, str]:
    """Project and zone of the resource of this full name."""
    match = PATH.match(name)
    assert match is not None, name
    return match[1], match[2]


def items(metadata: Mapping[str, Any]) -> dict[str, str]:
    """The entries of a Metadata message."""
    return {item["key"]: item.get("value", "") for item in metadata.get("items", [])}


def is_true(metadata: Mapping[str, str], key: str) -> bool:
    """What guests make of a switch in their metadata."""
    return metadata.get(key, "").strip().lower() in TRUE
