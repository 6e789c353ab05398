"""Frames from machines are read as an attacker's bytes."""

from __future__ import annotations

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accel_ci.adapters import frames
from accel_ci.adapters.frames import FileHeader, Frame, Sent


def stream(data: bytes) -> asyncio.StreamReader:
    """A stream that holds these bytes and then ends, with the limit that transports set."""
    reader = asyncio.StreamReader(limit=256 * 1024, loop=asyncio.get_running_loop())
    reader.feed_data(data)
    reader.feed_eof()
    return reader


def read(data: bytes) -> list[Frame]:
    """All frames up to the end of the stream."""

    async def reading() -> list[Frame]:
        source, found = stream(data), []
        while not source.at_eof():
            found.append(await frames.frame(source))
        return found

    return asyncio.run(reading())


def header(data: bytes) -> FileHeader | Sent:
    """The courier's frame at the beginning of the data."""

    async def reading() -> FileHeader | Sent:
        return await frames.file_header(stream(data))

    return asyncio.run(reading())


def file(**told: object) -> bytes:
    """An F frame."""
    return b"F " + json.dumps(told).encode() + b"\n"


def test_frames_are_told_apart() -> None:
    """Output carries its offset and any bytes, newlines included; beats are empty; the last frames carry a document."""
    assert read(b"O 7 5\na\nO 9B\nE 2\n{}X 4\nwhy\n") == [
        Frame("O", b"a\nO 9", 7),
        Frame("B"),
        Frame("E", b"{}"),
        Frame("X", b"why\n"),
    ]


@pytest.mark.parametrize(
    "data",
    [
        b"Welcome to Ubuntu\n",
        b"O 1\n",
        b"O -1 x\n",
        b"O 0 262145\n",
        b"O 0 -1\n",
        b"E 65537\n",
        b"X 1 1\n",
        b"\n",
        b"Q 1\n",
    ],
)
def test_what_is_no_frame_is_refused(data: bytes) -> None:
    """Other lines, negative or too large sizes and unknown kinds raise ValueError."""
    with pytest.raises(ValueError, match=r"\w"):
        read(data + b"x" * 300_000)


def test_endless_header_is_refused() -> None:
    """A line without end raises ValueError instead of filling the memory."""
    with pytest.raises(ValueError, match="limit"):
        read(b"O" * 600_000)


@pytest.mark.parametrize("data", [b"O 0 5\nab", b"E 3\n", b"B", b"O 0"])
def test_early_end_is_an_eof(data: bytes) -> None:
    """A stream that ends inside a frame raises EOFError: the connection broke."""
    with pytest.raises(EOFError):
        read(data)


@given(st.binary(max_size=300))
def test_arbitrary_bytes_raise_one_of_two_errors(data: bytes) -> None:
    """Whatever comes, it is frames, ValueError or EOFError."""
    for reading in (read, header):
        try:
            reading(data)
        except (ValueError, EOFError):
            pass


@given(st.binary(max_size=300))
def test_arbitrary_announcements_raise_one_of_two_errors(data: bytes) -> None:
    """Whatever JSON or garbage follows an F or Z, it is a header, ValueError or EOFError."""
    for kind in (b"F ", b"Z "):
        try:
            header(kind + data + b"\n")
        except (ValueError, EOFError):
            pass


def test_file_header_is_read() -> None:
    """Name, size and reason come out; other fields, such as the machine's own digest, are not believed."""
    told = file(name="results/a.xml", size=12, sha256="f00", refused="")
    assert header(told) == FileHeader("results/a.xml", 12, "")
    assert header(file(name="a", size=0, refused="a link")).refused == "a link"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "told",
    [
        {"name": "a", "size": -1},
        {"name": "a", "size": True},
        {"name": "a", "size": 1.5},
        {"name": "a", "size": "1"},
        {"name": 7, "size": 1},
        {"size": 1},
        {"name": "a", "size": 1, "refused": 3},
    ],
)
def test_improper_file_header_is_refused(told: dict[str, object]) -> None:
    """A header that lacks a name, has no whole size, or another type raises ValueError."""
    with pytest.raises(ValueError, match="proper"):
        header(file(**told))


def test_names_are_text_of_bounded_length() -> None:
    """A name can always be written down as UTF-8, and has at most 1024 characters."""
    lone = header(file(name="\udcff" + "x" * 5000, size=0))
    assert isinstance(lone, FileHeader)
    assert len(lone.name.encode()) == 1024


def test_last_word_tells_what_is_missing() -> None:
    """The Z frame says why not everything was looked at."""
    assert header(b'Z {"sent": 1, "incomplete": "too many files"}\n') == Sent("too many files")
    assert header(b'Z {"sent": 1, "incomplete": ""}\n') == Sent("")


@pytest.mark.parametrize("data", [b"[1]", b"7", b'"x"', b"[" * 100_000, b"{", b"\xff", b"9" * 5000])
def test_document_is_an_object_or_a_value_error(data: bytes) -> None:
    """Only a JSON object is a document; deep nesting and huge numbers end as ValueError too."""
    with pytest.raises(ValueError, match=r"\w"):
        frames.document(data)
