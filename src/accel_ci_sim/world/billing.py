"""Google's public price list, as far as it is about what is simulated; prices of its own, so that they can be told apart.

https://cloud.google.com/billing/docs/reference/rest/v1/services.skus. How products are called there is what SkyPilot's
fetch_gcp.py and projects that read the list look for; nobody documents it.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

COMPUTE = "6F81-5844-456A"
CITIES = {"us-central1": "Americas", "us-east4": "Northern Virginia", "europe-west4": "Netherlands"}
GIB_HOURS, HOURS = "GiBy.h", "h"


class Product(NamedTuple):
    """What is sold by the hour: its name, its resource group, dollars on demand and spot, and the unit."""

    name: str
    group: str
    on_demand: float
    spot: float
    unit: str = HOURS


PRODUCTS = (
    Product("Nvidia L4 GPU", "GPU", 0.61, 0.24),
    Product("Nvidia Tesla T4 GPU", "GPU", 0.36, 0.17),
    Product("Nvidia Tesla A100 GPU", "GPU", 2.95, 1.2),
    Product("Nvidia Tesla A100 80GB GPU", "GPU", 4.5, 1.5),
    Product("Nvidia H100 80GB GPU", "GPU", 9.9, 2.4),
    Product("Nvidia H100 80GB Plus GPU", "GPU", 10.4, 3.1),
    Product("G2 Instance Core", "CPU", 0.026, 0.011),
    Product("G2 Instance Ram", "RAM", 0.003, 0.0012, GIB_HOURS),
    Product("A2 Instance Core", "CPU", 0.032, 0.016),
    Product("A2 Instance Ram", "RAM", 0.0043, 0.0021, GIB_HOURS),
    Product("E2 Instance Core", "CPU", 0.022, 0.009),
    Product("E2 Instance Ram", "RAM", 0.0029, 0.0012, GIB_HOURS),
    Product("N1 Predefined Instance Core", "N1Standard", 0.0316, 0.0066),
    Product("N1 Predefined Instance Ram", "N1Standard", 0.0042, 0.0009, GIB_HOURS),
    Product("TpuV6e", "TPU", 2.75, 0.6),
    Product("TpuV5e", "TPU", 1.22, 0.25),
)


def skus() -> Iterator[dict[str, Any]]:
    """Every entry of the list: what is sold, on demand and spot, among others that look alike and mean something else."""
    for region, city in CITIES.items():
        for each in PRODUCTS:
            there = f"running in {city}"
            yield _sku(f"{each.name} {there}", each, region, each.on_demand)
            spot = (
                f"Spot Preemptible {each.name} {there}"
                if "Instance" in each.name
                else f"{each.name} attached to Spot Preemptible VMs {there}"
            )
            yield _sku(spot, each, region, each.spot, usage="Preemptible")
            yield _sku(
                f"Commitment v1: {each.name} in {city} for 1 Year", each, region, each.spot / 2, usage="Commit1Yr"
            )
            yield _sku(f"Reserved {each.name} in {city}", each, region, 0.0)
            yield _sku(f"DWS Defined Duration {each.name} {there}", each, region, each.on_demand / 2)
            if "Instance" in each.name:
                alone = each.name.replace("Instance", "Sole Tenancy Instance")
                yield _sku(f"{alone} {there}", each, region, each.on_demand * 2)


def _sku(description: str, product: Product, region: str, dollars: float, *, usage: str = "OnDemand") -> dict[str, Any]:
    number = f"{zlib.crc32(f'{description} {region}'.encode()):08X}"
    identity = f"{number[:4]}-{number[4:]}-0000"
    whole, nanos = divmod(round(dollars * 1e9), 10**9)
    return {
        "name": f"services/{COMPUTE}/skus/{identity}",
        "skuId": identity,
        "description": description,
        "category": {
            "serviceDisplayName": "Compute Engine",
            "resourceFamily": "Compute",
            "resourceGroup": product.group,
            "usageType": usage,
        },
        "serviceRegions": [region],
        "pricingInfo": [
            {
                "effectiveTime": "2026-11-01T00:00:00Z",
                "pricingExpression": {
                    "usageUnit": product.unit,
                    "displayQuantity": 1,
                    "tieredRates": [
                        {
                            "startUsageAmount": 0,
                            "unitPrice": {"currencyCode": "USD", "units": str(whole), "nanos": nanos},
                        }
                    ],
                },
                "currencyConversionRate": 1,
            }
        ],
        "serviceProviderName": "Google",
        "geoTaxonomy": {"type": "REGIONAL", "regions": [region]},
    }
