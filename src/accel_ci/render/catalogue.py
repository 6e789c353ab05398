"""The catalogue of accelerators as text: a table for people, JSON for programs."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator, Sequence

from accel_ci.domain.accelerators import Row

# The zones come last: they are long, and what a terminal wraps is them alone.
HEAD = ("type", "backend", "chips", "hosts", "on-demand", "spot", "machine type or runtime version", "zones")
UNKNOWN = "unknown"


def table(rows: Sequence[Row]) -> str:
    """Lines of a table; zones of one type with the same prices share a line. Prices are US dollars an hour and machine."""
    if not rows:
        return "no accelerator is known there\n"
    cells = [HEAD, *_lines(rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells)
    # A price without its day and source is taken for today's.
    dates = ", ".join(sorted({f"{row.source} ({row.date})" for row in rows}))
    return "".join(
        f"{line}\n" for line in (*lines, f"US dollars an hour for the whole machine; estimates from {dates}")
    )


def document(rows: Iterable[Row]) -> str:
    """A JSON list with an object for each type and zone; prices a machine and hour, null when unknown."""
    return json.dumps([dataclasses.asdict(row) for row in rows], indent=1) + "\n"


def _lines(rows: Sequence[Row]) -> Iterator[tuple[str, ...]]:
    places: dict[tuple[str, str, float | None, float | None], list[Row]] = {}
    for row in rows:
        places.setdefault((row.accelerator, row.backend, row.on_demand, row.spot), []).append(row)
    for first, *rest in places.values():
        yield (
            first.accelerator,
            first.backend,
            str(first.chips),
            str(first.hosts),
            _dollars(first.dollars_per_hour(spot=False)),
            _dollars(first.dollars_per_hour(spot=True)),
            first.machine_type or first.runtime,
            " ".join(row.zone for row in (first, *rest)),
        )


def _dollars(price: float | None) -> str:
    return UNKNOWN if price is None else f"{price:.2f}"
