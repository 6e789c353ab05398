"""Answers that no API gives: proxies' pages, halves of documents, redirections, bodies without an end, and silence."""

from __future__ import annotations

import contextlib
import gzip
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

HTML = b"<html><head><title>Bad Gateway</title></head><body><h1>the proxy is ill</h1></body></html>"
DRIP_S = 0.05
MOST_BYTES = 1 << 30  # of a body without an end, should a client read on and on


@dataclass(frozen=True)
class Garbage:
    """One answer: a status line, headers, and its body's pieces; `length` is what the head claims (None: no word of it).

    The connection is closed after the last piece.
    """

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    length: int | None = -1
    endless: bytes = b""
    pause_s: float = 0.0
    silent: bool = False

    def head(self) -> bytes:
        """Everything before the body."""
        lines = [f"HTTP/1.1 {self.status} Garbage", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in {"Content-Type": "application/json", **self.headers}.items()]
        if self.length is not None:
            lines.append(f"Content-Length: {len(self.body) if self.length < 0 else self.length}")
        return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _html(status: int, **headers: str) -> Garbage:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Garbage(status, HTML, {"Content-Type": "text/html", **named})


# Whoever asks meets one of these, whatever it asked for. {elsewhere} becomes the address of another host, {here} its own.
ANSWERS: dict[str, Garbage] = {
    "500": _html(500),
    "502": _html(502),
    "503": _html(503),
    "404": _html(404),
    "401": _html(401),
    "403": _html(403),
    "429": _html(429),
    "429, retry after an hour": _html(429, Retry_After="3600"),
    "a login page": _html(200),
    "binary": Garbage(body=bytes(range(256))),
    "half a document": Garbage(body=b'{"items": {"zones/a": {"instances": [{"na'),
    "nothing": Garbage(),
    "no content": Garbage(204, length=None),
    "null": Garbage(body=b"null"),
    "a number": Garbage(body=b"7"),
    "a text": Garbage(body=b'"fine"'),
    "an empty text": Garbage(body=b'""'),
    "a list": Garbage(body=b'[{"a": 1}, 2, null]'),
    "another document": Garbage(body=b'{"a": {"b": [1, 2]}, "error": "x", "name": 7, "items": 3, "value": {}}'),
    "a deep document": Garbage(body=b"[" * 100_000),
    "a huge number": Garbage(body=b'{"name": ' + b"9" * 10_000 + b"}"),
    "compressed, it says": Garbage(body=HTML, headers={"Content-Encoding": "gzip"}),
    "a bomb": Garbage(body=gzip.compress(b" " * (300 << 20)), headers={"Content-Encoding": "gzip"}),
    "another alphabet": Garbage(body=b'{"a": 1}', headers={"Content-Type": "application/json; charset=klingon"}),
    "moved elsewhere": Garbage(307, headers={"Location": "{elsewhere}/here"}),
    "moved for good": Garbage(301, headers={"Location": "{elsewhere}/here"}),
    "moved in circles": Garbage(301, headers={"Location": "{here}/again"}),
    "accepted": Garbage(202, b"{}"),
    "limits that are none": Garbage(200, b"{}", {"X-RateLimit-Remaining": "x", "X-RateLimit-Limit": "y"}),
    "moved to itself": Garbage(308, headers={"Location": "/again"}),
    "cut": Garbage(body=b'{"items": ', length=1000),
    "cut at once": Garbage(length=None, silent=True),
    "without an end": Garbage(endless=b" " * 65536, length=None),
    "dripping": Garbage(endless=b" ", length=None, pause_s=DRIP_S),
}


@dataclass
class GarbageServer:
    """Gives `answers` one after the other, over and over; `seen` is what came, `elsewhere` is where redirections lead."""

    answers: Sequence[Garbage]
    elsewhere: str = ""
    seen: list[bytes] = field(default_factory=list)
    url: str = ""

    def serve(self, connection: socket.socket) -> None:
        """One request, one answer, the end."""
        with connection, contextlib.suppress(OSError):
            connection.settimeout(30)
            self.seen.append(_request(connection))
            self._reply(connection)
            connection.shutdown(socket.SHUT_WR)

    def _reply(self, connection: socket.socket) -> None:
        told = self.answers[(len(self.seen) - 1) % len(self.answers)]
        if told.silent:
            return
        # A longer path each time: what leads to the very same address is noticed more easily.
        here = f"{self.url}/{len(self.seen)}"
        head = told.head().replace(b"{elsewhere}", self.elsewhere.encode()).replace(b"{here}", here.encode())
        connection.sendall(head + told.body)
        sent = 0
        pause = threading.Event()
        while told.endless and sent < MOST_BYTES:
            connection.sendall(told.endless)
            sent += len(told.endless)
            pause.wait(told.pause_s)


@contextlib.contextmanager
def serving(*answers: Garbage, elsewhere: str = "") -> Iterator[GarbageServer]:
    """A server of garbage on loopback while the block lasts."""
    server = GarbageServer(answers or (ANSWERS["500"],), elsewhere)
    with contextlib.ExitStack() as stack:
        server.url = stack.enter_context(_listening(server.serve))
        yield server


@contextlib.contextmanager
def _listening(serve: Callable[[socket.socket], None]) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_accept, args=(listener, serve), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)  # `accept` in the thread ends with this
            thread.join(10)


def _accept(listener: socket.socket, serve: Callable[[socket.socket], None]) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=serve, args=(connection,), daemon=True).start()


def _request(connection: socket.socket) -> bytes:
    """The whole request, head and body."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            return data
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
    while len(body) < int(fields.get(b"content-length", b"0")):
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body
