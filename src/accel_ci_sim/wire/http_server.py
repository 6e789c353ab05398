"""HTTP/1.1 for one process's clients on loopback: keep-alive, bodies of known length, one answer after the other."""

from __future__ import annotations

import asyncio
import email.parser
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

HEAD_BYTES = 64 * 1024
BODY_BYTES = 10 * 1024 * 1024
REASONS = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
    411: "Length Required",
    412: "Precondition Failed",
    413: "Payload Too Large",
    429: "Too Many Requests",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
}


@dataclass(frozen=True, slots=True)
class Request:
    """One request; `path` is decoded, header names are in lower case. `peer` is the client's address and port."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]
    body: bytes
    peer: tuple[str, int] = ("", 0)


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer: `content` is JSON to be, or a text as it is."""

    status: int
    content: Any
    headers: Mapping[str, str] = field(default_factory=dict)

    def encoded(self) -> bytes:
        """The bytes on the wire."""
        plain = isinstance(self.content, str)
        text = self.content if plain else json.dumps(self.content, indent=2) + "\n"
        body = text.encode()
        kind = "text/plain" if plain else "application/json"
        headers = {"Content-Type": f"{kind}; charset=UTF-8", "Content-Length": str(len(body)), **self.headers}
        head = [f"HTTP/1.1 {self.status} {REASONS[self.status]}", *(f"{k}: {v}" for k, v in headers.items())]
        return "\r\n".join([*head, "", ""]).encode() + body


class LostReplyError(Exception):
    """Raised by a handler that wants the connection to break instead of an answer."""


class BadRequestError(Exception):
    """What came is no request that we can read; `status` says why."""

    def __init__(self, status: int) -> None:
        super().__init__(REASONS[status])
        self.status = status


Handler = Callable[[Request], Awaitable[Answer]]


async def serve(handler: Handler, host: str, port: int) -> asyncio.Server:
    """A server that listens; its sockets tell the port when `port` is 0."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await _converse(handler, reader, writer)
        # Cancelled when the simulator ends: Python 3.11 would complain about every connection that is open then.
        except (ConnectionError, asyncio.IncompleteReadError, LostReplyError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    return await asyncio.start_server(connected, host, port, limit=HEAD_BYTES)


def port_of(server: asyncio.Server) -> int:
    """The port that the server listens on."""
    port: int = server.sockets[0].getsockname()[1]
    return port


async def _converse(handler: Handler, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    peer = writer.get_extra_info("peername")
    while True:
        try:
            request = await _read(reader, peer)
        except BadRequestError as error:
            writer.write(Answer(error.status, str(error), {"Connection": "close"}).encoded())
            return await writer.drain()
        # Clients keep connections open and close them whenever they like.
        if request is None:
            return
        answer = await handler(request)
        writer.write(answer.encoded())
        await writer.drain()
        # Some clients wait for this end before they read the answer.
        if request.headers.get("connection", "").lower() == "close":
            return


async def _read(reader: asyncio.StreamReader, peer: tuple[str, int]) -> Request | None:
    """The next request; None when the client has no more."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    except asyncio.LimitOverrunError as error:
        raise BadRequestError(413) from error
    first, _, rest = head.decode("latin-1").partition("\r\n")
    words = first.split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise BadRequestError(400)
    headers = {name.lower(): value for name, value in email.parser.HeaderParser().parsestr(rest).items()}
    split = urlsplit(words[1])
    return Request(
        method=words[0],
        path=unquote(split.path),
        query=tuple(parse_qsl(split.query, keep_blank_values=True)),
        headers=headers,
        body=await _body(reader, headers),
        peer=peer[:2],
    )


async def _body(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> bytes:
    # None of the clients sends chunks, and a parser for them is where servers of one's own go wrong.
    if "transfer-encoding" in headers:
        raise BadRequestError(411)
    length = headers.get("content-length", "0")
    # int() takes signs, spaces and digits of other alphabets; HTTP does not.
    if not (length.isascii() and length.isdigit()):
        raise BadRequestError(400)
    if int(length) > BODY_BYTES:
        raise BadRequestError(413)
    return await reader.readexactly(int(length))
