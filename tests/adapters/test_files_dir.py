"""The state directory: private, never half-written, never left through a link."""

from __future__ import annotations

import errno
import os
import resource
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from accel_ci.adapters.files_dir import FilesDirectory
from accel_ci.domain.errors import AccelError, CancelledError, ComputerError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Where the state lies."""
    return tmp_path / "job" / "accel-ci"


@pytest.fixture
def open_umask() -> Iterator[None]:
    """A process whose files everybody may read unless told otherwise."""
    before = os.umask(0)
    yield
    os.umask(before)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.usefixtures("open_umask")
def test_private(root: Path) -> None:
    """Only we may read the state, however careless the process's umask is."""
    files = FilesDirectory(str(root))
    files.write("keys/id", b"secret")
    files.append("log", b"secret")
    assert [_mode(path) for path in (root, root / "keys")] == [0o700, 0o700]
    assert [_mode(path) for path in (root / "keys" / "id", root / "log")] == [0o600, 0o600]


@pytest.mark.usefixtures("open_umask")
def test_a_directory_that_was_open_becomes_private(root: Path) -> None:
    """A state directory that somebody made readable for all is closed."""
    root.mkdir(parents=True, mode=0o777)
    FilesDirectory(str(root))
    assert _mode(root) == 0o700


def test_relative_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative root stays the same directory when the process moves."""
    monkeypatch.chdir(tmp_path)
    files = FilesDirectory("state")
    files.write("a", b"1")
    monkeypatch.chdir("/")
    assert files.read("a") == b"1"
    assert files.path("a") == str(tmp_path / "state" / "a")


def test_shared_between_steps(root: Path) -> None:
    """What one step wrote, the next one reads."""
    FilesDirectory(str(root)).write("record.json", b"{}")
    assert FilesDirectory(str(root)).read("record.json") == b"{}"


def test_path_is_where_the_document_lies(root: Path) -> None:
    """A program reads and writes a document by its path, and its directory exists already."""
    files = FilesDirectory(str(root))
    Path(files.path("keys/id")).write_bytes(b"made by ssh-keygen")
    assert files.read("keys/id") == b"made by ssh-keygen"
    files.write("keys/id", b"2")
    assert Path(files.path("keys/id")).read_bytes() == b"2"


def test_a_failed_write_changes_nothing(root: Path) -> None:
    """When the new version cannot take the old one's place, the old one stays and nothing half-written is left."""
    files = FilesDirectory(str(root))
    files.write("taken/document", b"old")
    with pytest.raises(OSError, match="taken"):
        files.write("taken", b"new")
    assert files.read("taken/document") == b"old"
    assert os.listdir(root) == ["taken"]


def test_leftovers_of_a_crash_are_not_documents(root: Path) -> None:
    """What a crashed writer left is never listed."""
    files = FilesDirectory(str(root))
    files.write("a", b"1")
    (root / "~half").write_bytes(b"half")
    assert files.names("") == ["a"]


def test_a_reader_keeps_what_it_opened(root: Path) -> None:
    """Replacing a document leaves a reader of the old version with all of the old version."""
    files = FilesDirectory(str(root))
    files.write("a", b"old" * 1000)
    with open(files.path("a"), "rb") as reader:
        files.write("a", b"new")
        assert reader.read() == b"old" * 1000


def test_links_are_no_documents(root: Path, tmp_path: Path) -> None:
    """A link in the state directory is neither read, listed nor appended through; a write takes its place."""
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    files = FilesDirectory(str(root))
    (root / "link").symlink_to(secret)
    assert files.read("link") is None
    assert files.size("link") == 0
    assert files.names("") == []
    with pytest.raises(OSError, match="link"):
        files.append("link", b"x")
    files.write("link", b"mine")
    assert secret.read_bytes() == b"secret"
    assert files.read("link") == b"mine"


def test_linked_folders_are_refused(root: Path, tmp_path: Path) -> None:
    """No name leads out of the state directory through a folder that is a link."""
    files = FilesDirectory(str(root))
    (root / "out").symlink_to(tmp_path)
    for use in (files.read, files.size, files.path, files.remove):
        with pytest.raises(AccelError):
            use("out/secret")
    with pytest.raises(AccelError):
        files.write("out/secret", b"x")
    assert not (tmp_path / "secret").exists()


def test_folders_are_no_documents(root: Path) -> None:
    """A folder of documents has no content of its own, and removing it removes nothing."""
    files = FilesDirectory(str(root))
    files.write("a/b", b"1")
    files.remove("a")
    assert files.read("a") is None
    assert files.size("a") == 0
    assert files.read("a/b/c") is None
    assert files.read("a/b") == b"1"


@pytest.fixture
def full_disk() -> Iterator[None]:
    """No file may grow: what a full disk is to a process, without one."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("full_disk")
def test_a_full_disk_is_told_as_one(root: Path) -> None:
    """With the place and what mends it; nothing half-written is left."""
    files = FilesDirectory(str(root))
    for write in (files.write, files.append):
        with pytest.raises(ComputerError, match=r"File too large: .*/record\.json") as told:
            write("main/record.json", b"1")
        assert "make room" in told.value.what_to_do
    files.remove("main/record.json")
    assert list((root / "main").iterdir()) == []


def test_our_own_mistakes_are_not_the_computers(root: Path) -> None:
    """A directory where a document belongs is no full disk: it is told as it is."""
    (root / "main/record.json").mkdir(parents=True)
    with pytest.raises(IsADirectoryError):
        FilesDirectory(str(root)).write("main/record.json", b"1")
    assert ComputerError.of(OSError(errno.EISDIR, "Is a directory")) is None


@pytest.mark.parametrize("replaced", [True, False])
def test_a_signal_while_a_document_is_replaced_stays_what_it_is(
    replaced: bool, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What leaves is the cancellation, no FileNotFoundError in its place, a bug of ours; nothing half-written stays."""
    files, replace = FilesDirectory(str(root)), os.replace
    files.write("record.json", b"old")

    def torn(source: str, to: Path) -> None:
        if replaced:
            replace(source, to)
        raise CancelledError("SIGINT asked us to stop")

    monkeypatch.setattr(os, "replace", torn)
    with pytest.raises(CancelledError):
        files.write("record.json", b"new")
    assert files.read("record.json") == (b"new" if replaced else b"old")
    assert os.listdir(root) == ["record.json"]
