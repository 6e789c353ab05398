"""Lists of Compute Engine: filtered, sorted, in pages; over one scope, or aggregated over all."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from accel_ci_sim.wire import compute_render
from accel_ci_sim.wire.tpu_render import Document
from accel_ci_sim.world import compute_filter, compute_status

LIST = ("filter", "maxResults", "orderBy", "pageToken", "returnPartialSuccess")
AGGREGATED = (*LIST, "includeAllScopes", "serviceProjectNumber")
PAGE = 500
Scoped = tuple[str, Document]  # `zones/us-central1-a` and a resource there


def listed(kind: str, path: str, items: Iterable[Document], query: Mapping[str, str]) -> Document:
    """A list such as `compute#instanceList` of the resources at that path."""
    shown, token = _page([("", item) for item in items], query)
    document: Document = {"kind": kind, "id": path, "selfLink": compute_render.link(path)}
    document["items"] = [item for _, item in shown]
    return {key: value for key, value in (document | token).items() if value}


def aggregated(
    kind: str,
    path: str,
    items: Sequence[Scoped],
    query: Mapping[str, str],
    *,
    scopes: Sequence[str],
    silent: Sequence[str] = (),
    partial: bool = False,
) -> Document:
    """Resources by scope, with a warning for each scope that has none, and for those that did not answer.

    Unless `partial` success is good enough, those are a reason to refuse.
    """
    # Unless the client says that it can live with less, a list that is not whole is an error.
    if silent and not partial and query.get("returnPartialSuccess", "").lower() != "true":
        raise compute_status.unavailable()
    shown, token = _page(items, query)
    collection = path.rpartition("/")[2]
    by_scope: dict[str, Any] = {
        scope: {
            "warning": _warning("NO_RESULTS_ON_PAGE", f"There are no results for scope '{scope}' on this page.", scope)
        }
        for scope in scopes
    }
    for scope, item in shown:
        by_scope[scope].pop("warning", None)
        by_scope[scope].setdefault(collection, []).append(item)
    for scope in silent:
        by_scope[scope] = {"warning": _warning("UNREACHABLE", f"The scope '{scope}' is unreachable.", scope)}
    document: Document = {"kind": kind, "id": path, "selfLink": compute_render.link(path), "items": by_scope, **token}
    return document | ({"unreachables": [*silent]} if silent else {})


def _warning(code: str, message: str, scope: str) -> Document:
    return {"code": code, "message": message, "data": [{"key": "scope", "value": scope}]}


def _page(items: Sequence[Scoped], query: Mapping[str, str]) -> tuple[list[Scoped], Document]:
    """The items of the page asked for, and the next page's token: where this one ended, so that nothing gets lost."""
    matches = compute_filter.compiled(query.get("filter", ""))
    rest = _sorted([item for item in items if matches(item[1])], query.get("orderBy", ""))
    # By name, not by number: what went meanwhile must not shift the next page.
    after = _after(query.get("pageToken", ""))
    keys = [f"{scope}/{item.get('name', '')}" for scope, item in rest]
    begin = keys.index(after) + 1 if after in keys else sum(key <= after for key in keys) if after else 0
    end = begin + _size(query.get("maxResults", ""))
    more = {"nextPageToken": base64.urlsafe_b64encode(keys[end - 1].encode()).decode()} if end < len(rest) else {}
    return rest[begin:end], more


def _sorted(items: list[Scoped], order: str) -> list[Scoped]:
    match order.split():
        case [] | ["name"]:
            return sorted(items, key=lambda each: (each[0], each[1].get("name", "")))
        case ["creationTimestamp", "desc"]:
            return sorted(items, key=lambda each: each[1].get("creationTimestamp", ""), reverse=True)
    raise compute_status.invalid("orderBy", order, "Sorting is by name or by creationTimestamp desc.")


def _size(text: str) -> int:
    try:
        size = int(text or PAGE)
    except ValueError:
        size = -1
    if not 0 <= size <= PAGE:
        why = f"Values must be between 0 and {PAGE}, inclusive."
        raise compute_status.invalid("maxResults", text[:40], why)
    return size or PAGE


def _after(token: str) -> str:
    try:
        return base64.b64decode(token.encode(), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise compute_status.invalid("pageToken", token[:80], "The page token is malformed.") from error
