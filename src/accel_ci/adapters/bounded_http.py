"""What requests' sessions send with: whole answers of a bounded size in bounded time, and no way to another host.

A timeout of requests counts from byte to byte: what drips would be read for ever, and what does not end would fill the memory.
"""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import urljoin, urlsplit

BYTES = 32 * 1024 * 1024  # a page of 500 instances with our boot script has 13 MiB
SECONDS = 20.0
PIECE = 64 * 1024
SHOWN = 100


class BrokenAnswerError(OSError):
    """An answer that is cut, has no end, cannot be unpacked, or is no document."""


class RedirectedError(OSError):
    """An answer that sends us elsewhere: no API of ours does that, a proxy's page does."""


class Bounded:
    """An adapter of requests around another one. `moves`: how often in a row 301 may lead to another path of the same host.

    `begins`: what every good answer begins with, such as b"{".
    """

    def __init__(self, inner: Any, *, moves: int = 0, begins: bytes = b"") -> None:
        self._inner = inner
        self._moves = moves
        self._begins = begins
        self._moved = 0

    def send(self, request: Any, stream: bool = False, **how: Any) -> Any:
        """The answer with its whole body. RedirectedError and BrokenAnswerError are OSErrors, as all that requests raises."""
        answer = self._inner.send(request, stream=True, **how)
        try:
            self._check_way(request, answer)
            body = _whole(answer)
        except OSError:
            answer.close()
            raise
        # PyGithub would wait and ask again for ever.
        if answer.status_code == 202 and request.method == "GET":
            raise BrokenAnswerError("HTTP 202: an answer that is not ready")
        if answer.ok and not body.lstrip()[:1].startswith(self._begins):
            raise BrokenAnswerError("an answer that is no document")
        answer._content, answer._content_consumed = body, True
        return answer

    def close(self) -> None:
        """Close what is inside."""
        self._inner.close()

    def _check_way(self, request: Any, answer: Any) -> None:
        # What comes with a 304 leads nowhere.
        if not 300 <= answer.status_code < 400 or answer.status_code == 304:
            self._moved = 0
            return
        to = urlsplit(urljoin(request.url, answer.headers.get("location", "")))
        here = urlsplit(request.url)
        self._moved += 1
        stays = answer.status_code == 301 and to[:2] == here[:2] and to.path != here.path
        if not stays or self._moved > self._moves:
            self._moved = 0
            # Before anybody follows: the token in the head, or the one in the body, is for nobody else.
            raise RedirectedError(f"HTTP {answer.status_code} to {to.hostname}, which is not followed"[:SHOWN])


def bound(session: Any, *, moves: int = 0, begins: bytes = b"") -> None:
    """Have all that the session of requests sends be bounded from now on."""
    for prefix, adapter in [*session.adapters.items()]:
        session.mount(prefix, Bounded(adapter, moves=moves, begins=begins))


def _whole(answer: Any) -> bytes:
    from urllib3.exceptions import HTTPError

    body, until = bytearray(), time.monotonic() + SECONDS
    try:
        # Not `read`, which comes back once it has a whole piece.
        while piece := answer.raw.read1(PIECE, decode_content=True):
            body += piece
            if len(body) > BYTES:
                raise BrokenAnswerError(f"an answer of more than {BYTES >> 20} MiB")
            if time.monotonic() > until:
                raise BrokenAnswerError(f"an answer without an end: {SECONDS:.0f} s are over")
    except HTTPError as error:
        raise BrokenAnswerError(f"{type(error).__name__}: {error}") from error
    return bytes(body)
