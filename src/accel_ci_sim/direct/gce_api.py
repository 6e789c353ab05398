"""Compute Engine as our own adapter asks it, straight over the model: its very calls, without library and network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache
from types import SimpleNamespace
from typing import Any, TypeVar

from accel_ci.adapters import gce_errors, google_calls
from accel_ci.adapters.gce_api import LISTING, NOTHING_HERE, GceApi
from accel_ci.adapters.gce_errors import Refusal
from accel_ci.adapters.gce_instances import Place
from accel_ci_sim.direct import handles
from accel_ci_sim.direct.process import Process
from accel_ci_sim.world import compute, compute_catalogue, compute_filter, compute_status
from accel_ci_sim.world.compute_filter import Predicate
from accel_ci_sim.world.compute_instance import Instance
from accel_ci_sim.world.compute_operations import Operation
from accel_ci_sim.world.compute_status import Problem
from accel_ci_sim.world.gce_sky import GceSky, path
from accel_ci_sim.world.machine import State
from accel_ci_sim.world.tpu_sky import PROJECT
from accel_ci_sim.world.tpu_status import HTTP, RefusedError, Status

Answer = TypeVar("Answer")
Request = Mapping[str, Any]
EMPTY = "zones/us-west8-a"
BASE = "https://www.googleapis.com/compute/v1/"


class SimulatedGceApi(GceApi):
    """One process's calls. Each may meet a fate of its own: the adapter makes several of them in one port call."""

    def __init__(self, process: Process, sky: GceSky) -> None:
        super().__init__({}, project=PROJECT)
        self._process, self._sky = process, sky
        self.instances = _Instances(process, sky)
        self.operations = _Operations(sky)

    def instance(self, place: Place) -> Any:
        """See GceApi."""
        # Nothing is in most zones: an API's refusal would be made and taken apart for each.
        found = self._sky.compute.life.instances.get(path(place.zone, place.name))
        return None if found is None else _instance(found)

    def _repeated(self, ask: Callable[[], Answer]) -> Answer:
        return google_calls.repeated(ask, pause=self._process.pause)

    def _asked(
        self, call: Callable[[], Answer], *, unless: Callable[[Refusal], bool] = lambda said: False
    ) -> Answer | None:
        """What `google_calls.asked` makes of the API's refusals."""
        try:
            return call()
        except RefusedError as error:
            said = _refusal(error.status)
            if unless(said):
                return None
            raise gce_errors.classed(said) from error


class _Instances:
    """Google's client for instances, as far as our adapter uses it."""

    def __init__(self, process: Process, sky: GceSky) -> None:
        self._process = process
        self._sky = sky
        self._compute = sky.compute

    def insert_unary(self, *, request: Request, **_: Any) -> Any:
        """Begin to make an instance."""
        made = self._sky.insert(
            request["zone"],
            request["instance_resource"],
            request_id=request["request_id"],
            asker=self._process.run,
        )
        return SimpleNamespace(name=made.name)

    def delete_unary(self, *, request: Request, **_: Any) -> Any:
        """Begin to end it."""
        # Told before it is refused: to ask for a stranger's end is the sin.
        doomed = self._sky.get(request["zone"], request["instance"])
        if doomed is not None and doomed.state is not State.RELEASING:
            self._process.judge.releases(self._process, doomed)
        self._sky.enter(request["zone"])
        return SimpleNamespace(name=self._compute.delete(_path(request)).name)

    def get_guest_attributes(self, *, request: Request, **_: Any) -> Any:
        """What it told."""
        told = self._compute.instance(_path(request)).computer.attributes
        items = [SimpleNamespace(namespace=space, key=key, value=value) for (space, key), value in told.items()]
        return SimpleNamespace(query_value=SimpleNamespace(items=items))

    def get_serial_port_output(self, *, request: Request, **_: Any) -> Any:
        """Nothing was written there."""
        self._compute.instance(_path(request))
        return SimpleNamespace(contents="")

    def set_labels_unary(self, *, request: Request, **_: Any) -> Any:
        """Give it these labels."""
        labels = request["instances_set_labels_request_resource"]["labels"]
        made = self._compute.update("setLabels", _path(request), lambda spec: spec.update(labels=labels))
        self._sky.annotate(request["zone"], request["instance"], labels)
        return SimpleNamespace(name=made.name)

    def set_metadata_unary(self, *, request: Request, **_: Any) -> Any:
        """Give it this metadata, unless somebody else did since it was read."""
        given, scene = request["metadata_resource"], self._process.scene

        def change(spec: dict[str, Any]) -> None:
            """Refuse what was made of something older."""
            if given["fingerprint"] != compute.fingerprint(spec["metadata"]["items"]):
                raise compute_status.fingerprint_differs("metadata")
            spec["metadata"] = {"items": given["items"]}

        made = self._compute.update("setMetadata", _path(request), change)
        there = self._sky.get(request["zone"], request["instance"])
        told = {item["key"]: item["value"] for item in given["items"]}
        if there is not None:
            handles.let_in(there, handles.keys(told["ssh-keys"]), now=scene.schedule.now, stream=scene.dice)
        return SimpleNamespace(name=made.name)

    def aggregated_list(self, *, request: Request, **_: Any) -> Any:
        """One page, by zone; a list that lacks a part of the cloud says so."""
        matches = _compiled(request["filter"])
        silent = self._sky.silent()
        # As good an excuse as a fate for what was not seen.
        self._process.met += bool(silent)
        by_zone: dict[str, Any] = {}
        for each in self._compute.listed(PROJECT, compute_catalogue.ZONES):
            if each.zone not in silent and matches({"name": each.short_name, "labels": each.spec["labels"]}):
                by_zone.setdefault(f"zones/{each.zone}", _part("")).instances.append(_instance(each))
        # Google says so of every zone without an instance; one stands for them all.
        by_zone.setdefault(EMPTY, _part(NOTHING_HERE))
        unreachables = [f"zones/{zone}" for zone in silent]
        page = SimpleNamespace(
            kind=LISTING, items=by_zone, unreachables=unreachables, warning=_warning(""), next_page_token=""
        )
        return SimpleNamespace(pages=iter([page]))


class _Operations:
    """Google's client for the operations of a zone."""

    def __init__(self, sky: GceSky) -> None:
        self._operations = sky.compute.operations

    def get(self, *, request: Request, **_: Any) -> Any:
        """The operation as it is now."""
        scope = f"projects/{PROJECT}/zones/{request['zone']}"
        return _operation(self._operations.get(f"{scope}/operations/{request['operation']}"))

    def list(self, *, request: Request, **_: Any) -> Any:
        """Those of the zone that fit the filter."""
        matches = compute_filter.compiled(request["filter"])
        theirs = self._operations.listed(f"projects/{PROJECT}/zones/{request['zone']}")
        items = [_operation(each) for each in theirs if matches({"targetLink": BASE + each.target})]
        return SimpleNamespace(items=items)


class _Metadata:
    """The entries of an instance; their fingerprint is asked for by few."""

    def __init__(self, entries: list[Mapping[str, str]]) -> None:
        self.items = [SimpleNamespace(**entry) for entry in entries]
        self._entries = entries

    @property
    def fingerprint(self) -> str:
        """What stands for them."""
        return compute.fingerprint(self._entries)


@cache
def _compiled(expression: str) -> Predicate:
    return compute_filter.compiled(expression)


def _path(request: Request) -> str:
    return path(request["zone"], request["instance"])


def _refusal(status: Status) -> Refusal:
    reasons = " ".join(str(each.get("reason", "")) for each in status.details) if status.details else ""
    return Refusal(status.reason, status.message, reasons, HTTP[status.code])


def _warning(code: str) -> SimpleNamespace:
    return SimpleNamespace(code=code)


def _part(code: str) -> SimpleNamespace:
    return SimpleNamespace(instances=[], warning=_warning(code))


def _instance(shown: Instance) -> Any:
    """The library's message, as far as the adapter looks into it."""
    address = shown.computer.address
    # nat_i_p is how Google's library spells natIP.
    outside = [SimpleNamespace(nat_i_p=address)]
    ends_at = "" if shown.ends_at is None else _moment(shown.ends_at)
    return SimpleNamespace(
        name=shown.short_name,
        zone=BASE + shown.scope,
        status=shown.status.value,
        labels=shown.spec["labels"],
        label_fingerprint="",
        machine_type=BASE + shown.spec["machineType"],
        metadata=_Metadata(shown.spec["metadata"]["items"]),
        scheduling=SimpleNamespace(provisioning_model=shown.scheduling["provisioningModel"]),
        network_interfaces=[SimpleNamespace(access_configs=outside, network_i_p=address)],
        resource_status=SimpleNamespace(scheduling=SimpleNamespace(termination_timestamp=ends_at)),
    )


def _operation(shown: Operation) -> Any:
    problem = shown.problem
    return SimpleNamespace(
        name=shown.name,
        status=SimpleNamespace(name="RUNNING" if shown.ended_at is None else "DONE"),
        operation_type=shown.kind,
        insert_time=_moment(shown.created_at),
        target_link=BASE + shown.target,
        error=SimpleNamespace(errors=[_told(problem)] if problem else []),
        http_error_status_code=problem.http if problem else 0,
        http_error_message="",
    )


def _told(problem: Problem) -> SimpleNamespace:
    reasons = [each["errorInfo"]["reason"] for each in problem.details if "errorInfo" in each]
    details = [SimpleNamespace(error_info=SimpleNamespace(reason=reason)) for reason in reasons]
    return SimpleNamespace(code=problem.code, message=problem.message, error_details=details)


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
