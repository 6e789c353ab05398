"""Compute Engine as its API shows it, pure and seeded: the wire serves it to real clients, and worlds can hold it as well."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from accel_ci_sim.world import compute_catalogue, compute_order, compute_quota, compute_status, tpu
from accel_ci_sim.world.compute_instance import Instance, InstanceStatus
from accel_ci_sim.world.compute_life import InstanceHosts, InstanceLife
from accel_ci_sim.world.compute_operations import Operation
from accel_ci_sim.world.compute_order import Order
from accel_ci_sim.world.compute_status import Problem
from accel_ci_sim.world.life import Time
from accel_ci_sim.world.tpu_knobs import Knobs

Change = Callable[[dict[str, Any]], None]
Refuse = Callable[[Instance], None]
Act = Callable[[Instance, Operation], None]


class ComputeCloud:
    """All projects' instances and operations. Methods raise RefusedError for what the API refuses at once.

    `shared` is the metadata that all of a project's instances see, by project. A request id that was seen before gives
    the operation that it began then.
    """

    def __init__(self, time: Time, hosts: InstanceHosts, knobs: Knobs) -> None:
        self.life = InstanceLife(time, hosts, knobs)
        self.operations = self.life.operations
        self.shared: dict[str, dict[str, Any]] = {}

    def enter(self, project: str, zone: str) -> None:
        """RefusedError for a zone that does not exist, is closed to the project, or does not answer."""
        knobs = self.life.knobs
        if zone in knobs.closed_zones:
            raise compute_status.closed_zone(project, zone)
        if zone not in compute_catalogue.ZONES:
            raise compute_status.invalid("zone", zone, "Unknown zone.")
        if zone in knobs.unreachable_zones:
            raise compute_status.unavailable()

    def mutate(self, project: str) -> None:
        """RefusedError when the project changes things too fast."""
        if self.life.luck.chance(self.life.knobs.rate_limited):
            raise compute_status.too_fast(project, tpu.project_number(project))

    def partial(self) -> bool:
        """True when a list of all zones goes without those that do not answer, though nobody asked for that."""
        return self.life.luck.chance(self.life.knobs.partial_lists)

    def insert(self, project: str, zone: str, body: Mapping[str, Any], *, request_id: str = "") -> Operation:
        """Begin to make an instance; most of what can go wrong is told by the operation only."""
        scope = f"projects/{project}/zones/{zone}"
        known = self.operations.remembered(scope, request_id)
        if known is not None:
            return known
        life = self.life
        # Once for the whole request: what is malformed has no operation.
        order = compute_order.checked(project, zone, body, networks=life.knobs.networks, now=life.now)
        name = f"{scope}/instances/{order.name}"
        # One that is STOPPING has its name still.
        if name in life.instances:
            raise compute_status.already_exists(name)
        over = compute_quota.exceeded(life.instances.values(), life.knobs, order, project=project, zone=zone)
        # Google does both, and clients have to read either.
        if over is not None and life.luck.chance(life.knobs.quota_at_once):
            raise compute_status.over_quota_at_once(over)
        instance = life.land(
            name, order.spec, machine_type=order.machine_type, accelerators=order.accelerators, image=order.image
        )
        operation = self._begin("insert", instance, request_id)
        # The call is accepted all the same: capacity is told by the operation, minutes later.
        problem = over or self._misfortune(scope, zone, order)
        # A creation that failed for want of capacity may land all the same, and cost.
        stays = problem is not None and over is None and life.luck.chance(life.knobs.lands_anyway)
        fails_to = InstanceStatus.RUNNING if stays else None
        life.boot(instance, self._ended(operation), problem=problem, fails_to=fails_to)
        return operation

    def delete(self, name: str, *, request_id: str = "") -> Operation:
        """Begin to end the instance, whatever it is doing."""

        def refuse(instance: Instance) -> None:
            if instance.spec["deletionProtection"]:
                raise compute_status.is_protected(name)
            # Whether Google refuses this is not written down: a client has to bear both.
            making = instance.status in (InstanceStatus.PROVISIONING, InstanceStatus.STAGING)
            if instance.deleting or (making and self.life.luck.chance(self.life.knobs.not_ready)):
                raise compute_status.not_ready(name)

        def act(instance: Instance, operation: Operation) -> None:
            self.life.remove(instance, lambda: self.operations.end(operation))

        return self._once("delete", name, request_id, refuse, act)

    def stop(self, name: str, *, request_id: str = "") -> Operation:
        """Begin to stop a running instance; one that is stopped already stays so."""

        def act(instance: Instance, operation: Operation) -> None:
            if instance.status is InstanceStatus.RUNNING:
                self.life.halt(instance, self._ended(operation))
            else:
                self.operations.end(operation)

        return self._once("stop", name, request_id, _refuse_busy, act)

    def start(self, name: str, *, request_id: str = "") -> Operation:
        """Begin to start a TERMINATED instance again; the zone may have none left by now."""

        def act(instance: Instance, operation: Operation) -> None:
            if instance.status is not InstanceStatus.TERMINATED:
                return self.operations.end(operation)
            # A stopped machine has no claim on its hardware.
            scarce = self.life.luck.scarce(instance.zone)
            problem = (
                self._stockout(instance.scope, instance.machine_type.name, instance.accelerators) if scarce else None
            )
            self.life.boot(instance, self._ended(operation), problem=problem, fails_to=InstanceStatus.TERMINATED)

        return self._once("start", name, request_id, _refuse_busy, act)

    def reset(self, name: str, *, request_id: str = "") -> Operation:
        """Turn a running instance off and on, and keep its disk."""

        def act(instance: Instance, operation: Operation) -> None:
            self.life.reset(instance)
            self.operations.end(operation)

        return self._once("reset", name, request_id, _refuse_unless_running, act)

    def update(self, kind: str, name: str, change: Change, *, request_id: str = "") -> Operation:
        """Change the resource in its place; `change` may refuse."""
        changed: dict[str, Any] = {}

        def refuse(instance: Instance) -> None:
            # Changed in a copy: a refusal in the middle leaves the instance as it was.
            changed.update(copy.deepcopy(instance.spec))
            change(changed)

        def act(instance: Instance, operation: Operation) -> None:
            instance.spec = changed
            self.operations.end(operation)

        return self._once(kind, name, request_id, refuse, act)

    def reschedule(self, name: str, scheduling: Mapping[str, Any], *, request_id: str = "") -> Operation:
        """Other scheduling: only the time limit can change while the instance runs, and counts from its start."""
        instance = self.life.instances.get(name)

        def change(spec: dict[str, Any]) -> None:
            assert instance is not None
            # Google refuses to turn spot into on-demand under a running machine.
            if instance.status is not InstanceStatus.TERMINATED and _model(scheduling) != _model(instance.scheduling):
                raise compute_status.bad_request("The provisioning model of a running instance cannot be changed.")
            spec["scheduling"] = compute_order.scheduling(
                scheduling, has_accelerators=bool(instance.accelerators), now=self.life.now
            )

        operation = self.update("setScheduling", name, change, request_id=request_id)
        if instance is not None:
            self.life.limit(instance)
        return operation

    def retype(self, name: str, url: str, *, request_id: str = "") -> Operation:
        """Another machine type, of an instance that is stopped."""

        def refuse(instance: Instance) -> None:
            compute_order.machine_type_of(instance.zone, url)
            if instance.status is not InstanceStatus.TERMINATED:
                raise compute_status.not_ready(name)

        def act(instance: Instance, operation: Operation) -> None:
            instance.machine_type = compute_order.machine_type_of(instance.zone, url)
            path = f"{instance.scope}/machineTypes/{instance.machine_type.name}"
            instance.spec = {**instance.spec, "machineType": path}
            self.operations.end(operation)

        return self._once("setMachineType", name, request_id, refuse, act)

    def share(self, project: str, metadata: Mapping[str, Any], *, request_id: str = "") -> Operation:
        """Give metadata to all instances of the project."""
        scope = f"projects/{project}/global"
        known = self.operations.remembered(scope, request_id)
        if known is not None:
            return known
        self.shared[project] = dict(metadata)
        number = tpu.project_number(project)
        kind = "compute.projects.setCommonInstanceMetadata"
        operation = self.operations.begin(kind, scope, f"projects/{project}", number=number, request_id=request_id)
        self.operations.end(operation)
        return operation

    def instance(self, name: str) -> Instance:
        """The instance of that full name; RefusedError without one."""
        if name not in self.life.instances:
            raise compute_status.not_found(name)
        return self.life.instances[name]

    def listed(self, project: str, zones: Sequence[str]) -> list[Instance]:
        """What a list shows now, by zone and name. It may lag: too young ones are missing, those that went still run."""
        life, lag = self.life, self.life.knobs.list_lag_s
        # A list may show for seconds what get already denies.
        gone = [_as_running(each) for each in life.ledger if each.gone_at is not None and life.now < each.gone_at + lag]
        there = [each for each in life.instances.values() if each.created_at + lag <= life.now]
        found = {each.name: each for each in (*gone, *there)}
        return [each for _, each in sorted(found.items()) if each.project == project and each.zone in zones]

    def _once(self, kind: str, name: str, request_id: str, refuse: Refuse, act: Act) -> Operation:
        """The operation on the instance: what a request of that id began before, or a new one, unless it is refused."""
        # Before anything else: a repeated request is the first one's answer even when the instance is gone.
        known = self.operations.remembered(name.partition("/instances/")[0], request_id)
        if known is not None:
            return known
        instance = self.instance(name)
        refuse(instance)
        operation = self._begin(kind, instance, request_id)
        act(instance, operation)
        return operation

    def _begin(self, kind: str, instance: Instance, request_id: str) -> Operation:
        return self.operations.begin(kind, instance.scope, instance.name, number=instance.number, request_id=request_id)

    def _ended(self, operation: Operation) -> Callable[[Problem | None], None]:
        return lambda problem: self.operations.end(operation, problem)

    def _misfortune(self, scope: str, zone: str, order: Order) -> Problem | None:
        """What will come of the creation."""
        life = self.life
        if life.luck.scarce(zone):
            return self._stockout(scope, order.machine_type.name, order.accelerators)
        spot = order.spec["scheduling"]["provisioningModel"] == "SPOT"
        if spot and life.luck.chance(life.knobs.preempt_creating):
            return compute_status.preempted(f"{scope}/instances/{order.name}")
        return None

    def _stockout(self, scope: str, machine_type: str, accelerators: Mapping[str, int]) -> Problem:
        """The zone's stockout, naming other zones of the region that are better off."""
        zone = scope.rpartition("/")[2]
        region, knobs = compute_catalogue.region(zone), self.life.knobs
        elsewhere = [
            other
            for other in compute_catalogue.ZONES
            if other != zone and compute_catalogue.region(other) == region and not knobs.stockout_chance(other)
            if machine_type in compute_catalogue.machine_types(other)
            if all(name in compute_catalogue.accelerators(other) for name in accelerators)
        ]
        return compute_status.stockout(scope, machine_type, accelerators, elsewhere)


def fingerprint(content: object) -> str:
    """What stands for the content of labels, metadata or tags: clients send it back to change what they saw."""
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).digest()
    return base64.urlsafe_b64encode(digest[:8]).decode()


def _refuse_busy(instance: Instance) -> None:
    if instance.pending is not None or instance.deleting or instance.status is InstanceStatus.STOPPING:
        raise compute_status.not_ready(instance.name)


def _refuse_unless_running(instance: Instance) -> None:
    if instance.status is not InstanceStatus.RUNNING:
        raise compute_status.not_ready(instance.name)


def _model(scheduling: Mapping[str, Any]) -> str:
    return scheduling.get("provisioningModel") or ("SPOT" if scheduling.get("preemptible") else "STANDARD")


def _as_running(instance: Instance) -> Instance:
    shown = copy.copy(instance)
    shown.status = InstanceStatus.RUNNING
    return shown
