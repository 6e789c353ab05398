"""What every place for a job's state promises."""

from __future__ import annotations

from pathlib import Path

import pytest

from accel_ci.adapters.files_dir import FilesDirectory
from accel_ci.domain.errors import AccelError
from accel_ci.ports.files import Files
from tests.fakes.files import FakeFiles

HOSTILE = [
    "",
    "/",
    "/etc/passwd",
    "..",
    ".",
    "../up",
    "a/../../up",
    "a/..",
    "a/./b",
    "a//b",
    "a/",
    "a b",
    "a\nb",
    "ä",
    "a\0",
]


@pytest.fixture(params=["fake", "directory"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> Files:
    """Each implementation in turn, empty."""
    return FakeFiles() if request.param == "fake" else FilesDirectory(str(tmp_path / "state"))


def test_never_written(files: Files) -> None:
    """A document that was never written reads as None and has no size."""
    assert files.read("record.json") is None
    assert files.size("record.json") == 0
    assert files.names("") == []


def test_written_document(files: Files) -> None:
    """What was written is read, byte for byte."""
    files.write("a/record.json", b"\0\xff\r\n")
    assert files.read("a/record.json") == b"\0\xff\r\n"
    assert files.size("a/record.json") == 4


def test_replaced_document(files: Files) -> None:
    """A second write replaces the first as a whole."""
    files.write("record.json", b"a long first version")
    files.write("record.json", b"short")
    assert files.read("record.json") == b"short"


def test_empty_document(files: Files) -> None:
    """An empty document is not the same as none."""
    files.write("empty", b"")
    assert files.read("empty") == b""
    assert files.names("") == ["empty"]


def test_append(files: Files) -> None:
    """Appending makes the document when needed and adds to its end."""
    files.append("out/log", b"one")
    files.append("out/log", b"two")
    assert files.read("out/log") == b"onetwo"
    assert files.size("out/log") == 6


def test_names(files: Files) -> None:
    """Names are listed by their beginning, sorted, whether or not that ends at a slash."""
    for name in ("record-b.json", "tries/2", "record-a.json", "tries/1/x", "other"):
        files.write(name, b"1")
    assert files.names("record") == ["record-a.json", "record-b.json"]
    assert files.names("tries/") == ["tries/1/x", "tries/2"]
    assert files.names("nothing") == []


def test_remove(files: Files) -> None:
    """A removed document is gone, and removing it again is no error."""
    files.write("a/b", b"1")
    files.remove("a/b")
    files.remove("a/b")
    assert files.read("a/b") is None
    assert files.names("") == []


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names(files: Files, name: str) -> None:
    """A name that is not made of plain components is refused by every method, and nothing is written."""
    for use in (files.read, files.size, files.path, files.remove):
        with pytest.raises(AccelError):
            use(name)
    for put in (files.write, files.append):
        with pytest.raises(AccelError):
            put(name, b"x")
    assert files.names("") == []


@pytest.mark.parametrize("name", ["..a", "a..b/c..", "...", "-rf", ".hidden/x"])
def test_dots_in_names(files: Files, name: str) -> None:
    """Dots and dashes are fine where they do not mean another directory."""
    files.write(name, b"1")
    assert files.names("") == [name]


def test_path_ends_in_the_name(files: Files) -> None:
    """A program gets an absolute file name."""
    path = files.path("keys/id_ed25519")
    assert path.startswith("/")
    assert path.endswith("/keys/id_ed25519")
