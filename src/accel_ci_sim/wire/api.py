"""One of Google's APIs as the front serves it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from accel_ci_sim.wire import billing_service, compute_render, tpu_render
from accel_ci_sim.wire.compute_jobs import Awaited, ComputeOperations
from accel_ci_sim.wire.compute_places import ComputePlaces
from accel_ci_sim.wire.compute_service import ComputeService
from accel_ci_sim.wire.http_server import Answer
from accel_ci_sim.wire.routing import Route
from accel_ci_sim.wire.settling import Settling
from accel_ci_sim.wire.tpu_service import TpuService
from accel_ci_sim.world import compute_operations, tpu_node
from accel_ci_sim.world.compute import ComputeCloud
from accel_ci_sim.world.tpu import TpuCloud
from accel_ci_sim.world.tpu_status import HTTP, Status

TPU_PATIENCE_S = 0.25  # an answer waits so long for its operation: what is instant needs no second call then
COMPUTE_WAIT_S = 120.0  # https://cloud.google.com/compute/docs/reference/rest/v1/zoneOperations/wait


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """Its methods below a prefix; how what they give becomes a document, and how an error looks."""

    prefix: str
    routes: Sequence[Route]
    finished: Callable[[Any], Awaitable[Any]]
    error: Callable[[Status], Answer]


def tpu_apis(cloud: TpuCloud, service: TpuService) -> list[Api]:
    """The Cloud TPU API, the locations that gcloud looks up in v1, and what looks like both: the public price list."""
    settling = Settling()
    cloud.operations.on_end = settling.ended

    async def finished(result: Any) -> Any:
        if not isinstance(result, tpu_node.Operation):
            return result
        await settling.over(result, TPU_PATIENCE_S)
        return tpu_render.operation(result)

    def error(status: Status) -> Answer:
        return Answer(HTTP[status.code], tpu_render.error(status, HTTP[status.code]))

    # The longer prefix comes first: the first one that fits serves.
    prefixes = {"/v2/": service.routes(), "/v1/services/": billing_service.routes(), "/v1/": service.location_routes()}
    return [Api(prefix=prefix, routes=routes, finished=finished, error=error) for prefix, routes in prefixes.items()]


def compute_api(cloud: ComputeCloud, service: ComputeService) -> Api:
    """The Compute Engine API. Its operations are never over in the answer that began them."""
    settling = Settling()
    cloud.operations.on_end = settling.ended

    async def finished(result: Any) -> Any:
        match result:
            case Awaited():
                await settling.over(result.operation, COMPUTE_WAIT_S)
                return compute_render.operation(result.operation)
            case compute_operations.Operation():
                return compute_render.operation(result)
        return result

    routes = [*service.routes(), *ComputePlaces(cloud).routes(), *ComputeOperations(cloud).routes()]
    return Api(
        prefix="/compute/v1/",
        routes=routes,
        finished=finished,
        error=lambda status: Answer(*compute_render.error(status)),
    )
