"""Brings the catalogue up to what Google says now: the zones of Compute Engine's machines, and with --prices their prices.

python -m tools.refresh_catalogue [--prices] [--write]   (signs in as accel-ci does; without --write it only tells)

A price that the public list does not have under a name that we know stays as it is, with its own date and source.
"""

from __future__ import annotations

import datetime as dt
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from accel_ci.adapters.gce_api import ENDPOINT
from accel_ci.adapters.google_sign_in import GoogleSignIn
from accel_ci.domain import accelerator_rows, machine_rows
from accel_ci.domain.accelerator_rows import Place
from accel_ci.domain.machine_rows import Price
from tools import price_list
from tools.price_list import Sku

DOMAIN = Path(__file__).resolve().parent.parent / "src/accel_ci/domain"
FILE, TPU_FILE = DOMAIN / "machine_rows.py", DOMAIN / "accelerator_rows.py"
API = "https://compute.googleapis.com/compute/v1"
UNKNOWN = (None, None, None, None)
Places = Mapping[str, tuple[Price, ...]]


class Offer(NamedTuple):
    """What a family's smallest machine type is: in which zones, and how much memory for each vCPU (GiB)."""

    zones: set[str]
    gib_per_vcpu: float | None


def main(arguments: list[str]) -> int:
    """Tell what changed, and write it when asked to; 1 when something changed and was not written."""
    session, project = _signed_in(os.environ)
    offers, today = offered(session, project, os.environ), dt.datetime.now(dt.UTC).date()
    places = refreshed(machine_rows.PLACES, {family: offer.zones for family, offer in offers.items()})
    tpus: Sequence[Place] = accelerator_rows.PLACES
    if "--prices" in arguments:
        listed = price_list.skus(session, os.environ)
        places, tpus = priced(places, offers, listed, today=today), tpus_priced(tpus, listed, today=today)
        print(f"not, or not all, in the price list, and kept as they were: {kept(places, tpus, today=today)}")
    changes = [*told(machine_rows.PLACES, places), *told_of_tpus(accelerator_rows.PLACES, tpus)]
    print("\n".join(changes) or "the catalogue is up to date")
    if changes and "--write" in arguments:
        FILE.write_text(written(FILE.read_text(encoding="utf-8"), places, today=today), encoding="utf-8")
        TPU_FILE.write_text(tpus_written(TPU_FILE.read_text(encoding="utf-8"), tpus), encoding="utf-8")
        return 0
    return 1 if changes else 0


def _signed_in(environ: Mapping[str, str]) -> tuple[Any, str]:
    from google.auth.transport.requests import AuthorizedSession

    credentials, project = GoogleSignIn(environ).credentials()
    return AuthorizedSession(credentials), project  # type: ignore[no-untyped-call]


def offered(session: Any, project: str, environ: Mapping[str, str]) -> dict[str, Offer]:
    """Each family's offer, of its smallest machine type, and with its accelerator where that is attached."""
    base = f"{(environ.get(ENDPOINT) or API).rstrip('/')}/projects/{project}/aggregated"
    machines, chips = (by_name(session, f"{base}/{kind}", kind) for kind in ("machineTypes", "acceleratorTypes"))
    smallest = {name.rpartition("-")[0]: each for name, each in reversed(machine_rows.SHAPES.items()) if each.chips}
    found = {family: _offer(machines.get(each.name, {})) for family, each in smallest.items()}
    for family, each in smallest.items():
        if each.attached:
            both = found[family].zones & set(chips.get(each.attached, {}))
            found[family] = found[family]._replace(zones=both)
    return found | {"e2": _offer(machines.get("e2-standard-4", {}))}


def _offer(by_zone: Mapping[str, Mapping[str, Any]]) -> Offer:
    one = next(iter(by_zone.values()), {})
    cpus, memory = one.get("guestCpus"), one.get("memoryMb")
    return Offer(set(by_zone), memory / 1024 / cpus if cpus and memory else None)


def by_name(session: Any, address: str, kind: str) -> dict[str, dict[str, Mapping[str, Any]]]:
    """Each type of a kind in each of its zones, from every page of the listing."""
    found: dict[str, dict[str, Mapping[str, Any]]] = {}
    token = ""
    while True:
        answer = session.get(address, params={"pageToken": token} if token else {}, timeout=30)
        answer.raise_for_status()
        page = answer.json()
        for zone, scoped in page.get("items", {}).items():
            for each in scoped.get(kind, ()):
                found.setdefault(each["name"], {})[zone.rpartition("/")[2]] = each
        token = page.get("nextPageToken", "")
        if not token:
            return found


def refreshed(known: Places, offers: Mapping[str, set[str]]) -> dict[str, tuple[Price, ...]]:
    """The places with the zones that are offered; the prices of regions that are known already stay."""
    return {
        family: tuple(_family(prices, offers[family])) if offers.get(family) else prices
        for family, prices in known.items()
    }


def _family(prices: tuple[Price, ...], zones: set[str]) -> Iterator[Price]:
    # us-central1-ai1a is for TPU7x alone.
    lettered = sorted(zone for zone in zones if len(zone.rpartition("-")[2]) == 1)
    by_region = {
        region: "".join(zone.rpartition("-")[2] for zone in of_region)
        for region, of_region in groupby(lettered, key=lambda zone: zone.rpartition("-")[0])
    }
    for price in prices:
        if price.region in by_region:
            yield price._replace(zones=by_region.pop(price.region))
    for region, letters in by_region.items():
        yield Price(region, letters, *UNKNOWN)


def priced(
    known: Places, offers: Mapping[str, Offer], listed: Sequence[Sku], *, today: dt.date
) -> dict[str, tuple[Price, ...]]:
    """The places with the list's prices. A row is the list's as a whole or stays as it is: two dates in one would lie."""

    def of(family: str, price: Price) -> Price:
        offer = offers.get(family)
        found = price_list.found(listed, family, price.region, gib_per_vcpu=offer and offer.gib_per_vcpu)
        if _poorer(price[2:6], found) or price_list.implausible(found):
            return price
        return Price(price.region, price.zones, *found, today.isoformat())

    return {family: tuple(of(family, price) for price in prices) for family, prices in known.items()}


def tpus_priced(known: Iterable[Place], listed: Sequence[Sku], *, today: dt.date) -> list[Place]:
    """The same for TPUs, whose prices are by the chip, hosts and all."""

    def of(place: Place) -> Place:
        found = price_list.found(listed, place.family, place.zone.rpartition("-")[0], gib_per_vcpu=None)
        if _poorer(place[2:4], found[:2]) or price_list.implausible(found):
            return place
        return Place(place.family, place.zone, found.chip, found.chip_spot, today.isoformat())

    return [of(place) for place in known]


def _poorer(known: Iterable[float | None], found: Sequence[float | None]) -> bool:
    """True when the list knows nothing, or less than we do: a machine whose host has no price has none at all."""
    lost = any(new is None for old, new in zip(known, found, strict=True) if old is not None)
    return lost or not any(found)


def kept(places: Places, tpus: Iterable[Place], *, today: dt.date) -> str:
    """The families that have rows which the list says nothing of, or not all of."""
    rows = [*((family, price.date) for family, prices in places.items() for price in prices)]
    rows += [(place.family, place.date) for place in tpus]
    return ", ".join(sorted({family for family, date in rows if date != today.isoformat()}))


def told(before: Places, after: Places) -> Iterator[str]:
    """A line for each zone that came or went, and for each region whose prices changed."""
    for family, prices in after.items():
        old, new = _zones(before[family]), _zones(prices)
        yield from (f"{family}: + {zone}" for zone in sorted(new - old))
        yield from (f"{family}: - {zone}" for zone in sorted(old - new))
        known = {price.region: price[2:6] for price in before[family]}
        for price in prices:
            if price.region in known and known[price.region] != price[2:6]:
                yield f"{family}: {price.region} {_dollars(known[price.region])} -> {_dollars(price[2:6])}"


def told_of_tpus(before: Iterable[Place], after: Iterable[Place]) -> Iterator[str]:
    """A line for each zone whose prices changed."""
    for old, new in zip(before, after, strict=True):
        if old[2:4] != new[2:4]:
            yield f"{new.family}: {new.zone} {_dollars(old[2:4])} -> {_dollars(new[2:4])}"


def _dollars(prices: Iterable[float | None]) -> str:
    return "/".join("unknown" if price is None else f"{price:g}" for price in prices)


def _zones(prices: tuple[Price, ...]) -> set[str]:
    return {f"{price.region}-{letter}" for price in prices for letter in price.zones}


def written(text: str, places: Places, *, today: dt.date) -> str:
    """The module's text with these places; prices that stayed keep their own date."""
    lines = []
    for family, prices in places.items():
        rows = "".join(f"        Price({_literals(price)}),\n" for price in prices)
        lines.append(f'    "{family}": (\n{rows}    ),\n')
    head, _, _ = text.partition("PLACES = {\n")
    head = re.sub(r'ZONES_DATE = "[^"]*"', f'ZONES_DATE = "{today.isoformat()}"', head)
    return f"{head}PLACES = {{\n{''.join(lines)}}}\n"


def tpus_written(text: str, places: Iterable[Place]) -> str:
    """The module's text with these places of TPUs."""
    rows = "".join(f"    Place({_literals(place)}),\n" for place in places)
    return f"{text.partition('PLACES = (')[0]}PLACES = (\n{rows})\n"


def _literals(row: Sequence[object]) -> str:
    shown = row if row[-1] else row[:-1]
    return ", ".join(f'"{value}"' if isinstance(value, str) else repr(value) for value in shown)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
