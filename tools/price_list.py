"""Google's public price list (Cloud Billing API, services.skus.list), as prices of chips and of vCPUs with their memory.

What an entry is about is said by its description alone, which Google does not document: the patterns here are those of
SkyPilot's fetch_gcp.py (sky/catalog/data_fetchers), anchored at both ends, because commitments, reservations and sole tenancy
are described alike. What is not in NAMES or HOSTS cannot be told from the list: such prices stay as they are, with their date.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

ENDPOINT = "CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDBILLING"
API = "https://cloudbilling.googleapis.com"
COMPUTE = "6F81-5844-456A"  # TPUs from v5e on are sold by Compute Engine, too
LARGEST_PAGE = 5000
NAMES = {
    "l4": "Nvidia L4 GPU",
    "t4": "Nvidia Tesla T4 GPU",
    "p4": "Nvidia Tesla P4 GPU",
    "p100": "Nvidia Tesla P100 GPU",
    "v100": "Nvidia Tesla V100 GPU",
    "a100": "Nvidia Tesla A100 GPU",
    "a100-80gb": "Nvidia Tesla A100 80GB GPU",
    "h100": "Nvidia H100 80GB GPU",
    "h100-mega": "Nvidia H100 (?:80GB (?:Mega|Plus)|Mega 80GB) GPU",
    "h200": "Nvidia H200 141GB GPU",
    "v6e": "TpuV6e",
    "v5p": "TpuV5p",
    "v5litepod": "TpuV5e",
}
# The hosts of h100-mega, h200 and b200 are not told apart from others in the list.
HOSTS = {
    "l4": "G2 Instance",
    "a100": "A2 Instance",
    "a100-80gb": "A2 Instance",
    "h100": "A3 Instance",
    "e2": "E2 Instance",
    **dict.fromkeys(("t4", "p4", "p100", "v100"), "N1 Predefined Instance"),
}
_FORM = r"(Spot Preemptible )?(?:{})(?: attached to (Spot Preemptible )?VMs)?(?: (?:running )?in .*)?"


class Sku(NamedTuple):
    """An entry: what it is about, where it counts, and dollars per hour, or per GiB and hour."""

    description: str
    regions: tuple[str, ...]
    unit: str
    dollars: float


class Found(NamedTuple):
    """Prices in one region, None where the list has none or several: a chip, and a vCPU with its memory."""

    chip: float | None
    chip_spot: float | None
    vcpu: float | None
    vcpu_spot: float | None


def skus(session: Any, environ: Mapping[str, str]) -> list[Sku]:
    """Every entry of Compute Engine, from all pages."""
    address = f"{(environ.get(ENDPOINT) or API).rstrip('/')}/v1/services/{COMPUTE}/skus"
    found: list[Sku] = []
    token = ""
    while True:
        asked = {"pageSize": str(LARGEST_PAGE), "currencyCode": "USD", **({"pageToken": token} if token else {})}
        answer = session.get(address, params=asked, timeout=60)
        answer.raise_for_status()
        page = answer.json()
        found += filter(None, map(_sku, page.get("skus", ())))
        token = page.get("nextPageToken", "")
        if not token:
            return found


def found(listed: Iterable[Sku], family: str, region: str, *, gib_per_vcpu: float | None) -> Found:
    """What the list says of a family in a region. `gib_per_vcpu` is the memory of its machines, None when unknown."""
    there = [sku for sku in listed if region in sku.regions]
    chip = [_one(there, NAMES[family], spot=spot) if family in NAMES else None for spot in (False, True)]
    host = [_host(there, HOSTS.get(family), gib_per_vcpu, spot=spot) for spot in (False, True)]
    if family not in NAMES and family in HOSTS:  # a machine without chips
        chip = [0.0, 0.0]
    return Found(*chip, *host)


def _host(there: list[Sku], name: str | None, gib_per_vcpu: float | None, *, spot: bool) -> float | None:
    if name is None or gib_per_vcpu is None:
        return None
    core, ram = (_one(there, f"{name} {part}", spot=spot) for part in ("Core", "Ram"))
    return None if core is None or ram is None else round(core + gib_per_vcpu * ram, 6)


def _one(there: list[Sku], name: str, *, spot: bool) -> float | None:
    """The price of that name; None when there is none, or when several disagree about it."""
    form = re.compile(_FORM.format(name))
    matches = ((sku, form.fullmatch(sku.description)) for sku in there)
    prices = {sku.dollars for sku, match in matches if match and any(match.groups()) is spot}
    return prices.pop() if len(prices) == 1 else None


def _sku(document: Mapping[str, Any]) -> Sku | None:
    """The entry, None for one without a price by the hour. Entries that cost nothing are placeholders of commitments."""
    try:
        pricing = document["pricingInfo"][-1]["pricingExpression"]
        price = pricing["tieredRates"][-1]["unitPrice"]
        dollars = int(price.get("units") or 0) + int(price.get("nanos") or 0) / 1e9
    except (LookupError, TypeError, ValueError):
        return None
    if pricing.get("usageUnit") not in ("h", "GiBy.h") or dollars <= 0 or not _by_the_hour(document):
        return None
    return Sku(document["description"], tuple(document.get("serviceRegions", ())), pricing["usageUnit"], dollars)


def _by_the_hour(document: Mapping[str, Any]) -> bool:
    return document.get("category", {}).get("usageType") in ("OnDemand", "Preemptible")


def implausible(prices: Found) -> bool:
    """True when a spot price is not below the one on demand, so that one of them means something else."""
    pairs: Iterator[tuple[float | None, float | None]] = iter(
        ((prices.chip, prices.chip_spot), (prices.vcpu, prices.vcpu_spot))
    )
    return any(usual is not None and spot is not None and 0 < usual <= spot for usual, spot in pairs)
