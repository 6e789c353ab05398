"""GitHub in a world: our own adapter, with its waits and its looking twice, over requests that may meet any fate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from accel_ci.adapters.github_calls import Calls, RefusedError, _LimitError
from accel_ci.domain import errors
from accel_ci.ports.clock import Clock
from accel_ci.ports.entropy import Entropy
from accel_ci_sim.direct import guard
from accel_ci_sim.direct.process import Process
from accel_ci_sim.wire import github_routes
from accel_ci_sim.wire.github_routes import Answer, Asked, Handler, Listing
from accel_ci_sim.world import dice
from accel_ci_sim.world.github import ApiError, GitHubWorld

TOKEN = "the job's own"
LIMITED = 0.02  # of all requests, while there are faults
LIMITED_S = 20.0


class Requests:
    """What goes over the wire; each verb is a site of its own."""

    def __init__(self, process: Process, world: GitHubWorld) -> None:
        self._process = process
        self._world = world
        self._begun_at = 0.0  # the call that they are of

    def begin(self) -> None:
        """A call begins, which may be several requests, with waits between them."""
        self._begun_at = self._process.scene.schedule.now

    def get(self, path: str, query: Mapping[str, Any]) -> Any:
        """A GET."""
        return self._done("GET", path, query=query, body={})

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """A POST."""
        return self._done("POST", path, query={}, body=body)

    def patch(self, path: str, body: Mapping[str, Any]) -> Any:
        """A PATCH."""
        return self._done("PATCH", path, query={}, body=body)

    def delete(self, path: str) -> Any:
        """A DELETE."""
        return self._done("DELETE", path, query={}, body={})

    def _done(self, verb: str, path: str, *, query: Mapping[str, Any], body: Mapping[str, Any]) -> Any:
        scene = self._process.scene
        if scene.faults.some and dice.chance(scene.dice, LIMITED):
            raise _LimitError(LIMITED_S, "secondary")
        token = self._world.who(TOKEN)
        try:
            handler, parts = github_routes.find(verb, path)
            texts = {name: str(value) for name, value in query.items()}
            asked = Asked(world=self._world, token=token, parts=tuple(map(unquote, parts)), query=texts, body=body)
            _, answer = self._reaping(handler, asked) if self._process.role == "reap" else handler(asked)
        except ApiError as problem:
            raise refused(problem, f"{verb} {path}") from problem
        scene.timeline.mix(f"{verb} {path}".encode())
        return answer

    def _reaping(self, handler: Handler, asked: Asked) -> Answer:
        """The answer, with the judge as a witness of what is looked at and of what is cancelled."""
        if handler not in (github_routes.JOBS, github_routes.CANCEL):
            return handler(asked)
        judge, run = self._process.judge.queue, self._world.runs[asked.number()]
        if handler is github_routes.JOBS:
            judge.looks(self._process.number, run)
            return handler(asked)
        judge.cancels(self._process.number, run, asked_at=self._begun_at)
        answer = handler(asked)
        if judge.cancelled is not None:
            judge.cancelled(run, force=asked.parts[1] == "force-cancel")
        return answer


class SimulatedCalls(Calls):
    """The adapter's own pacing and repetition over those requests, in the world's time."""

    def __init__(self, requests: Requests, repository: str, *, clock: Clock, entropy: Entropy) -> None:
        super().__init__(TOKEN, repository, api_url="", clock=clock, entropy=entropy)
        self._requests = requests

    def _call(self, verb: str, path: str, **how: Any) -> tuple[Mapping[str, str], Any]:
        self._requests.begin()
        return super()._call(verb, path, **how)

    def _once(
        self,
        verb: str,
        path: str,
        *,
        needs: str,
        parameters: Mapping[str, Any] | None,
        body: Mapping[str, Any] | None,
    ) -> tuple[Mapping[str, str], Any]:
        # The rights that a call needs are for the error text of a real refusal.
        del needs
        match verb:
            case "GET":
                answer = self._requests.get(path, parameters or {})
            case "DELETE":
                answer = self._requests.delete(path)
            case _:
                answer = getattr(self._requests, verb.lower())(path, body or {})
        return {}, page(answer)


def calls(process: Process, world: GitHubWorld, *, clock: Clock, entropy: Entropy) -> SimulatedCalls:
    """How one process speaks to GitHub."""
    requests = Requests(process, world)
    guard.intercept(process, "github", requests)
    return SimulatedCalls(requests, world.repository, clock=clock, entropy=entropy)


def page(answer: Any) -> Any:
    """The answer as it goes over the wire: a world's listings fit on one page."""
    if not isinstance(answer, Listing):
        return answer
    assert len(answer.items) <= 100
    return {"total_count": len(answer.items), answer.under: answer.items} if answer.under else answer.items


def refused(problem: ApiError, what: str) -> errors.AccelError:
    """GitHub's no as the adapter tells it."""
    if problem.status in (401, 403):
        return errors.AccessError(f"{what}: {problem.message}")
    no = RefusedError(f"{what}: {problem.status} {problem.message}")
    no.status = problem.status
    return no
