"""The simulated GitHub on a socket of this computer, for PyGithub, gh and whoever else speaks its REST API."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from accel_ci_sim.wire import github_routes, github_shapes
from accel_ci_sim.wire.github_routes import Asked, Listing
from accel_ci_sim.world.github import ApiError, Fault, GitHubWorld

DOCS = "https://docs.github.com/rest"
PREFIX = "/api/v3"  # where an Enterprise Server has its API; the plain root works as well


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """A request and its answer, as they went over the wire; the path without prefix and query, escapes as they were."""

    verb: str
    path: str
    query: Mapping[str, str]
    request: Any
    status: int
    response: Any


@contextmanager
def serve(world: GitHubWorld, *, watch: Callable[[Exchange], None] = lambda exchange: None) -> Iterator[str]:
    """The address of a server over this world while the block lasts; `watch` is told every exchange."""

    class Handler(_Handler):
        state = world
        tell = staticmethod(watch)
        lock = threading.Lock()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    state: GitHubWorld
    tell: Callable[[Exchange], None]
    lock: threading.Lock
    protocol_version = "HTTP/1.1"
    wbufsize = 65536  # with Nagle's algorithm off, or every answer on a kept connection takes 44 ms
    disable_nagle_algorithm = True

    def date_time_string(self, timestamp: float | None = None) -> str:
        """The Date header by the world's clock, which its other moments are of."""
        return super().date_time_string(self.state.now() if timestamp is None else timestamp)

    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Nothing: tests look at the exchanges."""

    def _answer(self) -> None:
        asked = urlsplit(self.path)  # a proxy's request names the host too
        path, query = (
            asked.path.removeprefix(PREFIX),
            dict(parse_qsl(asked.query, keep_blank_values=True)),
        )
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = json.loads(raw) if raw else None
        with self.lock:
            status, answer, headers = self._decided(path, query=query, body=body)
            self.tell(Exchange(verb=self.command, path=path, query=query, request=body, status=status, response=answer))
        if status:
            self._write(status, answer, headers)
        else:
            self.close_connection = True

    def _decided(self, path: str, *, query: Mapping[str, str], body: Any) -> tuple[int, Any, dict[str, str]]:
        world, request = self.state, f"{self.command} {path}"
        before = world.fault(request, after=False)
        if before:
            return _failed(before)
        try:
            status, answer = self._done(path, query=query, body=body)
        except ApiError as problem:
            return problem.status, {"message": problem.message, "documentation_url": DOCS}, problem.headers
        after = world.fault(request, after=True)
        if after:
            return _failed(after)
        if isinstance(answer, Listing):
            return status, *_page(answer, query=query, url=f"{self.headers['Host']}{path}")
        return status, answer, {}

    def _done(self, path: str, *, query: Mapping[str, str], body: Any) -> tuple[int, Any]:
        world = self.state
        token = world.who(self.headers.get("Authorization", "").partition(" ")[2])
        root = f"/repos/{world.repository}"
        if path != root and not path.startswith(f"{root}/"):
            raise ApiError(404, "Not Found")
        handler, parts = github_routes.find(self.command, path.removeprefix(root))
        named = body if isinstance(body, dict) else {"labels": body} if body is not None else {}
        return handler(Asked(world=world, token=token, parts=tuple(map(unquote, parts)), query=query, body=named))

    def _write(self, status: int, answer: Any, headers: Mapping[str, str]) -> None:
        own = f"http://{self.headers['Host']}{PREFIX if urlsplit(self.path).path.startswith(PREFIX) else ''}"
        content = b"" if answer is None else json.dumps(answer).replace(github_shapes.API, own).encode()
        self.send_response(status)
        limit = {"X-RateLimit-Limit": "1000", "X-RateLimit-Remaining": str(self.state.remaining)}
        limit |= {"X-RateLimit-Reset": str(int(self.state.resets_at))}
        kind = {"Content-Type": "application/json; charset=utf-8", "Content-Length": str(len(content))}
        for name, value in (kind | limit | dict(headers)).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)
        self.wfile.flush()


for _verb in ("GET", "POST", "PATCH", "PUT", "DELETE"):
    setattr(_Handler, f"do_{_verb}", _Handler._answer)


def _failed(fault: Fault) -> tuple[int, Any, dict[str, str]]:
    return fault.status, {"message": fault.message, "documentation_url": DOCS}, fault.headers


def _page(listing: Listing, *, query: Mapping[str, str], url: str) -> tuple[Any, dict[str, str]]:
    size, page = min(100, int(query.get("per_page", 30))), int(query.get("page", 1))
    items = listing.items[(page - 1) * size : page * size]
    more = page * size < len(listing.items)
    following = "&".join(f"{name}={value}" for name, value in {**query, "page": page + 1}.items())
    headers = {"Link": f'<http://{url}?{following}>; rel="next"'} if more else {}
    answer = {"total_count": len(listing.items), listing.under: items} if listing.under else items
    return answer, headers
