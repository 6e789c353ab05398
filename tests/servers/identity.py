"""GitHub's identity tokens and Google's token exchange in this process, on a clock that tests move."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from accel_ci_sim.wire import http_server
from accel_ci_sim.wire.http_server import Answer, LostReplyError, Request
from accel_ci_sim.wire.identity_service import ISSUER, IdentityService
from accel_ci_sim.wire.tpu_render import error
from accel_ci_sim.world.tpu_knobs import Knobs
from accel_ci_sim.world.tpu_status import HTTP, RefusedError
from tests.fakes.clock import FakeClock
from tests.servers.proxy import Serving


class IdentityServer:
    """`requests` are those that came. `broken` answers instead: a status, 0 for a cut connection, -1 for silence."""

    def __init__(self, serving: Serving, clock: FakeClock) -> None:
        self.knobs = Knobs()
        self.requests: list[Request] = []
        self.broken: dict[str, list[int]] = {}
        self.service = IdentityService("sim-project", lambda: self.knobs, now=clock.now)
        self._serving = serving
        self._server = serving.run(http_server.serve(self._answer, "127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{http_server.port_of(self._server)}"

    def turn(self, **knobs: Any) -> None:
        """Turn these knobs, and all others back."""
        self.knobs = Knobs(**knobs)

    def variables(self) -> dict[str, str]:
        """What a GitHub Actions job with `id-token: write` has, and where Google is."""
        return {
            "GITHUB_ACTIONS": "true",
            "ACTIONS_ID_TOKEN_REQUEST_URL": f"{self.url}{ISSUER}/token?api-version=2.0",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": self.service.bearer,
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_STS": f"{self.url}/",
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_IAMCREDENTIALS": f"{self.url}/",
        }

    def secrets(self) -> set[str]:
        """Whatever must never be shown: the job's secret, identity tokens, access tokens."""
        sent = {str(value) for request in self.requests for value in request.headers.values() if "Bearer" in str(value)}
        return {self.service.bearer, *self.service.state.granted, *sent}

    def paths(self) -> list[str]:
        """The paths that were asked for."""
        return [request.path for request in self.requests]

    def close(self) -> None:
        """Listen no longer."""
        self._serving.run(self._shut())

    async def _shut(self) -> None:
        self._server.close()

    async def _answer(self, request: Request) -> Answer:
        self.requests.append(request)
        for part, statuses in self.broken.items():
            if part in request.path and statuses:
                status = statuses.pop(0)
                if status < 0:
                    await asyncio.sleep(60)
                if not status:
                    raise LostReplyError
                return Answer(status, "Service Unavailable")
        try:
            return self.service.answer(request) or Answer(404, {})
        except RefusedError as refusal:
            code = HTTP[refusal.status.code]
            return Answer(code, error(refusal.status, code))


@contextmanager
def opened(clock: FakeClock) -> Iterator[IdentityServer]:
    """A server while the block lasts."""
    serving = Serving()
    server = IdentityServer(serving, clock)
    try:
        yield server
    finally:
        server.close()
        serving.close()
