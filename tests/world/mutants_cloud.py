"""Known bugs around Cloud TPU's nodes and queued resources, cleanup of what is kept, and sweeps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from accel_ci.adapters import tpu, tpu_nodes, tpu_queued
from accel_ci.adapters.tpu import TpuMachines
from accel_ci.domain import errors, lease, overdue
from accel_ci.domain.lease import Owner
from accel_ci.domain.machine import Machine
from accel_ci.domain.overdue import Finding
from accel_ci.operations import acquire, release, seeking, sweeping
from accel_ci.ports.world import World
from accel_ci_sim.direct.layers import Layer
from tests.world.known_bugs import bug


@bug("a queued resource's node is deleted, but not the request", "I1", "I-clean", "I12", within=400)
def _(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(TpuMachines, "release", lambda self, handle: self._api.delete_node(tpu_nodes.of_handle(handle)))


@bug("gone means that the node is gone", "I-clean", within=600)
def _(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(TpuMachines, "released", lambda self, handle: self._api.node(tpu_nodes.of_handle(handle)) is None)


@bug("queued resources are not listed", "I1", "I12", within=400, alone=Layer.SWEEPER)
def _(patch: pytest.MonkeyPatch) -> None:
    def list_owned(self: TpuMachines, owner: lease.Owner) -> list[Machine]:
        project = self._api.project
        listed = (tpu_nodes.machine(tpu_nodes.of_resource(project, node.name), node) for node in self._api.nodes())
        return [each for each in listed if owner.owns(each.name, each.labels)]

    patch.setattr(TpuMachines, "list_owned", list_owned)


@bug("a queued resource is looked up by its node alone", "I-clean", "I9", "I1", within=600)
def _(patch: pytest.MonkeyPatch) -> None:
    def seen(self: TpuMachines, place: tpu_nodes.Place) -> Machine | None:
        node = self._api.node(place)
        return None if node is None else tpu_nodes.machine(place, node)

    patch.setattr(TpuMachines, "_seen", seen)


@bug("a request is believed where the nodes are silent", "I2", within=400, alone=Layer.JOB)
def _(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(TpuMachines, "_with_node", lambda self, machine: iter((machine,)))


@bug("a queued resource bears no lease", "I1", within=60)
def _(patch: pytest.MonkeyPatch) -> None:
    honest = tpu_queued.body

    def body(place: tpu_nodes.Place, node: Mapping[str, Any], *, spot: bool, wait_s: float) -> dict[str, Any]:
        return honest(place, {**node, "labels": {}}, spot=spot, wait_s=wait_s)

    patch.setattr(tpu_queued, "body", body)


@bug("409 of a node is fatal", "I-true", within=3000)
def _(patch: pytest.MonkeyPatch) -> None:
    def fatal(self: TpuMachines, place: tpu_nodes.Place, lease: Any) -> None:
        raise errors.ConfigurationError(f"409: {place.handle} exists")

    patch.setattr(tpu.TpuMachines, "_check_adoption", fatal)


@bug("keep-until is not honoured", "I2", within=1500)
def _(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(lease, "kept", lambda labels, *, now: False)


@bug("a kept machine is forgotten for ever", "I1", "I12", within=1500, alone=Layer.SWEEPER)
def _(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(lease, "kept", lambda labels, *, now: "accel-ci-keep-until" in labels)


@bug("the sweeper takes a run for over that is not", "I2", within=200)
def _(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(overdue, "over_since", lambda run, *, attempt: 0.0)


@bug("the sweeper believes one sighting", "I2", within=200)
def _(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(overdue, "judge", lambda labels, **known: Finding(overdue=True, why="seen"))
    patch.setattr(sweeping, "SIGHTINGS_S", 0.0)


@bug("the sweeper asks once and goes", "I1", "I12", within=600, alone=Layer.SWEEPER)
def _(patch: pytest.MonkeyPatch) -> None:
    honest = sweeping._judged
    seen: set[str] = set()

    def judged(world: World, machines: Any, **known: Any) -> Any:
        fresh = [find for find in honest(world, machines, **known) if find.machine.handle not in seen]
        seen.update(find.machine.handle for find in fresh if known.get("told"))
        return fresh if known.get("told") else honest(world, machines, **known)

    patch.setattr(sweeping, "_judged", judged)
    patch.setattr(release, "send", lambda world, handle: True)


@bug("the sweep beside provision needs a first try that begins", "I-beside", within=200, alone=Layer.BESIDE)
def _(patch: pytest.MonkeyPatch) -> None:
    def pass_by(place: Any, watch: Any) -> None:
        if place.key.try_ == 1 and not place.passed:
            place.passed = True
            watch.meanwhile()

    patch.setattr(acquire, "_pass_by", pass_by)


@bug("the sweep beside provision looks and does nothing", "I-beside", within=60, alone=Layer.BESIDE)
def _(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sweeping, "in_passing", lambda world, repository_id: None)


@bug("the sweep beside provision ends what lives", "I2", within=200)
def _(patch: pytest.MonkeyPatch) -> None:
    def in_passing(world: World, repository_id: int) -> None:
        for machine in world.machines.list_owned(Owner(repository_id=repository_id)):
            release.send(world, machine.handle)

    patch.setattr(sweeping, "in_passing", in_passing)


@bug("a look that fails shows an empty cloud", "I-clean", within=4000)
def _(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(seeking, "_failure", lambda look, error: None)


@bug("cleanup waits without a limit", "I11", within=5000)
def _(patch: pytest.MonkeyPatch) -> None:
    honest = release.end
    patch.setattr(release, "end", lambda world, handles, **known: honest(world, handles, **{**known, "limit_s": 1e6}))


@bug("a deletion is asked for once", "I-clean", "I11", within=600)
def _(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(release, "RESEND_S", 1e6)
    patch.setattr(release, "_gone", lambda world, handle: not world.machines.released(handle) or True)
