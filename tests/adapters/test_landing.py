"""Files of an attacker land where we say, as we say."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accel_ci.adapters import landing
from accel_ci.adapters.landing import Landing
from accel_ci.domain.machine import Worker
from accel_ci.domain.workload import Caps, Fetched

WORKER = Worker(index=3, address="nowhere")
END = b"Z {}\n"
SMALL = Caps(file_bytes=100, total_bytes=150, files=3)


def file(name: str, content: bytes, *, size: int | None = None, refused: str = "") -> bytes:
    """What the courier sends for a file, or a lie about its size."""
    told = {"name": name, "size": len(content) if size is None else size, "refused": refused}
    return b"F " + json.dumps(told).encode() + b"\n" + content


def receive(into: Path, sent: Sequence[bytes], caps: Caps = SMALL) -> list[Fetched]:
    """What Landing makes of it."""

    async def receiving() -> list[Fetched]:
        stream = asyncio.StreamReader(limit=256 * 1024)
        stream.feed_data(b"".join(sent))
        stream.feed_eof()
        return await Landing(str(into), WORKER, caps).receive(stream)

    return asyncio.run(receiving())


def landed(into: Path) -> dict[str, bytes]:
    """What lies below the directory."""
    return {str(path.relative_to(into)): path.read_bytes() for path in into.rglob("*") if path.is_file()}


def test_files_get_numbers_and_safe_names(tmp_path: Path) -> None:
    """Each file is written once, private to us, under its worker, a number and what is harmless of its name."""
    got = receive(tmp_path, [file("a/../../etc/x.xml", b"1"), file("/etc/x.xml", b""), END])
    assert landed(tmp_path) == {"w3/0001-x.xml": b"1", "w3/0002-x.xml": b""}
    assert [each.path for each in got] == ["w3/0001-x.xml", "w3/0002-x.xml"]
    assert [each.name for each in got] == ["a/../../etc/x.xml", "/etc/x.xml"]
    assert (tmp_path / "w3" / "0001-x.xml").stat().st_mode & 0o777 == 0o600


def test_nothing_there_is_replaced_or_followed(tmp_path: Path) -> None:
    """A file or a link that has the name already is left alone: the next number is taken."""
    victim = tmp_path / "victim"
    victim.write_bytes(b"mine")
    into = tmp_path / "into"
    (into / "w3").mkdir(parents=True)
    (into / "w3" / "0001-a").symlink_to(victim)
    (into / "w3" / "0002-a").write_bytes(b"older")
    assert receive(into, [file("a", b"new"), END])[0].path == "w3/0003-a"
    assert (victim.read_bytes(), (into / "w3" / "0002-a").read_bytes()) == (b"mine", b"older")


@pytest.mark.parametrize(
    "sent",
    [
        [file("a", b"x", size=101)],
        [file("a", b"x", size=10**18)],
        [file("a", b"x" * 90), file("b", b"y" * 61)],
        [file(name, b"x") for name in "abcd"],
    ],
)
def test_lies_about_caps_end_the_reception(tmp_path: Path, sent: list[bytes]) -> None:
    """Whoever sends more than was agreed is not listened to any further, and nothing of it stays."""
    with pytest.raises(ValueError, match="beyond the caps"):
        receive(tmp_path, [*sent, END])
    assert not landed(tmp_path)


def test_endless_refusals_end_the_reception(tmp_path: Path) -> None:
    """A courier that names files for ever is stopped, although none of them has bytes."""
    with pytest.raises(ValueError, match="more files"):
        receive(tmp_path, [file(f"{number}", b"", refused="no") for number in range(1100)])


@pytest.mark.parametrize("sent", [[file("a", b"x"), file("b", b"x", size=50)], [file("a", b"x")], []])
def test_broken_stream_leaves_nothing(tmp_path: Path, sent: list[bytes]) -> None:
    """A stream that ends early raises EOFError, and half a reception is none."""
    with pytest.raises(EOFError):
        receive(tmp_path, sent)
    assert not landed(tmp_path)


def test_refused_files_are_told(tmp_path: Path) -> None:
    """What the courier refused is named with its reason, whatever size it claims, and so is what it left out."""
    got = receive(tmp_path, [file("big", b"", size=10**9, refused="too large"), b'Z {"incomplete": "too many"}\n'])
    assert [(each.name, each.refused, each.path) for each in got] == [("big", "too large", ""), ("*", "too many", "")]


@given(st.text(max_size=200))
def test_names_are_safe_for_any_text(name: str) -> None:
    """Whatever a file is called, its name here is short, plain, and means no other directory or option."""
    safe = landing.safe_name(name)
    assert 0 < len(safe) <= 80
    assert safe.isascii()
    assert safe == os.path.basename(safe)
    assert safe[0] not in ".-"
    assert not set(safe) - set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")


def test_suffix_of_long_names_is_kept() -> None:
    """A shortened name still shows what kind of file it is."""
    assert landing.safe_name("d/" + "x" * 300 + ".tar.gz").endswith(".tar.gz")
