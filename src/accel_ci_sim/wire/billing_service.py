"""The Cloud Billing API v1 as far as its public price list goes: services.skus.list."""

from __future__ import annotations

from accel_ci_sim.wire import paging
from accel_ci_sim.wire.routing import Call, Route, route
from accel_ci_sim.wire.tpu_render import Document
from accel_ci_sim.world import billing, tpu_status


def routes() -> list[Route]:
    """Its method with its address below /v1/services/."""
    return [route("GET", "{id}/skus", skus, "pageSize", "pageToken", "currencyCode")]


def skus(call: Call) -> Document:
    """services.skus.list, in dollars; the list has no end in itself, so the last page's token is empty and not absent."""
    if call.id != billing.COMPUTE:
        raise tpu_status.not_found(f"services/{call.id}")
    if call.query.get("currencyCode", "USD") != "USD":
        raise tpu_status.unimplemented("The simulator knows no prices in other currencies.")
    found = sorted((each["name"], each) for each in billing.skus())
    listed, token = paging.page(found, call.query)
    return {"skus": listed, "nextPageToken": token}
