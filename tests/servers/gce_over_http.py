"""A small Compute Engine v1 over HTTP, for the adapter's tests: what is scripted happens, everything else just works.

It is no judge: the simulated cloud (accel_ci_sim.wire) is what real clients are held against.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.servers.tpu_over_http import HOST_KEY, Answer, Document, Host, Request, ScriptedServer

_PATH = re.compile(
    r"/compute/v1/projects/([^/]+)/(?:zones/([^/]+)|aggregated)/(instances|operations)(?:/([^/]+))?(?:/(\w+))?"
)
HEALTH = {"devices": 1, "name": "NVIDIA L4", "driver": "570.86.15", "cuda": "12.8", "memory_mib": 23034, "problems": []}
WELL = {"accel-ci/stage": "ready", "accel-ci/health": json.dumps(HEALTH)}
URL = "https://www.googleapis.com/compute/v1/"
Reply = tuple[int, Document]


@dataclass
class Cloud:
    """The state, free to be changed by a test.

    Operations are over after `polls` looks; creations in a zone of `failures` end with that error. `told` is what machines
    have told about themselves. With `clock` instances end at their own limit. `boot` says where an instance's sshd is.
    """

    polls: int = 0
    page: int = 100
    failures: dict[str, Document] = field(default_factory=dict)
    told: dict[str, str] | None = field(default_factory=lambda: dict(WELL))
    boot: Callable[[Document], Host] = lambda instance: Host("127.0.0.2", 22, f"ssh-ed25519 {HOST_KEY}")
    hosts: dict[str, Host] = field(default_factory=dict)
    instances: dict[str, Document] = field(default_factory=dict)
    operations: dict[str, Document] = field(default_factory=dict)
    made: dict[str, str] = field(default_factory=dict)
    unreachable: dict[str, str] = field(default_factory=dict)
    console: str = "booting\nready\n"
    requests: list[Request] = field(default_factory=list)
    answers: list[tuple[str, Answer]] = field(default_factory=list)

    def instance(self, name: str) -> Document:
        """The instance of that name, in whatever zone it is."""
        return next(found for full, found in self.instances.items() if full.endswith(f"/{name}"))

    def next(self, pattern: str, *answers: Answer) -> None:
        """Answer the next requests whose `METHOD path` matches with these."""
        self.answers += [(pattern, answer) for answer in answers]

    def serve(self, request: Request) -> tuple[int, Document | bytes]:
        """The answer to a request; what happens happens at once."""
        self._expire()
        match = _PATH.fullmatch(request.path)
        if match is None:
            return refusal(404, "notFound", "no such method")
        project, zone, kind, name, verb = match.groups()
        full = f"projects/{project}/zones/{zone}/instances/{name}"
        handlers: dict[tuple[str, str, bool, str | None], Callable[..., Reply]] = {
            ("POST", "instances", False, None): self._insert,
            ("GET", "instances", False, None): self._aggregated,
            ("GET", "instances", True, None): self._get,
            ("GET", "instances", True, "getGuestAttributes"): self._attributes,
            ("GET", "instances", True, "serialPort"): self._serial,
            ("POST", "instances", True, "setLabels"): self._label,
            ("POST", "instances", True, "setMetadata"): self._give,
            ("DELETE", "instances", True, None): self._delete,
            ("GET", "operations", False, None): self._operations,
            ("GET", "operations", True, None): self._operation,
        }
        return handlers[request.method, kind, name is not None, verb](request, full)

    def happen(self, name: str, kind: str) -> None:
        """The cloud does this by itself with the instance, which is gone then."""
        full = next(each for each in self.instances if each.endswith(f"/{name}"))
        self.operations[f"system-{len(self.operations)}"] = {
            "name": f"system-{len(self.operations)}",
            "operationType": kind,
            "targetLink": URL + full,
            "status": "DONE",
            "insertTime": _moment(time.time()),
        }
        del self.instances[full]

    def settle(self) -> None:
        """Let every operation come to its end now."""
        for operation in self.operations.values():
            operation["left"] = 0
            self._look(operation)

    def _insert(self, request: Request, full: str) -> Reply:
        full = full.replace("/None", f"/{request.body['name']}")
        known = self.made.get(request.query["requestId"])
        if known is not None:
            return 200, self._look(self.operations[known])
        if full in self.instances:
            return refusal(409, "alreadyExists", f"The resource '{full}' already exists")
        zone, now = full.split("/")[3], time.time()
        self.instances[full] = {
            **request.body,
            "zone": f"{URL}projects/p/zones/{zone}",
            "status": "PROVISIONING",
            "labelFingerprint": "Zmlyc3Q=",
            "metadata": {**request.body.get("metadata", {}), "fingerprint": "bWV0YQ=="},
            "creationTimestamp": _moment(now),
            "until": now + int(request.body["scheduling"]["maxRunDuration"]["seconds"]),
        }
        operation = self._begin(full, "insert", error=self.failures.get(zone))
        self.made[request.query["requestId"]] = operation["name"]
        return 200, operation

    def _begin(self, full: str, kind: str, *, error: Document | None = None) -> Document:
        name = f"operation-{len(self.operations)}"
        self.operations[name] = {
            "name": name,
            "operationType": kind,
            "targetLink": URL + full,
            "insertTime": _moment(time.time()),
            "status": "RUNNING",
            "left": self.polls,
            "failure": error,
        }
        return self._look(self.operations[name])

    def _look(self, operation: Document) -> Document:
        if operation.get("left", 0) <= 0 and operation["status"] != "DONE":
            operation["status"] = "DONE"
            self._finish(operation)
        operation["left"] = operation.get("left", 0) - 1
        return {key: value for key, value in operation.items() if key not in ("left", "failure")}

    def _finish(self, operation: Document) -> None:
        full, kind = operation["targetLink"].removeprefix(URL), operation["operationType"]
        if operation["failure"] is not None:
            operation |= {"error": {"errors": [operation["failure"]]}, "httpErrorStatusCode": 503}
            self.instances.pop(full, None)
        elif kind == "delete":
            self.instances.pop(full, None)
        elif kind == "insert" and full in self.instances:
            self._run(full)

    def _run(self, full: str) -> None:
        instance = self.instances[full]
        host = self.hosts[full] = self.boot(instance)
        (interface,) = instance["networkInterfaces"]
        interface["networkIP"] = "10.0.0.2"
        for access in interface.get("accessConfigs", ()):
            access["natIP"] = host.address
        instance["status"] = "RUNNING"
        instance["resourceStatus"] = {"scheduling": {"terminationTimestamp": _moment(instance["until"])}}

    def _expire(self) -> None:
        for full, instance in list(self.instances.items()):
            if time.time() >= instance["until"]:
                self.happen(full.rpartition("/")[2], "compute.instances.delete")

    def _get(self, request: Request, full: str) -> Reply:
        if full not in self.instances:
            return refusal(404, "notFound", f"The resource '{full}' was not found")
        return 200, {key: value for key, value in self.instances[full].items() if key != "until"}

    def _aggregated(self, request: Request, full: str) -> Reply:
        found = [each for each in self.instances.items() if _fits(each[1], request.query.get("filter", ""))]
        start = int(request.query.get("pageToken") or 0)
        items: dict[str, Document] = {
            "zones/us-west9-z": {"warning": {"code": "NO_RESULTS_ON_PAGE", "message": "There are no results."}},
        }
        for full_name, _ in found[start : start + self.page]:
            zone = f"zones/{full_name.split('/')[3]}"
            items.setdefault(zone, {"instances": []})["instances"].append(self._get(request, full_name)[1])
        for zone, code in self.unreachable.items():
            items[zone] = {"warning": {"code": code, "message": "it does not answer"}}
        more = {"nextPageToken": str(start + self.page)} if len(found) > start + self.page else {}
        return 200, {"kind": "compute#instanceAggregatedList", "items": items, **more}

    def _attributes(self, request: Request, full: str) -> Reply:
        if self._get(request, full)[0] != 200 or self.told is None or full not in self.hosts:
            return refusal(404, "notFound", "guest attributes were not found")
        kind, key = self.hosts[full].key.split()[:2]
        told = {f"hostkeys/{kind}": key, **self.told}
        pairs = [(*name.split("/"), value) for name, value in told.items()]
        items = [{"namespace": space, "key": name, "value": value} for space, name, value in pairs]
        return 200, {"queryPath": "", "queryValue": {"items": items}}

    def _serial(self, request: Request, full: str) -> Reply:
        status, found = self._get(request, full)
        return (200, {"contents": self.console, "start": "0", "next": "0"}) if status == 200 else (status, found)

    def _label(self, request: Request, full: str) -> Reply:
        status, found = self._get(request, full)
        if status != 200:
            return status, found
        if request.body["labelFingerprint"] != found["labelFingerprint"]:
            return refusal(412, "conditionNotMet", "Labels fingerprint either invalid or resource labels have changed")
        self.instances[full]["labels"] = request.body["labels"]
        return 200, self._begin(full, "setLabels")

    def _give(self, request: Request, full: str) -> Reply:
        status, found = self._get(request, full)
        if status != 200:
            return status, found
        if request.body["fingerprint"] != found["metadata"]["fingerprint"]:
            return refusal(412, "conditionNotMet", "Supplied fingerprint does not match current metadata fingerprint.")
        self.instances[full]["metadata"] = request.body
        return 200, self._begin(full, "setMetadata")

    def _delete(self, request: Request, full: str) -> Reply:
        status, found = self._get(request, full)
        if status != 200:
            return status, found
        self.instances[full]["status"] = "STOPPING"
        return 200, self._begin(full, "delete")

    def _operations(self, request: Request, full: str) -> Reply:
        zone = full.rpartition("/instances/")[0]
        return 200, {"items": [self._look(each) for each in self.operations.values() if zone in each["targetLink"]]}

    def _operation(self, request: Request, full: str) -> Reply:
        name = full.rpartition("/")[2]
        if name not in self.operations:
            return refusal(404, "notFound", "no such operation")
        return 200, self._look(self.operations[name])


def refusal(code: int, reason: str, message: str) -> Reply:
    """An error as Compute Engine sends it."""
    return code, {"error": {"code": code, "message": message, "errors": [{"reason": reason, "message": message}]}}


class GceServer(ScriptedServer):
    """A Cloud that is served."""

    def __init__(self) -> None:
        self.cloud = Cloud()
        super().__init__(self.cloud)

    def environment(self, token_file: str) -> dict[str, str]:
        """The variables that lead clients here."""
        return {
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE": f"{self.endpoint}compute/v1/",
            "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE": token_file,
            "CLOUDSDK_CORE_PROJECT": "my-project",
        }


def _fits(instance: Document, expression: str) -> bool:
    if match := re.fullmatch(r"labels\.([a-z-]+)=(\S+)", expression):
        return bool(instance.get("labels", {}).get(match[1]) == match[2])
    if match := re.fullmatch(r'name eq "(.*)"', expression):
        return re.fullmatch(match[1], instance["name"]) is not None
    if match := re.fullmatch(r"name=(\S+)", expression):
        return bool(instance["name"] == match[1])
    return not expression


def _moment(seconds: float) -> str:
    return dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat(timespec="milliseconds")
