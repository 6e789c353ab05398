"""The operations of the Compute Engine API v1: of zones, regions and the project."""

from __future__ import annotations

from dataclasses import dataclass

from accel_ci_sim.wire import compute_lists, compute_render
from accel_ci_sim.wire.compute_lists import AGGREGATED, LIST
from accel_ci_sim.wire.routing import Call, Route, route
from accel_ci_sim.wire.tpu_render import Document
from accel_ci_sim.world import compute_catalogue
from accel_ci_sim.world.compute import ComputeCloud
from accel_ci_sim.world.compute_operations import Operation

SCOPES = {"zones/": "{project}/zones/{zone}", "regions/": "{project}/regions/{region}", "global": "{project}/global"}


@dataclass(frozen=True, slots=True)
class Awaited:
    """An operation that the caller wants to see the end of, within a limit."""

    operation: Operation


class ComputeOperations:
    """Each method takes a Call and gives a document, or an operation to wait for; RefusedError otherwise."""

    def __init__(self, cloud: ComputeCloud) -> None:
        self._cloud = cloud
        self._operations = cloud.operations

    def routes(self) -> list[Route]:
        """Every method with its address below /compute/v1/."""
        found = [route("GET", "{project}/aggregated/operations", self.aggregated, *AGGREGATED, sorts=True)]
        for folder, address in SCOPES.items():
            scope = _Scope(self._cloud, folder)
            found += [
                route("GET", f"{address}/operations", scope.list, *LIST, sorts=True),
                route("GET", f"{address}/operations/{{id}}", scope.get),
                route("DELETE", f"{address}/operations/{{id}}", scope.delete),
                route("POST", f"{address}/operations/{{id}}/wait", scope.wait),
            ]
        return found

    def aggregated(self, call: Call) -> Document:
        """globalOperations.aggregatedList."""
        items = [
            (each.scope.partition(f"projects/{call.project}/")[2], compute_render.operation(each))
            for each in self._operations.of_project(call.project)
        ]
        scopes = ["global", *(f"zones/{zone}" for zone in compute_catalogue.ZONES)]
        path = f"projects/{call.project}/aggregated/operations"
        return compute_lists.aggregated("compute#operationAggregatedList", path, items, call.query, scopes=scopes)


class _Scope:
    """The operations of one scope: a zone, a region, or the project's own."""

    def __init__(self, cloud: ComputeCloud, folder: str) -> None:
        self._cloud = cloud
        self._folder = folder

    def list(self, call: Call) -> Document:
        """operations.list."""
        scope = self._scope(call)
        found = [compute_render.operation(each) for each in self._cloud.operations.listed(scope)]
        return compute_lists.listed("compute#operationList", f"{scope}/operations", found, call.query)

    def get(self, call: Call) -> Document:
        """operations.get."""
        return compute_render.operation(self._one(call))

    def wait(self, call: Call) -> Awaited:
        """operations.wait."""
        return Awaited(self._one(call))

    def delete(self, call: Call) -> Document:
        # What it began goes on: there is no way to cancel it.
        """operations.delete: forgets it, no more."""
        self._cloud.operations.forget(self._one(call).path)
        return {}

    def _one(self, call: Call) -> Operation:
        return self._cloud.operations.get(f"{self._scope(call)}/operations/{call.id}")

    def _scope(self, call: Call) -> str:
        if self._folder == "zones/":
            self._cloud.enter(call.project, call.zone)
        return f"projects/{call.project}/{self._folder}{call.zone}"
