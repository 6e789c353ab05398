"""Brings the zones of domain/machine_rows.py up to what Compute Engine says now; prices stay, those of new regions are unknown.

python tools/refresh_catalogue.py [--write]     (credentials and project as for accel-ci; without --write it only tells)
"""

from __future__ import annotations

import datetime as dt
import os
import re
import sys
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

from accel_ci.adapters.gce_api import ENDPOINT
from accel_ci.adapters.google_sign_in import GoogleSignIn
from accel_ci.domain import machine_rows
from accel_ci.domain.machine_rows import Price

FILE = Path(__file__).resolve().parent.parent / "src/accel_ci/domain/machine_rows.py"
API = "https://compute.googleapis.com/compute/v1"
UNKNOWN = (None, None, None, None)


def main(arguments: list[str]) -> int:
    """Tell what changed, and write it when asked to; 1 when something changed and was not written."""
    places = refreshed(machine_rows.PLACES, offered(os.environ))
    changes = list(told(machine_rows.PLACES, places))
    print("\n".join(changes) or "the catalogue's zones are up to date")
    if changes and "--write" in arguments:
        text = written(FILE.read_text(encoding="utf-8"), places, today=dt.datetime.now(dt.UTC).date())
        FILE.write_text(text, encoding="utf-8")
        return 0
    return 1 if changes else 0


def offered(environ: Mapping[str, str]) -> dict[str, set[str]]:
    """The zones of each family's smallest machine type, with its accelerator where that is attached."""
    from google.auth.transport.requests import AuthorizedSession

    credentials, project = GoogleSignIn(environ).credentials()
    session = AuthorizedSession(credentials)  # type: ignore[no-untyped-call]
    base = f"{(environ.get(ENDPOINT) or API).rstrip('/')}/projects/{project}/aggregated"
    machines, chips = (zones_by_name(session, f"{base}/{kind}", kind) for kind in ("machineTypes", "acceleratorTypes"))
    smallest = {name.rpartition("-")[0]: each for name, each in reversed(machine_rows.SHAPES.items()) if each.chips}
    found = {family: machines.get(each.name, set()) for family, each in smallest.items()}
    for family, each in smallest.items():
        if each.attached:
            found[family] &= chips.get(each.attached, set())
    return found | {"e2": machines.get("e2-standard-4", set())}


def zones_by_name(session: Any, address: str, kind: str) -> dict[str, set[str]]:
    """The zones that have each type of a kind, from every page of the listing."""
    found: dict[str, set[str]] = {}
    token = ""
    while True:
        answer = session.get(address, params={"pageToken": token} if token else {}, timeout=30)
        answer.raise_for_status()
        page = answer.json()
        for zone, scoped in page.get("items", {}).items():
            for each in scoped.get(kind, ()):
                found.setdefault(each["name"], set()).add(zone.rpartition("/")[2])
        token = page.get("nextPageToken", "")
        if not token:
            return found


def refreshed(known: Mapping[str, tuple[Price, ...]], offers: Mapping[str, set[str]]) -> dict[str, tuple[Price, ...]]:
    """The places with the zones that are offered; the prices of regions that are known already stay."""
    return {
        family: tuple(_family(prices, offers[family])) if offers.get(family) else prices
        for family, prices in known.items()
    }


def _family(prices: tuple[Price, ...], zones: set[str]) -> Iterator[Price]:
    lettered = sorted(
        zone for zone in zones if len(zone.rpartition("-")[2]) == 1
    )  # us-central1-ai1a is for TPU7x alone
    by_region = {
        region: "".join(zone.rpartition("-")[2] for zone in of_region)
        for region, of_region in groupby(lettered, key=lambda zone: zone.rpartition("-")[0])
    }
    for price in prices:
        if price.region in by_region:
            yield price._replace(zones=by_region.pop(price.region))
    for region, letters in by_region.items():
        yield Price(region, letters, *UNKNOWN)


def told(before: Mapping[str, tuple[Price, ...]], after: Mapping[str, tuple[Price, ...]]) -> Iterator[str]:
    """A line for each zone that came or went."""
    for family, prices in after.items():
        old, new = _zones(before[family]), _zones(prices)
        yield from (f"{family}: + {zone}" for zone in sorted(new - old))
        yield from (f"{family}: - {zone}" for zone in sorted(old - new))


def _zones(prices: tuple[Price, ...]) -> set[str]:
    return {f"{price.region}-{letter}" for price in prices for letter in price.zones}


def written(text: str, places: Mapping[str, tuple[Price, ...]], *, today: dt.date) -> str:
    """The module's text with these places; the prices keep their own date."""
    lines = []
    for family, prices in places.items():
        rows = "".join(f"        Price({', '.join(map(_literal, price))}),\n" for price in prices)
        lines.append(f'    "{family}": (\n{rows}    ),\n')
    head, _, _ = text.partition("PLACES = {\n")
    head = re.sub(r'ZONES_DATE = "[^"]*"', f'ZONES_DATE = "{today.isoformat()}"', head)
    return f"{head}PLACES = {{\n{''.join(lines)}}}\n"


def _literal(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
