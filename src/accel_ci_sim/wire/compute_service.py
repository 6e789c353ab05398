"""The methods of the Compute Engine API v1 that make, change, show and end instances, on the model of the cloud."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from accel_ci_sim.wire import compute_lists, compute_render, compute_schema
from accel_ci_sim.wire.compute_lists import AGGREGATED, LIST, Scoped
from accel_ci_sim.wire.compute_places import ZONE
from accel_ci_sim.wire.console import Console
from accel_ci_sim.wire.routing import Call, Route, route
from accel_ci_sim.wire.tpu_render import Document
from accel_ci_sim.world import compute, compute_catalogue, compute_order, compute_status
from accel_ci_sim.world.compute import ComputeCloud
from accel_ci_sim.world.compute_instance import Instance
from accel_ci_sim.world.compute_operations import Operation

ONE = f"{ZONE}/instances/{{id}}"
REQUEST = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
NIL = re.compile(r"[0-]+")


class ComputeService:
    """Each method takes a Call and gives a document, an Operation that was begun; RefusedError otherwise.

    `console` gives the serial port of an instance, None before it has one.
    """

    def __init__(self, cloud: ComputeCloud, console: Callable[[Instance], Console | None]) -> None:
        self._cloud = cloud
        self._console = console

    def routes(self) -> list[Route]:
        """Every method with its address below /compute/v1/."""
        return [
            route("POST", f"{ZONE}/instances", self.insert, "requestId"),
            route("GET", f"{ZONE}/instances", self.list_instances, *LIST, sorts=True),
            route("GET", "{project}/aggregated/instances", self.aggregated, *AGGREGATED, sorts=True),
            route("GET", ONE, self.get),
            route("DELETE", ONE, self.delete, "requestId"),
            route("POST", f"{ONE}/stop", self.stop, "requestId", "discardLocalSsd"),
            route("POST", f"{ONE}/start", self.start, "requestId"),
            route("POST", f"{ONE}/reset", self.reset, "requestId"),
            route("POST", f"{ONE}/setLabels", self.set_labels, "requestId"),
            route("POST", f"{ONE}/setMetadata", self.set_metadata, "requestId"),
            route("POST", f"{ONE}/setTags", self.set_tags, "requestId"),
            route("POST", f"{ONE}/setScheduling", self.set_scheduling, "requestId"),
            route("POST", f"{ONE}/setMachineType", self.set_machine_type, "requestId"),
            route("POST", f"{ONE}/setDeletionProtection", self.protect, "requestId", "deletionProtection"),
            route("GET", f"{ONE}/getGuestAttributes", self.guest_attributes, "queryPath", "variableKey"),
            route("GET", f"{ONE}/serialPort", self.serial_port, "port", "start"),
            route("POST", "{project}/setCommonInstanceMetadata", self.set_shared, "requestId"),
        ]

    def insert(self, call: Call) -> Operation:
        """instances.insert."""
        self._enter(call)
        body = compute_schema.parsed(call.body, "Instance")
        return self._cloud.insert(call.project, call.zone, body, request_id=_request_id(call))

    def list_instances(self, call: Call) -> Document:
        """instances.list."""
        self._cloud.enter(call.project, call.zone)
        found = [compute_render.instance(each) for each in self._cloud.listed(call.project, [call.zone])]
        path = f"projects/{call.project}/zones/{call.zone}/instances"
        return compute_lists.listed("compute#instanceList", path, found, call.query)

    def aggregated(self, call: Call) -> Document:
        """instances.aggregatedList."""
        silent = [zone for zone in compute_catalogue.ZONES if zone in self._cloud.life.knobs.unreachable_zones]
        zones = [zone for zone in compute_catalogue.ZONES if zone not in silent]
        items: list[Scoped] = [
            (f"zones/{each.zone}", compute_render.instance(each)) for each in self._cloud.listed(call.project, zones)
        ]
        return compute_lists.aggregated(
            "compute#instanceAggregatedList",
            f"projects/{call.project}/aggregated/instances",
            items,
            call.query,
            scopes=[f"zones/{zone}" for zone in compute_catalogue.ZONES],
            silent=[f"zones/{zone}" for zone in silent],
            partial=self._cloud.partial(),
        )

    def get(self, call: Call) -> Document:
        """instances.get."""
        return compute_render.instance(self._instance(call))

    def delete(self, call: Call) -> Operation:
        """instances.delete."""
        return self._cloud.delete(self._name(call), request_id=_request_id(call))

    def stop(self, call: Call) -> Operation:
        """instances.stop."""
        return self._cloud.stop(self._name(call), request_id=_request_id(call))

    def start(self, call: Call) -> Operation:
        """instances.start."""
        return self._cloud.start(self._name(call), request_id=_request_id(call))

    def reset(self, call: Call) -> Operation:
        """instances.reset."""
        return self._cloud.reset(self._name(call), request_id=_request_id(call))

    def set_labels(self, call: Call) -> Operation:
        """instances.setLabels: all of them, by the fingerprint of those before."""
        body = compute_schema.parsed(call.body, "InstancesSetLabelsRequest")
        labels = body.get("labels", {})
        compute_order.check_labels(labels)

        def change(spec: dict[str, Any]) -> None:
            # Two that label at once would undo each other: the second has to read again.
            if body.get("labelFingerprint") != compute.fingerprint(spec.get("labels", {})):
                raise compute_status.labels_changed()
            spec["labels"] = labels

        return self._cloud.update("setLabels", self._name(call), change, request_id=_request_id(call))

    def set_metadata(self, call: Call) -> Operation:
        """instances.setMetadata: all of it, by the fingerprint of what was before."""
        body = compute_schema.parsed(call.body, "Metadata")
        compute_order.check_metadata(body)

        def change(spec: dict[str, Any]) -> None:
            _same(body, spec.get("metadata", {}), "metadata")
            spec["metadata"] = {"items": body.get("items", [])}

        return self._cloud.update("setMetadata", self._name(call), change, request_id=_request_id(call))

    def set_tags(self, call: Call) -> Operation:
        """instances.setTags: all of them, by the fingerprint of those before."""
        body = compute_schema.parsed(call.body, "Tags")
        compute_order.check_tags(body)

        def change(spec: dict[str, Any]) -> None:
            _same(body, spec.get("tags", {}), "tags")
            spec["tags"] = {"items": body.get("items", [])}

        return self._cloud.update("setTags", self._name(call), change, request_id=_request_id(call))

    def set_scheduling(self, call: Call) -> Operation:
        """instances.setScheduling: all of it, of an instance that is stopped; the time limit of one that runs."""
        body = compute_schema.parsed(call.body, "Scheduling")
        return self._cloud.reschedule(self._name(call), body, request_id=_request_id(call))

    def set_machine_type(self, call: Call) -> Operation:
        """instances.setMachineType of an instance that is stopped."""
        url = compute_schema.parsed(call.body, "InstancesSetMachineTypeRequest").get("machineType", "")
        return self._cloud.retype(self._name(call), url, request_id=_request_id(call))

    def protect(self, call: Call) -> Operation:
        """instances.setDeletionProtection; the parameter is true when it is missing."""
        protected = call.query.get("deletionProtection", "true").lower() == "true"

        def change(spec: dict[str, Any]) -> None:
            spec["deletionProtection"] = protected

        return self._cloud.update("update", self._name(call), change, request_id=_request_id(call))

    def guest_attributes(self, call: Call) -> Document:
        """instances.getGuestAttributes: below `namespace/`, or one `namespace/key`; 404 when there is nothing."""
        instance = self._instance(call)
        query, key = call.query.get("queryPath", ""), call.query.get("variableKey", "")
        # A query path ends in a slash for all of a namespace.
        wanted = query or key
        entries = [
            {"namespace": namespace, "key": name, "value": value}
            for (namespace, name), value in sorted(instance.computer.attributes.items())
            if _below(f"{namespace}/{name}", wanted)
        ]
        if not entries:
            raise compute_status.no_attributes(wanted)
        return {
            "kind": "compute#guestAttributes",
            "queryPath": query,
            "queryValue": {"items": entries},
            "selfLink": compute_render.link(f"{instance.name}/guestAttributes/{wanted}"),
        }

    def serial_port(self, call: Call) -> Document:
        """instances.getSerialPortOutput: what came out of port 1 since `start`; the other ports are silent."""
        instance = self._instance(call)
        console = self._console(instance) if call.query.get("port", "1") == "1" else None
        begin, contents = console.since(int(call.query.get("start", "0") or 0)) if console else (0, b"")
        return {
            "kind": "compute#serialPortOutput",
            "selfLink": compute_render.link(f"{instance.name}/serialPort"),
            "contents": contents.decode("utf-8", "replace"),
            "start": str(begin),
            "next": str(begin + len(contents)),
        }

    def set_shared(self, call: Call) -> Operation:
        """projects.setCommonInstanceMetadata."""
        self._cloud.mutate(call.project)
        body = compute_schema.parsed(call.body, "Metadata")
        compute_order.check_metadata(body)
        _same(body, self._cloud.shared.get(call.project, {}), "metadata")
        return self._cloud.share(call.project, {"items": body.get("items", [])}, request_id=_request_id(call))

    def _instance(self, call: Call) -> Instance:
        self._cloud.enter(call.project, call.zone)
        return self._cloud.instance(f"projects/{call.project}/zones/{call.zone}/instances/{call.id}")

    def _name(self, call: Call) -> str:
        """The instance that is to be changed."""
        self._enter(call)
        return f"projects/{call.project}/zones/{call.zone}/instances/{call.id}"

    def _enter(self, call: Call) -> None:
        self._cloud.enter(call.project, call.zone)
        self._cloud.mutate(call.project)


def _same(body: Mapping[str, Any], before: Mapping[str, Any], kind: str) -> None:
    """RefusedError when the caller has not seen what he changes."""
    if body.get("fingerprint") != compute.fingerprint([*before.get("items", [])]):
        raise compute_status.fingerprint_differs(kind)


def _below(name: str, wanted: str) -> bool:
    return not wanted or name == wanted or name.startswith(f"{wanted.rstrip('/')}/")


def _request_id(call: Call) -> str:
    given = call.query.get("requestId", "")
    # The zero UUID is valid to most libraries, and refused by Google.
    if given and (NIL.fullmatch(given) or not REQUEST.fullmatch(given)):
        raise compute_status.invalid("requestId", given[:80], "Must be a valid UUID, other than the one of zeros.")
    return given.lower()
