"""GitHub's published description of its API, held against what went over the wire."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import referencing
import referencing.jsonschema

from accel_ci_sim.wire.github import Exchange

HERE = Path(__file__).parent
BASE = "urn:github"
# Answers that every operation can give and none describes.
EVERYWHERE = {0, 401, 403, 404, 429, 500, 502, 503, 504}
# What the description gets wrong, or the clients do against it, by operation and place; with the reason.
KNOWN_ERRORS = {
    ("repos/get", "response", "'language' is a required property"): "the description's own example lacks it",
    (
        "issues/add-labels",
        "request",
        "is not valid under any of the given schemas",
    ): "PyGithub sends a bare list of names",
    ("pulls/get", "response", "'language' is a required property"): "the description's own example lacks it",
}


def event(name: str) -> dict[str, Any]:
    """A real webhook payload, such as `pull_request.labeled`."""
    document: dict[str, Any] = json.loads((HERE / f"events/{name}.json").read_text(encoding="utf-8"))
    return document


def violations(exchange: Exchange) -> list[str]:
    """What in the exchange is not as the description says, known errors left out."""
    found = _operation(exchange.verb, exchange.path)
    if found is None:
        return [f"{exchange.verb} {exchange.path}: no such operation in the description"]
    pointer, operation = found
    told = [("query", f"{name!r} is unknown") for name in exchange.query if name not in _parameters(operation)]
    told += [("request", error) for error in _request_errors(pointer, operation, exchange)]
    told += [("response", error) for error in _response_errors(pointer, operation, exchange)]
    name = operation["operationId"]
    return [f"{name}: {place}: {error}" for place, error in told if not _known(name, place, error)]


def _known(operation: str, place: str, error: str) -> bool:
    return any((operation, place) == known[:2] and known[2] in error for known in KNOWN_ERRORS)


def _operation(verb: str, path: str) -> tuple[str, dict[str, Any]] | None:
    for template, verbs in _document()["paths"].items():
        if re.fullmatch(re.sub(r"\{[^}]+\}", "[^/]+", template), path) and verb.lower() in verbs:
            escaped = template.replace("/", "~1")
            return f"/paths/{escaped}/{verb.lower()}", verbs[verb.lower()]
    return None


def _parameters(operation: dict[str, Any]) -> set[str]:
    listed = [_resolved(each) for each in operation.get("parameters", [])]
    return {each["name"] for each in listed if each["in"] == "query"}


def _resolved(node: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in node:
        return node
    kind, name = node["$ref"].split("/")[-2:]
    resolved: dict[str, Any] = _document()["components"][kind][name]
    return resolved


def _request_errors(pointer: str, operation: dict[str, Any], exchange: Exchange) -> Iterator[str]:
    described = operation.get("requestBody")
    if exchange.request is None:
        return
    if described is None:
        yield "a body that the operation does not take"
    else:
        yield from _errors(f"{pointer}/requestBody/content/application~1json/schema", exchange.request)


def _response_errors(pointer: str, operation: dict[str, Any], exchange: Exchange) -> Iterator[str]:
    status = str(exchange.status)
    described = operation["responses"].get(status)
    if described is None:
        if exchange.status not in EVERYWHERE:
            yield f"{status} is not described"
        return
    pointer = described.get("$ref", f"#{pointer}/responses/{status}").removeprefix("#")
    if "application/json" in _resolved(described).get("content", {}):
        yield from _errors(f"{pointer}/content/application~1json/schema", exchange.response)
    elif exchange.response is not None:
        yield "a body where none is described"


def _errors(pointer: str, value: Any) -> Iterator[str]:
    validator = jsonschema.Draft202012Validator({"$ref": f"{BASE}#{pointer}"}, registry=_registry())
    for error in validator.iter_errors(value):
        yield f"{error.json_path}: {error.message[:300]} ... {error.message[-60:]}"


@functools.cache
def _registry() -> Any:
    resource = referencing.Resource.from_contents(_modern(_document()), referencing.jsonschema.DRAFT202012)
    return referencing.Registry().with_resource(BASE, resource)


@functools.cache
def _document() -> dict[str, Any]:
    document: dict[str, Any] = json.loads((HERE / "openapi.json").read_text(encoding="utf-8"))
    return document


def _modern(node: Any) -> Any:
    """OpenAPI 3.0's `nullable` in today's JSON Schema."""
    if isinstance(node, list):
        return [_modern(each) for each in node]
    if not isinstance(node, dict):
        return node
    modern = {key: _modern(value) for key, value in node.items()}
    return {"anyOf": [modern, {"type": "null"}]} if modern.pop("nullable", None) is True else modern
