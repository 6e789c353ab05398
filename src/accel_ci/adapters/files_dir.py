"""The job's state as files of a private directory."""

from __future__ import annotations

import os
import re
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from accel_ci.domain.errors import AccelError, ComputerError

_NAME = re.compile(r"(?!(.*/)?\.{1,2}(/|\Z))[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*")
_TEMPORARY = "~"  # no name has it, so that no listing shows a half-written document


class FilesDirectory:
    """Documents below `root`, which is made private (0700); files are 0600, and links are never followed."""

    def __init__(self, root: str) -> None:
        with _explained(root):
            os.makedirs(root, mode=0o700, exist_ok=True)
            # It may have been there before, with whatever mode it was given.
            os.chmod(root, 0o700)
        # Resolved once: what is checked below compares resolved paths.
        self._root = Path(os.path.realpath(root))

    def read(self, name: str) -> bytes | None:
        """The document's bytes; None when there is none."""
        path = self._path(name)
        if not _is_document(path):
            return None
        with _explained(path), open(path, "rb", opener=_open) as file:
            return file.read()

    def write(self, name: str, content: bytes) -> None:
        """Replace the document; once we return it survives a crash of this computer."""
        path = self._place(name)
        with _explained(path):
            _replace(path, content)
            _sync(path.parent)

    def append(self, name: str, content: bytes) -> None:
        """Add to the end of the document."""
        path = self._place(name)
        with _explained(path), open(path, "ab", opener=_open) as file:
            file.write(content)

    def size(self, name: str) -> int:
        """The document's length in bytes; 0 when there is none."""
        path = self._path(name)
        return path.lstat().st_size if _is_document(path) else 0

    def path(self, name: str) -> str:
        """The document's absolute path; a program may read and write it there."""
        return str(self._place(name))

    def names(self, prefix: str) -> list[str]:
        """The names that begin with `prefix`, sorted."""
        return sorted(name for name in self._names() if name.startswith(prefix))

    def remove(self, name: str) -> None:
        """Forget the document."""
        path = self._path(name)
        if _is_document(path):
            path.unlink(missing_ok=True)

    def _names(self) -> Iterator[str]:
        for folder, _, names in os.walk(self._root):
            for path in (Path(folder, name) for name in names if not name.startswith(_TEMPORARY)):
                if _is_document(path):
                    yield path.relative_to(self._root).as_posix()

    def _path(self, name: str) -> Path:
        """The document's path; a name that leads elsewhere, by its letters or through a link, is our own mistake."""
        path = self._root / name
        if not _NAME.fullmatch(name) or not Path(os.path.realpath(path.parent)).is_relative_to(self._root):
            raise AccelError(f"not a name of a document: {name!r}")
        return path

    def _place(self, name: str) -> Path:
        path = self._path(name)
        with _explained(path):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return path


@contextmanager
def _explained(path: str | Path) -> Iterator[None]:
    """What people can mend is told as such, and where."""
    try:
        yield
    except OSError as error:
        if known := ComputerError.of(error, str(path)):
            raise known from error
        raise


def _replace(path: Path, content: bytes) -> None:
    descriptor, temporary = tempfile.mkstemp(prefix=_TEMPORARY, dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)  # whatever lies there, a link included, is replaced and not followed
    except BaseException:
        with suppress(FileNotFoundError):  # a signal may come just after it took its place
            os.unlink(temporary)
        raise


def _is_document(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def _open(path: str, flags: int) -> int:
    # Code under test that finds the directory could put a link here, to a file of the runner's.
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)


def _sync(directory: Path) -> None:
    # A file's name is on the disk only once its directory is.
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
