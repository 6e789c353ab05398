"""A simulated Compute Engine on time that passes when a test says so, with machines that are up when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from accel_ci_sim.world.compute import ComputeCloud
from accel_ci_sim.world.compute_instance import Instance
from accel_ci_sim.world.compute_operations import Operation
from accel_ci_sim.world.tpu_knobs import Knobs
from accel_ci_sim.world.tpu_status import RefusedError, Status
from tests.world.tpu_sky import VirtualTime

ZONE = "us-central1-b"
IMAGE = "projects/debian-cloud/global/images/family/debian-12"
SPOT: Mapping[str, Any] = {"provisioningModel": "SPOT", "instanceTerminationAction": "STOP"}


class FakeHosts:
    """`powered` holds the names of machines that have power, `up` of those that answer, `disks` of those with a disk."""

    def __init__(self) -> None:
        self.powered: set[str] = set()
        self.up: set[str] = set()
        self.disks: set[str] = set()

    def assign(self, instance: Instance) -> None:
        """Power, and a disk."""
        self.powered.add(instance.name)
        self.disks.add(instance.name)

    def start(self, instance: Instance, up: Callable[[], None]) -> None:
        """Up at once."""
        self.up.add(instance.name)
        up()

    def stop(self, instance: Instance, *, again: bool = False) -> None:
        """Off at once."""
        self.powered.discard(instance.name)
        self.up.discard(instance.name)

    def discard(self, instance: Instance) -> None:
        """No disk any more."""
        self.disks.discard(instance.name)


class Sky:
    """A cloud, its machines and its time."""

    def __init__(self, **knobs: Any) -> None:
        self.time = VirtualTime()
        self.hosts = FakeHosts()
        self.cloud = ComputeCloud(self.time, self.hosts, Knobs(**knobs))

    def turn(self, **knobs: Any) -> None:
        """Other knobs from now on."""
        self.cloud.life.turn_knobs(Knobs(**knobs))

    def insert(self, name: str = "t1", *, zone: str = ZONE, request_id: str = "", **fields: Any) -> Operation:
        """Ask for an instance with these fields, and let happen what happens at once."""
        operation = self.cloud.insert("p", zone, body(name, zone=zone, **fields), request_id=request_id)
        self.time.go()
        return operation

    def delete(self, name: str = "t1", *, zone: str = ZONE, request_id: str = "") -> Operation:
        """Ask for its end, and let happen what happens at once."""
        operation = self.cloud.delete(path(name, zone=zone), request_id=request_id)
        self.time.go()
        return operation

    def instance(self, name: str = "t1") -> Instance:
        """The instance in us-central1-b."""
        return self.cloud.instance(path(name))

    def status(self, name: str = "t1") -> str:
        """Its status, GONE when there is none."""
        there = self.cloud.life.instances.get(path(name))
        return there.status.value if there else "GONE"

    def kinds(self) -> list[str]:
        """The kinds of all operations of the zone, oldest first."""
        found = self.cloud.operations.listed(f"projects/p/zones/{ZONE}")
        return [each.kind for each in sorted(found, key=lambda each: each.created_at)]


def path(name: str = "t1", *, zone: str = ZONE) -> str:
    """The full name of an instance."""
    return f"projects/p/zones/{zone}/instances/{name}"


def body(name: str = "t1", *, zone: str = ZONE, machine_type: str = "e2-standard-4", **fields: Any) -> dict[str, Any]:
    """An Instance to ask for."""
    return {
        "name": name,
        "machineType": f"zones/{zone}/machineTypes/{machine_type}",
        "disks": [{"boot": True, "autoDelete": True, "initializeParams": {"sourceImage": IMAGE}}],
        "networkInterfaces": [{"network": "global/networks/default"}],
        **fields,
    }


def refused(call: Callable[..., object], *arguments: Any, **named: Any) -> Status:
    """Why the call was refused."""
    with pytest.raises(RefusedError) as caught:
        call(*arguments, **named)
    return caught.value.status
