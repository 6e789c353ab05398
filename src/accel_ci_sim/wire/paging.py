"""Lists in pages: a page begins after the last name of the one before, so that changes in between lose nothing."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import TypeVar

from accel_ci_sim.world import tpu_status

PAGE = 100
LARGEST = 1000

Item = TypeVar("Item")


def page(items: Sequence[tuple[str, Item]], query: Mapping[str, str]) -> tuple[list[Item], str]:
    """The items of the page asked for, out of (name, item) in the order of names, and the next page's token or ""."""
    size, after = _size(query.get("pageSize", "")), _after(query.get("pageToken", ""))
    # By name, not by number: numbers shift when something ends between two pages.
    rest = [(name, item) for name, item in items if name > after]
    last = rest[size - 1][0] if len(rest) > size else ""
    return [item for _, item in rest[:size]], base64.urlsafe_b64encode(last.encode()).decode()


def _size(text: str) -> int:
    try:
        size = int(text or PAGE)
    except ValueError:
        size = -1
    if size < 0:
        raise tpu_status.invalid(f"Invalid page size '{text[:40]}'.")
    return min(size or PAGE, LARGEST)


def _after(token: str) -> str:
    try:
        return base64.b64decode(token.encode(), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise tpu_status.invalid("Invalid page token.") from error
