"""What supervisor.py and courier.py send, read as if an attacker had written it: ValueError for what is no frame."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass

from accel_ci.adapters import transport

# The other end runs a stranger's code: whatever it announces is checked before a byte is read for it.
OUTPUT_BYTES = 256 * 1024
RECORD_BYTES = 64 * 1024
NAME_CHARACTERS = 1024


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of `supervisor.py attach`: O(utput at `offset`), B(eat), E(nd record) or X (no end can come)."""

    kind: str
    payload: bytes = b""
    offset: int = 0


@dataclass(frozen=True, slots=True)
class FileHeader:
    """A file that follows as `size` bytes on the stream, or one that the courier `refused`: then nothing follows."""

    name: str
    size: int
    refused: str


async def frame(stream: asyncio.StreamReader) -> Frame:
    """The next frame of an attachment; EOFError when the stream ends first."""
    header = await _line(stream)
    match header.split():
        case [b"O", offset, length]:
            return Frame("O", await _payload(stream, length, OUTPUT_BYTES), int(offset))
        case [b"B"]:
            return Frame("B")
        case [b"E" | b"X" as kind, length]:
            return Frame(kind.decode(), await _payload(stream, length, RECORD_BYTES))
    raise ValueError(f"'{transport.plain(header[:80])}' is no frame")


@dataclass(frozen=True, slots=True)
class Sent:
    """The courier's last word; `incomplete` says why it did not look at everything ("" when it did)."""

    incomplete: str


async def file_header(stream: asyncio.StreamReader) -> FileHeader | Sent:
    """What `courier.py send` announces next, or its last word."""
    header = await _line(stream)
    match header.split(b" ", 1):
        case [b"F", text]:
            return _file(document(text))
        case [b"Z", text]:
            return Sent(_text(str(document(text).get("incomplete") or "")))
    raise ValueError(f"'{transport.plain(header[:80])}' announces no file")


def document(data: bytes) -> dict[str, object]:
    """The JSON object that `data` holds; ValueError when it holds none."""
    try:
        parsed = json.loads(data)
    # json's parser gives up on deep nesting with an error that is no ValueError.
    except RecursionError as error:
        raise ValueError("JSON nested too deeply") from error
    if not isinstance(parsed, dict):
        raise ValueError("JSON that is no object")
    return parsed


def _file(told: dict[str, object]) -> FileHeader:
    name, size, refused = told.get("name"), told.get("size"), told.get("refused") or ""
    # `type`, not isinstance: True is an int as well.
    if not isinstance(name, str) or not isinstance(refused, str) or type(size) is not int or size < 0:
        raise ValueError("a file without a proper name, size or reason")
    return FileHeader(_text(name), size, _text(refused))


def _text(value: str) -> str:
    return value[:NAME_CHARACTERS].encode("utf-8", "replace").decode()


async def _line(stream: asyncio.StreamReader) -> bytes:
    line = await stream.readline()
    # What a broken connection cut short is no line, however well it reads.
    if not line.endswith(b"\n"):
        raise EOFError("the stream ended")
    return line


async def _payload(stream: asyncio.StreamReader, length: bytes, limit: int) -> bytes:
    size = int(length)
    if not 0 <= size <= limit:
        raise ValueError(f"a frame of {size} bytes")
    return await stream.readexactly(size)
