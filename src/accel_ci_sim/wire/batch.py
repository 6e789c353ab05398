"""Several calls in one, as gcloud sends them to Compute Engine: https://cloud.google.com/compute/docs/api/how-tos/batch."""

from __future__ import annotations

import email
import uuid
from collections.abc import Awaitable, Callable, Iterator
from email.message import Message
from urllib.parse import parse_qsl, unquote, urlsplit

from accel_ci_sim.wire.http_server import Answer, Request
from accel_ci_sim.world.tpu_status import Code, RefusedError, Status

PATH = "/batch/compute/v1"
MOST = 1000


async def answered(request: Request, one: Callable[[Request], Awaitable[Answer]]) -> Answer:
    """The answers to all calls in it, each got from `one`; RefusedError for what is no batch."""
    boundary = f"batch_{uuid.uuid4().hex}"
    parts = []
    for number, part in _parts(request):
        answer = await one(_inner(request, part))
        head = f"Content-Type: application/http\r\nContent-ID: {number}\r\n\r\n"
        parts.append(f"--{boundary}\r\n{head}{answer.encoded().decode()}\r\n")
    content = "".join([*parts, f"--{boundary}--\r\n"])
    return Answer(200, content, {"Content-Type": f"multipart/mixed; boundary={boundary}"})


def _parts(request: Request) -> Iterator[tuple[str, Message]]:
    kind = request.headers.get("content-type", "")
    whole = email.message_from_bytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + request.body)
    inner = whole.get_payload()
    if not isinstance(inner, list) or len(inner) > MOST:
        raise RefusedError(Status(Code.INVALID_ARGUMENT, "Failed to parse batch request, error: no parts."))
    for part in inner:
        assert isinstance(part, Message)
        yield f"<response-{part.get('Content-ID', '').strip('<>')}>", part


def _inner(outer: Request, part: Message) -> Request:
    # gcloud ends its lines in either way.
    text = part.get_payload(decode=True)
    head, _, body = (text if isinstance(text, bytes) else b"").replace(b"\r\n", b"\n").partition(b"\n\n")
    first, _, rest = head.decode("latin-1").strip().partition("\n")
    words = first.split(" ")
    if len(words) != 3:
        raise RefusedError(Status(Code.INVALID_ARGUMENT, "Failed to parse batch request, error: no request line."))
    own = {name.lower(): value for name, value in email.message_from_string(rest).items()}
    split = urlsplit(words[1])
    return Request(
        method=words[0],
        path=unquote(split.path),
        query=tuple(parse_qsl(split.query, keep_blank_values=True)),
        # The token is sent once, with the whole batch.
        headers={**outer.headers, **own},
        body=body.strip(),
        peer=outer.peer,
    )
