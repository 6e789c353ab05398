"""The HTTP interface: Google's APIs with their bad days, and the simulator's own controls."""

from __future__ import annotations

import asyncio
import json
import time
import traceback
from collections.abc import Callable, Sequence
from typing import Any

from pydantic import ValidationError

from accel_ci_sim.wire import batch, knob_file, ledger, peers, routing
from accel_ci_sim.wire.api import Api
from accel_ci_sim.wire.http_server import Answer, LostReplyError, Request
from accel_ci_sim.wire.identity_service import IdentityService
from accel_ci_sim.wire.knob_file import KnobFile
from accel_ci_sim.world import dice, tpu_knobs, tpu_status
from accel_ci_sim.world.compute import ComputeCloud
from accel_ci_sim.world.tpu import TpuCloud
from accel_ci_sim.world.tpu_status import Code, RefusedError, Status

HANGS_S = 3600.0


class Front:
    """What answers requests. Everything happens in one asyncio loop, so nothing needs a lock."""

    def __init__(
        self,
        tpu: TpuCloud,
        compute: ComputeCloud,
        knobs: KnobFile,
        *,
        apis: Sequence[Api],
        identity: IdentityService,
        log: Callable[[str], None],
    ) -> None:
        self._tpu = tpu
        self._compute = compute
        self._apis = apis
        self._identity = identity
        self._knobs = knobs
        self._log = log
        tpu.life.on_turn = lambda node: log(f"{node.name} {node.state}{' in maintenance' * node.maintained}")
        compute.life.on_turn = lambda instance: log(f"{instance.name} {instance.status}")
        self._dice = dice.of(knobs.knobs.seed, 0, "wire")

    async def answer(self, request: Request) -> Answer:
        """The answer; LostReplyError for one that never arrives."""
        began_at = time.perf_counter()
        self.look_at_knobs()
        # Commands run here as whoever started it: another user of the computer must not be able to ask for one.
        if peers.trusted(request.peer, request.headers):
            answer = await self._answer(request)
        else:
            whose = Status(Code.PERMISSION_DENIED, "This simulator belongs to somebody else.")
            answer = self._api(request).error(whose)
        self._log(f"{request.method} {request.path} {answer.status} {1000 * (time.perf_counter() - began_at):.0f} ms")
        return answer

    def look_at_knobs(self) -> None:
        """Let the world know what was turned in the meantime."""
        before = self._knobs.knobs.seed
        if self._knobs.changed():
            self._tpu.life.turn_knobs(self._knobs.knobs)
            self._compute.life.turn_knobs(self._knobs.knobs)
            if self._knobs.knobs.seed != before:
                self._dice = dice.of(self._knobs.knobs.seed, 0, "wire")

    async def _answer(self, request: Request) -> Answer:
        if request.path.startswith("/sim/"):
            return self._control(request)
        # gcloud puts its lists of many zones into one batch.
        if request.path == batch.PATH:
            return await self._batch(request)
        knobs, api = self._knobs.knobs, self._api(request)
        await asyncio.sleep(tpu_knobs.seconds(self._dice, knobs.latency_s))
        if any(part in request.path for part in knobs.hanging):
            await self._hang(request)
        try:
            # Before anything is done: a client may repeat it without harm.
            if dice.chance(self._dice, knobs.error_rate):
                raise tpu_status.unavailable()
            answer = self._identity.answer(request) or Answer(200, await self._call(api, request))
        except RefusedError as refusal:
            return api.error(refusal.status)
        # A bug of ours must look like one, not like a stockout.
        except Exception:
            self._log(traceback.format_exc())
            return api.error(Status(Code.INTERNAL, "The simulator has a bug: its log says more."))
        if any(part in f"{request.method} {request.path}" for part in knobs.unanswered):
            await self._hang(request)
        # Done first, then lost: that is what makes a client that blindly repeats make two machines.
        if dice.chance(self._dice, knobs.lost_reply_rate):
            self._log(f"{request.method} {request.path} done, reply lost")
            raise LostReplyError
        return answer

    async def _hang(self, request: Request) -> None:
        """Until the client is tired of waiting, or the simulator ends; then as if the connection had broken."""
        self._log(f"{request.method} {request.path} is left without an answer")
        await asyncio.sleep(HANGS_S)
        raise LostReplyError

    async def _batch(self, request: Request) -> Answer:
        try:
            return await batch.answered(request, self._answer)
        except RefusedError as refusal:
            return self._api(request).error(refusal.status)

    def _api(self, request: Request) -> Api:
        """The API that the address belongs to; the first one answers for what belongs to none."""
        return next((api for api in self._apis if request.path.startswith(api.prefix)), self._apis[0])

    async def _call(self, api: Api, request: Request) -> Any:
        self._identity.admit(request)
        found = routing.routed(api.routes, request, request.path.removeprefix(api.prefix))
        if found is None:
            raise RefusedError(Status(Code.NOT_FOUND, f"Method not found: {request.method} {request.path}"))
        method, call = found
        return await api.finished(method(call))

    def _control(self, request: Request) -> Answer:
        match request.method, request.path.removeprefix("/sim/"):
            case "GET", "knobs":
                return self._shown()
            case (("PATCH" | "PUT"), "knobs"):
                return self._turn(request)
            case "GET", "machines":
                nodes = [ledger.of_node(node) for node in self._tpu.life.ledger]
                instances = [ledger.of_instance(instance) for instance in self._compute.life.ledger]
                return Answer(200, {"machines": sorted([*nodes, *instances], key=lambda each: each["created_at"])})
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
