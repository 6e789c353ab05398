"""The metadata server that a simulated machine sees, as far as boot scripts and agents use it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from accel_ci_sim.wire import http_server, peers
from accel_ci_sim.wire.guest import Guest
from accel_ci_sim.wire.http_server import Answer, Request

ROOT = "/computeMetadata/v1/"
GUEST = "instance/guest-attributes/"
POWER = "/sim/power/"  # no machine of Google has this: how our own `shutdown` reaches the simulator
FLAVOR = {"Metadata-Flavor": "Google"}
VALUE_BYTES = 256 * 1024
UNKNOWN = Answer(404, "Not Found\n", FLAVOR)


async def serve(guest: Guest, address: str) -> asyncio.Server:
    """A server for one host, on any port of its address."""

    async def answer(request: Request) -> Answer:
        if not peers.trusted(request.peer, request.headers):
            return Answer(403, "Forbidden\n")
        return answered(guest, request)

    return await http_server.serve(answer, address, 0)


def answered(guest: Guest, request: Request) -> Answer:
    """What the server says; guest attributes are written by PUT, one value each."""
    if request.path.startswith(POWER) and request.method == "POST":
        guest.power(request.path.removeprefix(POWER))
        return Answer(200, "", FLAVOR)
    if not request.path.startswith(ROOT):
        return UNKNOWN
    if request.headers.get("metadata-flavor") != "Google":
        return Answer(403, "Missing Metadata-Flavor:Google header.\n")
    name = request.path.removeprefix(ROOT)
    if name.startswith(GUEST):
        return _attribute(guest, name.removeprefix(GUEST), request)
    if request.method != "GET":
        return Answer(405, "Method Not Allowed\n", FLAVOR)
    return _read(guest.tree(), name, recursive=("recursive", "true") in request.query)


def _attribute(guest: Guest, name: str, request: Request) -> Answer:
    if not guest.tells():
        return Answer(403, "Guest attributes endpoint access is disabled.\n", FLAVOR)
    told = guest.computer.attributes
    namespace, _, key = name.partition("/")
    if not namespace or not key or "/" in key:
        return UNKNOWN
    match request.method:
        case "PUT":
            if len(request.body) > VALUE_BYTES:
                return Answer(413, "The value is too large.\n", FLAVOR)
            told[namespace, key] = request.body.decode("utf-8", "replace")
            return Answer(200, "", FLAVOR)
        case "DELETE":
            told.pop((namespace, key), None)
            return Answer(200, "", FLAVOR)
        case "GET" if (namespace, key) in told:
            return Answer(200, told[namespace, key], FLAVOR)
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
