"""The metadata server that a simulated machine sees, as far as boot scripts and agents use it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from accel_ci_sim.wire import http_server, peers
from accel_ci_sim.wire.http_server import Answer, Request
from accel_ci_sim.world import tpu, tpu_catalogue
from accel_ci_sim.world.tpu_node import Node, TpuWorker

ROOT = "/computeMetadata/v1/"
GUEST = "instance/guest-attributes/"
FLAVOR = {"Metadata-Flavor": "Google"}
VALUE_BYTES = 256 * 1024
UNKNOWN = Answer(404, "Not Found\n", FLAVOR)


async def serve(node: Node, worker: TpuWorker, address: str) -> asyncio.Server:
    """A server for one worker, on any port of its address."""

    async def answer(request: Request) -> Answer:
        if not peers.trusted(request.peer, request.headers):
            return Answer(403, "Forbidden\n")
        return answered(node, worker, request)

    return await http_server.serve(answer, address, 0)


def answered(node: Node, worker: TpuWorker, request: Request) -> Answer:
    """What the server says; guest attributes are written by PUT, one value each."""
    if not request.path.startswith(ROOT):
        return UNKNOWN
    if request.headers.get("metadata-flavor") != "Google":
        return Answer(403, "Missing Metadata-Flavor:Google header.\n")
    name = request.path.removeprefix(ROOT)
    if name.startswith(GUEST):
        return _guest(worker, name.removeprefix(GUEST), request)
    if request.method != "GET":
        return Answer(405, "Method Not Allowed\n", FLAVOR)
    return _read(_tree(node, worker), name, recursive=("recursive", "true") in request.query)


def _guest(worker: TpuWorker, name: str, request: Request) -> Answer:
    namespace, _, key = name.partition("/")
    if not namespace or not key or "/" in key:
        return UNKNOWN
    match request.method:
        case "PUT":
            if len(request.body) > VALUE_BYTES:
                return Answer(413, "The value is too large.\n", FLAVOR)
            worker.attributes[namespace, key] = request.body.decode("utf-8", "replace")
            return Answer(200, "", FLAVOR)
        case "DELETE":
            worker.attributes.pop((namespace, key), None)
            return Answer(200, "", FLAVOR)
        case "GET" if (namespace, key) in worker.attributes:
            return Answer(200, worker.attributes[namespace, key], FLAVOR)
        case _:
            return UNKNOWN


def _read(tree: Mapping[str, Any], name: str, *, recursive: bool) -> Answer:
    found: Any = tree
    for part in filter(None, name.split("/")):
        if not isinstance(found, Mapping) or part not in found:
            return UNKNOWN
        found = found[part]
    if not isinstance(found, Mapping):
        return Answer(200, str(found), FLAVOR)
    if recursive:
        return Answer(200, json.dumps(found), FLAVOR)
    return Answer(200, "".join(f"{k}/\n" if isinstance(v, Mapping) else f"{k}\n" for k, v in found.items()), FLAVOR)


def _tree(node: Node, worker: TpuWorker) -> Mapping[str, Any]:
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


def hostname(node: Node, worker: TpuWorker) -> str:
    """How the machine calls itself."""
    return f"t1v-n-{node.number % (1 << 32):08x}-w-{worker.index}"
