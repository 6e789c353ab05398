"""A small Cloud TPU API v2 over HTTP, for the adapter's tests: what is scripted happens, everything else just works.

It is no judge: the simulated cloud (accel_ci_sim.wire) is what real clients are held against.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol, Self
from urllib.parse import parse_qs, urlsplit

Document = dict[str, Any]
HOST_KEY = "AAAAC3NzaC1lZDI1NTE5AAAAIHostKeyOfWorker"
HEALTH = {"devices": 4, "name": "TPU", "driver": "vfio", "problems": []}
HOSTS = {"v5p-16": 2, "v6e-16": 4}
METADATA = "type.googleapis.com/google.cloud.tpu.v2.OperationMetadata"
_PATH = re.compile(r"/v2/projects/([^/]+)/locations/([^/]+)/(nodes|queuedResources|operations)(?:/([^/:]+))?(:\w+)?")


@dataclass(frozen=True)
class Answer:
    """What to say instead: an HTTP status and a body, after a delay; the status 0 hangs up, with `done` after the deed."""

    status: int = 200
    body: Document | bytes = b""
    delay_s: float = 0.0
    done: bool = False


@dataclass(frozen=True)
class Request:
    """What a client asked."""

    method: str
    path: str
    query: Mapping[str, str]
    body: Document


@dataclass(frozen=True)
class Host:
    """Where a worker of a node is, the port that the API shows for it, and its public host key."""

    address: str
    port: int
    key: str


@dataclass
class Cloud:
    """The state, free to be changed by a test.

    Operations are over after `polls` looks; creations in a zone of `failures` end with that error; `queue` false: requests
    wait until `provide`; `told` false: workers have told nothing yet; `health` is what each worker's probe found, one
    entry for all or one each. `boot` starts a node's hosts and says where they are.
    """

    polls: int = 0
    page: int = 100
    failures: dict[str, Document] = field(default_factory=dict)
    told: bool = True
    health: list[Document] = field(default_factory=lambda: [HEALTH])
    boot: Callable[[Document], list[Host]] = lambda node: [
        Host(f"127.0.0.{2 + n}", 8470, f"ssh-ed25519 {HOST_KEY}{n}")
        for n in range(HOSTS.get(node["acceleratorType"], 1))
    ]
    hosts: dict[str, list[Host]] = field(default_factory=dict)
    queue: bool = True
    nodes: dict[str, Document] = field(default_factory=dict)
    queued: dict[str, Document] = field(default_factory=dict)
    operations: dict[str, Document] = field(default_factory=dict)
    unreachable: list[str] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    answers: list[tuple[str, Answer]] = field(default_factory=list)

    def node(self, name: str) -> Document:
        """The node of that name, in whatever zone it is."""
        return next(node for full, node in self.nodes.items() if full.endswith(f"/{name}"))

    def lose_labels(self, name: str) -> None:
        """Somebody removes every label of the machine."""
        self.node(name)["labels"] = {}
        for queued in self.queued.values():
            queued["tpu"]["nodeSpec"][0]["node"]["labels"] = {}

    def next(self, pattern: str, *answers: Answer) -> None:
        """Answer the next requests whose `METHOD path` matches with these."""
        self.answers += [(pattern, answer) for answer in answers]

    def serve(self, request: Request) -> tuple[int, Document | bytes]:
        """The answer to a request; what happens happens at once."""
        match = _PATH.fullmatch(request.path)
        if match is None:
            return refusal(404, "NOT_FOUND", "no such method")
        project, zone, kind, name, _ = match.groups()
        parent = f"projects/{project}/locations/{zone}"
        handlers: dict[tuple[str, str, bool], Callable[..., tuple[int, Document]]] = {
            ("POST", "nodes", False): self._create_node,
            ("POST", "queuedResources", False): self._create_queued,
            ("POST", "nodes", True): self._attributes,
            ("GET", "nodes", False): self._list,
            ("GET", "queuedResources", False): self._list,
            ("GET", "operations", False): self._list_operations,
            ("GET", "nodes", True): self._get,
            ("GET", "queuedResources", True): self._get,
            ("GET", "operations", True): self._operation,
            ("PATCH", "nodes", True): self._patch,
            ("DELETE", "nodes", True): self._delete,
            ("DELETE", "queuedResources", True): self._delete,
        }
        return handlers[request.method, kind, name is not None](request, parent, kind, name)

    def _create_node(self, request: Request, parent: str, kind: str, name: str) -> tuple[int, Document]:
        full = f"{parent}/nodes/{request.query['nodeId']}"
        if full in self.nodes:
            return refusal(409, "ALREADY_EXISTS", f"Resource '{full}' already exists")
        error = self.failures.get(parent.rpartition("/")[2])
        self.nodes[full] = {**request.body, "name": full, "state": "CREATING"}
        return 200, self._begin(full, "create", error=error)

    def _create_queued(self, request: Request, parent: str, kind: str, name: str) -> tuple[int, Document]:
        full = f"{parent}/queuedResources/{request.query['queuedResourceId']}"
        if full in self.queued:
            return refusal(409, "ALREADY_EXISTS", f"Resource '{full}' already exists")
        self.queued[full] = {**request.body, "name": full, "state": {"state": "WAITING_FOR_RESOURCES"}}
        answer = self._begin(full, "create")
        if self.queue:
            self.provide(request.query["queuedResourceId"])
        return 200, answer

    def provide(self, name: str) -> None:
        """The queue gives the request its node."""
        full = next(full for full in self.queued if full.endswith(f"/{name}"))
        queued = self.queued[full]
        queued["state"] = {"state": "ACTIVE"}
        spec = queued["tpu"]["nodeSpec"][0]
        node = f"{spec['parent']}/nodes/{spec['nodeId']}"
        self.nodes[node] = {**spec["node"], "name": node, "schedulingConfig": {"spot": "spot" in queued}}
        self._ready(self.nodes[node])

    def settle(self) -> None:
        """Let every operation come to its end now."""
        for name, operation in self.operations.items():
            operation["left"] = 0
            self._look(name)

    def _begin(self, target: str, verb: str, *, error: Document | None = None) -> Document:
        zone, number = target.split("/")[3], len(self.operations)
        name = f"projects/123456/locations/{zone}/operations/operation-{number}"
        metadata = {"@type": METADATA, "target": target, "verb": verb, "apiVersion": "v2", "cancelRequested": False}
        self.operations[name] = {"name": name, "metadata": metadata, "left": self.polls, "failure": error}
        return self._look(name)

    def _look(self, name: str) -> Document:
        operation = self.operations[name]
        if operation["left"] <= 0 and not operation.get("done"):
            operation["done"] = True
            self._finish(operation)
        operation["left"] -= 1
        return {key: value for key, value in operation.items() if key not in ("left", "failure")}

    def _finish(self, operation: Document) -> None:
        target, verb = operation["metadata"]["target"], operation["metadata"]["verb"]
        if operation["failure"] is not None:
            operation["error"] = operation["failure"]
            self.nodes.pop(target, None)
        elif verb == "delete":
            self.nodes.pop(target.replace("/queuedResources/", "/nodes/"), None)
            self.queued.pop(target, None)
        elif verb == "create" and target in self.nodes:
            self._ready(self.nodes[target])

    def _ready(self, node: Document) -> None:
        hosts = self.hosts[node["name"]] = self.boot(node)
        endpoints = [
            {"ipAddress": f"10.0.0.{2 + n}", "port": host.port, "accessConfig": {"externalIp": host.address}}
            for n, host in enumerate(hosts)
        ]
        node |= {"state": "READY", "health": "HEALTHY", "networkEndpoints": endpoints}

    def _get(self, request: Request, parent: str, kind: str, name: str) -> tuple[int, Document]:
        full = f"{parent}/{kind}/{name}"
        found = (self.nodes if kind == "nodes" else self.queued).get(full)
        return (200, found) if found else refusal(404, "NOT_FOUND", f"Resource '{full}' was not found")

    def _list(self, request: Request, parent: str, kind: str, name: str) -> tuple[int, Document]:
        everywhere = re.compile(parent.replace("/-", "/[^/]+") + "/.*")
        place = self.nodes if kind == "nodes" else self.queued
        found = [each for full, each in place.items() if everywhere.fullmatch(full)]
        start = int(request.query.get("pageToken") or 0)
        more = {"nextPageToken": str(start + self.page)} if len(found) > start + self.page else {}
        return 200, {kind: found[start : start + self.page], "unreachable": self.unreachable, **more}

    def _list_operations(self, request: Request, parent: str, kind: str, name: str) -> tuple[int, Document]:
        zone = parent.rpartition("/")[2]
        return 200, {"operations": [self._look(name) for name in self.operations if f"/{zone}/" in name]}

    def _operation(self, request: Request, parent: str, kind: str, name: str) -> tuple[int, Document]:
        full = f"{parent}/{kind}/{name}"
        return (200, self._look(full)) if full in self.operations else refusal(404, "NOT_FOUND", "no such operation")

    def _patch(self, request: Request, parent: str, kind: str, name: str) -> tuple[int, Document]:
        status, node = self._get(request, parent, kind, name)
        if status != 200:
            return status, node
        node |= {path: request.body[path] for path in request.query["updateMask"].split(",")}
        return 200, self._begin(f"{parent}/nodes/{name}", "update")

    def _delete(self, request: Request, parent: str, kind: str, name: str) -> tuple[int, Document]:
        status, found = self._get(request, parent, kind, name)
        if status != 200:
            return status, found
        found["state"] = "DELETING" if kind == "nodes" else {"state": "DELETING"}
        return 200, self._begin(f"{parent}/{kind}/{name}", "delete")

    def _attributes(self, request: Request, parent: str, kind: str, name: str) -> tuple[int, Document]:
        status, node = self._get(request, parent, kind, name)
        if status != 200 or not self.told:
            return refusal(404, "NOT_FOUND", "guest attributes were not found")
        told = [
            [
                {"namespace": "hostkeys", "key": host.key.split()[0], "value": host.key.split()[1]},
                {"namespace": "accel-ci", "key": "stage", "value": "ready"},
                {"namespace": "accel-ci", "key": "health", "value": json.dumps(self.health[n % len(self.health)])},
            ]
            for n, host in enumerate(self.hosts.get(node["name"], ()))
        ]
        return 200, {"guestAttributes": [{"queryPath": "", "queryValue": {"items": items}} for items in told]}


def refusal(code: int, status: str, message: str, *details: Document) -> tuple[int, Document]:
    """An error as Google's APIs send it."""
    return code, {"error": {"code": code, "message": message, "status": status, "details": list(details)}}


class ScriptedServer:
    """Serves what answers requests on a port of 127.0.0.1."""

    def __init__(self, cloud: Scripted) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler(cloud, threading.Lock()))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    @property
    def endpoint(self) -> str:
        """Where it listens, as gcloud's endpoint overrides are written."""
        return f"http://127.0.0.1:{self._server.server_port}/"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class TpuServer(ScriptedServer):
    """A Cloud that is served."""

    def __init__(self) -> None:
        self.cloud = Cloud()
        super().__init__(self.cloud)

    def environment(self, token_file: str) -> dict[str, str]:
        """The variables that lead clients here."""
        return {
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_TPU": self.endpoint,
            "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE": token_file,
            "CLOUDSDK_CORE_PROJECT": "my-project",
        }


class Scripted(Protocol):
    """What answers requests: by script, else by itself; it keeps what was asked."""

    requests: list[Request]
    answers: list[tuple[str, Answer]]

    def serve(self, request: Request) -> tuple[int, Document | bytes]:
        """Status and body."""


def handler(cloud: Scripted, lock: threading.Lock) -> type[BaseHTTPRequestHandler]:
    """A class for an HTTP server over the cloud, one request at a time."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 65536
        disable_nagle_algorithm = True

        def _serve(self) -> None:
            address = urlsplit(self.path)
            text = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            query = {name: values[0] for name, values in parse_qs(address.query).items()}
            request = Request(self.command, address.path, query, json.loads(text) if text else {})
            with lock:
                cloud.requests.append(request)
                scripted = self._scripted(f"{self.command} {address.path}")
                status, body = cloud.serve(request) if scripted is None or scripted.done else (0, b"")
            if scripted is not None:
                status, body = scripted.status, scripted.body
                time.sleep(scripted.delay_s)
            self._reply(status, body)

        def _scripted(self, line: str) -> Answer | None:
            for number, (pattern, answer) in enumerate(cloud.answers):
                if re.search(pattern, line):
                    del cloud.answers[number]
                    return answer
            return None

        def _reply(self, status: int, body: Document | bytes) -> None:
            if status == 0:
                self.close_connection = True
                return
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            try:
                self.wfile.write(content)
            except ConnectionError:
                self.close_connection = True

        do_GET = do_POST = do_PATCH = do_DELETE = _serve  # noqa: N815

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    return Handler
