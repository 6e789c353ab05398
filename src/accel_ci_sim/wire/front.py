"""The HTTP interface: Google's APIs with their bad days, and the simulator's own controls."""

from __future__ import annotations

import asyncio
import json
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from pydantic import ValidationError

from accel_ci_sim.wire import compute_service, knob_file, peers, routing, tpu_render
from accel_ci_sim.wire.http_server import Answer, LostReplyError, Request
from accel_ci_sim.wire.identity_service import IdentityService
from accel_ci_sim.wire.knob_file import KnobFile
from accel_ci_sim.wire.tpu_service import TpuService
from accel_ci_sim.world import dice, tpu_knobs, tpu_status
from accel_ci_sim.world.tpu import TpuCloud
from accel_ci_sim.world.tpu_node import Node, Operation
from accel_ci_sim.world.tpu_status import HTTP, Code, RefusedError, Status

PATIENCE_S = 0.25  # an answer waits so long for its operation: what is instant needs no second call then


class Front:
    """What answers requests. Everything happens in one asyncio loop, so nothing needs a lock."""

    def __init__(
        self,
        cloud: TpuCloud,
        service: TpuService,
        knobs: KnobFile,
        *,
        identity: IdentityService,
        log: Callable[[str], None],
    ) -> None:
        self._cloud = cloud
        self._identity = identity
        self._knobs = knobs
        self._log = log
        self._waiting: dict[Operation, asyncio.Event] = {}
        cloud.operations.on_end = self._ended
        cloud.life.on_turn = lambda node: log(f"{node.name} {node.state}{' in maintenance' * node.maintained}")
        self._apis = {
            "/v2/": service.routes(),
            "/v1/": service.location_routes(),
            "/compute/v1/": compute_service.routes(),
        }
        self._dice = dice.of(knobs.knobs.seed, 0, "wire")

    async def answer(self, request: Request) -> Answer:
        """The answer; LostReplyError for one that never arrives."""
        began_at = time.perf_counter()
        self.look_at_knobs()
        if peers.trusted(request.peer, request.headers):
            answer = await self._answer(request)
        else:
            answer = _error(Status(Code.PERMISSION_DENIED, "This simulator belongs to somebody else."))
        self._log(f"{request.method} {request.path} {answer.status} {1000 * (time.perf_counter() - began_at):.0f} ms")
        return answer

    def look_at_knobs(self) -> None:
        """Let the world know what was turned in the meantime."""
        before = self._knobs.knobs.seed
        if self._knobs.changed():
            self._cloud.life.turn_knobs(self._knobs.knobs)
            if self._knobs.knobs.seed != before:
                self._dice = dice.of(self._knobs.knobs.seed, 0, "wire")

    async def _answer(self, request: Request) -> Answer:
        if request.path.startswith("/sim/"):
            return self._control(request)
        knobs = self._knobs.knobs
        await asyncio.sleep(tpu_knobs.seconds(self._dice, knobs.latency_s))
        try:
            if dice.chance(self._dice, knobs.error_rate):
                raise tpu_status.unavailable()
            answer = self._identity.answer(request) or Answer(200, await self._call(request))
        except RefusedError as refusal:
            return _error(refusal.status)
        except Exception:
            self._log(traceback.format_exc())
            return _error(Status(Code.INTERNAL, "The simulator has a bug: its log says more."))
        if dice.chance(self._dice, knobs.lost_reply_rate):
            self._log(f"{request.method} {request.path} done, reply lost")
            raise LostReplyError
        return answer

    async def _call(self, request: Request) -> Any:
        self._identity.admit(request)
        for prefix, routes in self._apis.items():
            if request.path.startswith(prefix):
                found = routing.routed(routes, request, request.path.removeprefix(prefix))
                if found is not None:
                    method, call = found
                    result = method(call)
                    return await self._settled(result) if isinstance(result, Operation) else result
        raise RefusedError(Status(Code.NOT_FOUND, f"Method not found: {request.method} {request.path}"))

    async def _settled(self, operation: Operation) -> Any:
        if operation.ended_at is None:
            ended = self._waiting.setdefault(operation, asyncio.Event())
            with suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), PATIENCE_S)
            self._waiting.pop(operation, None)
        return tpu_render.operation(operation)

    def _ended(self, operation: Operation) -> None:
        if operation in self._waiting:
            self._waiting[operation].set()

    def _control(self, request: Request) -> Answer:
        match request.method, request.path.removeprefix("/sim/"):
            case "GET", "knobs":
                return self._shown()
            case (("PATCH" | "PUT"), "knobs"):
                return self._turn(request)
            case "GET", "machines":
                return Answer(200, {"machines": [_entry(node) for node in self._cloud.life.ledger]})
        return Answer(404, {"error": "there are /sim/knobs (GET, PATCH, PUT) and /sim/machines (GET)"})

    def _turn(self, request: Request) -> Answer:
        try:
            self._knobs.turn(json.loads(request.body), keep=request.method == "PATCH")
        except ValidationError as error:
            return Answer(400, {"error": knob_file.mistakes(error)})
        except (ValueError, TypeError) as error:
            return Answer(400, {"error": [f"not a JSON object: {error}"]})
        self.look_at_knobs()
        return self._shown()

    def _shown(self) -> Answer:
        problem = {"problem": self._knobs.problem} if self._knobs.problem else {}
        return Answer(200, self._knobs.knobs.model_dump(mode="json") | problem)


def _entry(node: Node) -> dict[str, Any]:
    """A node of the ledger: seconds since 1970, null for what has not come. Google charges from READY to the end."""
    return {
        "name": node.name,
        "acceleratorType": node.kind.name,
        "spot": node.spot,
        "state": "GONE" if node.gone_at is not None else node.state.value,
        "created_at": node.created_at,
        "ready_at": node.ready_at,
        "gone_at": node.gone_at,
    }


def _error(status: Status) -> Answer:
    return Answer(HTTP[status.code], tpu_render.error(status, HTTP[status.code]))
