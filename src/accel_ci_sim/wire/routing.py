"""Which method of an API a request means, and what its address says."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from accel_ci_sim.wire import proto_json
from accel_ci_sim.wire.http_server import Request
from accel_ci_sim.world import tpu_status
from accel_ci_sim.world.tpu_node import Place

PARTS = {
    "{project}": r"projects/(?P<project>[^/]+)",
    "{place}": r"projects/(?P<project>[^/]+)/locations/(?P<zone>[^/:]+)",
    "{zone}": r"(?P<zone>[^/:]+)",
    "{region}": r"(?P<zone>[^/:]+)",
    "{id}": r"(?P<id>[^/:]+)",
}
# Every method takes these: https://cloud.google.com/apis/docs/system-parameters
SYSTEM = re.compile(
    r"\$?(alt|prettyPrint|fields|key|quotaUser|callback|access_token|oauth_token|trace|\.?xgafv|upload.*)"
)


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a method: what was in its address, its parameters and its body. `zone`, or a region, and `id` may be ""."""

    project: str
    zone: str
    id: str
    query: Mapping[str, str]
    body: bytes

    @property
    def place(self) -> Place:
        """The project's zone."""
        return Place(self.project, self.zone)

    def flag(self, name: str) -> bool:
        """A parameter that is true or false; clients spell it in any case."""
        return self.query.get(name, "").lower() == "true"


Method = Callable[[Call], Any]


@dataclass(frozen=True, slots=True)
class Route:
    """One method of an API: `parameters` are what its address may carry after the question mark, `sorts` if it can."""

    verb: str
    address: re.Pattern[str]
    method: Method
    parameters: frozenset[str]
    sorts: bool = False


def route(verb: str, address: str, method: Method, *parameters: str, sorts: bool = False) -> Route:
    """A route from an address such as `{place}/nodes/{id}:stop`; one that `sorts` knows `filter` and `orderBy`."""
    pattern = re.escape(address)
    for part, expression in PARTS.items():
        pattern = pattern.replace(re.escape(part), expression)
    return Route(verb, re.compile(pattern), method, frozenset(parameters), sorts)


def routed(routes: Sequence[Route], request: Request, address: str) -> tuple[Method, Call] | None:
    """The method that the request means and its call; None when there is none. RefusedError for a strange parameter."""
    for known in routes:
        match = known.address.fullmatch(address) if known.verb == request.method else None
        if match is not None:
            found = {"project": "", "zone": "", "id": "", **match.groupdict()}
            return known.method, Call(**found, query=_bound(known, request), body=request.body)
    return None


def _bound(known: Route, request: Request) -> dict[str, str]:
    # Google takes both spellings of a parameter.
    given = {proto_json.camel(name): value for name, value in request.query if not SYSTEM.fullmatch(name)}
    strange = [name for name in given if name not in known.parameters]
    if strange:
        text = 'Invalid JSON payload received. Unknown name "{0}": Cannot bind query parameter. '
        text += "Field '{0}' could not be found in request message."
        # Google refuses what it does not know: a misspelt parameter must not pass here and fail there.
        raise proto_json.refused([("", text.format(name)) for name in strange])
    asked = [name for name in ("filter", "orderBy") if given.get(name)]
    # To ignore a filter would show machines that the real one does not.
    if asked and not known.sorts:
        raise tpu_status.unimplemented(f"The simulator does not model '{asked[0]}'.")
    return given
