"""Lists in pages."""

from __future__ import annotations

import pytest

from accel_ci_sim.wire import paging
from accel_ci_sim.world.tpu_status import RefusedError

ITEMS = [(name, name.upper()) for name in "abcde"]


def walk(size: str) -> list[list[str]]:
    """All pages of that size."""
    pages: list[list[str]] = []
    token = ""
    while not pages or token:
        page, token = paging.page(ITEMS, {"pageSize": size, "pageToken": token})
        pages.append(page)
    return pages


def test_pages_hold_everything_once() -> None:
    """In order, the last one shorter, none empty at the end."""
    assert walk("2") == [["A", "B"], ["C", "D"], ["E"]]
    assert walk("5") == walk("0") == walk("") == [["A", "B", "C", "D", "E"]]


def test_changes_in_between_lose_nothing() -> None:
    """When what was shown goes away, the next page still begins after it."""
    _, token = paging.page(ITEMS, {"pageSize": "2"})
    assert paging.page(ITEMS[2:], {"pageSize": "2", "pageToken": token})[0] == ["C", "D"]


@pytest.mark.parametrize("query", [{"pageSize": "-1"}, {"pageSize": "x"}, {"pageToken": "*"}, {"pageToken": "/w=="}])
def test_strange_requests_are_refused(query: dict[str, str]) -> None:
    """A negative size and a token of somebody else's make no page."""
    with pytest.raises(RefusedError):
        paging.page(ITEMS, query)
