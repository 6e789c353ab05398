"""The messages that clients send to Compute Engine: `tools/slice_compute_api.py` cuts them out of Google's own library."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Any

from accel_ci_sim.wire import proto_json
from accel_ci_sim.wire.proto_json import Schema


@cache
def schema() -> Schema:
    """All of them; what is sent with its default value counts as sent."""
    found = json.loads(resources.files(__package__).joinpath("compute_schema.json").read_bytes())
    return Schema(package="google.cloud.compute.v1", messages=found["messages"], enums=found["enums"], presence=True)


def parsed(body: bytes, kind: str) -> dict[str, Any]:
    """The message `kind` that the body holds; RefusedError names all mistakes."""
    return proto_json.parsed(body, kind, root="resource", schema=schema())
