"""What a client may ask for in a body, beyond the types of its fields."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from accel_ci_sim.wire import proto_json
from accel_ci_sim.world import tpu_status

LABELS = 64
LABEL_KEY = re.compile(r"[a-z][a-z0-9_-]{0,62}")
LABEL_VALUE = re.compile(r"[a-z0-9_-]{0,63}")
DESCRIPTION = 512
METADATA_BYTES = 512 * 1024
MUTABLE = ("description", "tags", "labels", "metadata", "network_config.enable_external_ips")


def node(body: bytes) -> dict[str, Any]:
    """A Node to be created or updated."""
    return checked(proto_json.parsed(body, "Node", root="node"))


def queued_resource(body: bytes) -> dict[str, Any]:
    """A QueuedResource to be created."""
    spec = proto_json.parsed(body, "QueuedResource", root="queued_resource")
    for node_spec in spec.get("tpu", {}).get("nodeSpec", []):
        checked(node_spec.get("node", {}))
    return spec


def checked(spec: dict[str, Any]) -> dict[str, Any]:
    """The Node itself; RefusedError when its labels, description or metadata break the rules."""
    labels = spec.get("labels", {})
    wrong = [k for k, v in labels.items() if not (LABEL_KEY.fullmatch(k) and LABEL_VALUE.fullmatch(v))]
    if wrong or len(labels) > LABELS:
        raise tpu_status.invalid(f"Invalid labels: {wrong[0]!r}" if wrong else f"More than {LABELS} labels.")
    if len(spec.get("description", "")) > DESCRIPTION:
        raise tpu_status.invalid(f"The description has more than {DESCRIPTION} characters.")
    if sum(len(k.encode()) + len(v.encode()) for k, v in spec.get("metadata", {}).items()) > METADATA_BYTES:
        raise tpu_status.invalid(f"The metadata has more than {METADATA_BYTES} bytes.")
    return spec


def mask(text: str) -> list[str]:
    """The paths of an update mask, in the spelling of MUTABLE."""
    # gcloud sends masks in camel case, the library in snake case.
    paths = [proto_json.snake(path.strip()) for path in text.split(",") if path.strip()]
    wrong = [path for path in paths if path not in MUTABLE]
    if wrong or not paths:
        raise tpu_status.invalid(f"Invalid update_mask '{text}': supported fields are {', '.join(MUTABLE)}.")
    return paths


def update(spec: dict[str, Any], new: Mapping[str, Any], paths: list[str]) -> None:
    """Put the fields that the paths name into the specification; what is not in `new` becomes unset."""
    for path in paths:
        outer, _, inner = path.partition(".")
        key = proto_json.camel(outer)
        if inner:
            given = new.get(key, {}).get(proto_json.camel(inner))
            spec[key] = {**spec.get(key, {}), proto_json.camel(inner): given}
        else:
            spec[key] = new.get(key)
        # A field that was set to nothing is not there any more.
        if not spec[key]:
            del spec[key]


def window(spec: Mapping[str, Any], *, now: float) -> tuple[float, float | None]:
    """Not before and not after when a queued resource may be served, in seconds since 1970."""
    policy = spec.get("queueingPolicy", {})
    interval = policy.get("validInterval", {})
    after = policy.get("validAfterTime") or interval.get("startTime")
    until = policy.get("validUntilTime") or interval.get("endTime")
    first = _time(after) if after else now + _seconds(policy.get("validAfterDuration", "0s"))
    if until:
        return first, _time(until)
    limit = policy.get("validUntilDuration")
    return first, now + _seconds(limit) if limit else None


def _time(text: str) -> float:
    try:
        # Google's times have nine digits behind the point, Python reads six.
        return datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text)).timestamp()
    except ValueError as error:
        raise tpu_status.invalid(f"Invalid time '{text}'.") from error


def _seconds(text: str) -> float:
    return float(text.removesuffix("s"))
