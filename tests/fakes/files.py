"""Documents in memory."""

from __future__ import annotations

import re

from accel_ci.domain.errors import AccelError, ComputerError

_NAME = re.compile(r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*")


class FakeFiles:
    """A dictionary. `path` answers a name below `directory`, where nothing lies unless a test put it there.

    There is `room` for so many writes more, and then the disk is full.
    """

    def __init__(self, documents: dict[str, bytes] | None = None, *, directory: str = "/nowhere") -> None:
        self.documents = dict(documents or {})
        self.room = 1 << 30
        self._directory = directory

    def read(self, name: str) -> bytes | None:
        """The document's bytes, or None."""
        return self.documents.get(_checked(name))

    def write(self, name: str, content: bytes) -> None:
        """Replace the document."""
        self._take_room()
        self.documents[_checked(name)] = bytes(content)

    def append(self, name: str, content: bytes) -> None:
        """Add to the document."""
        self._take_room()
        self.documents[_checked(name)] = self.documents.get(name, b"") + content

    def size(self, name: str) -> int:
        """The document's length."""
        return len(self.documents.get(_checked(name), b""))

    def path(self, name: str) -> str:
        """Where the document would lie."""
        return f"{self._directory}/{_checked(name)}"

    def names(self, prefix: str) -> list[str]:
        """The names that begin with `prefix`, sorted."""
        return sorted(name for name in self.documents if name.startswith(prefix))

    def remove(self, name: str) -> None:
        """Forget the document."""
        self.documents.pop(_checked(name), None)

    def _take_room(self) -> None:
        if not self.room:
            raise ComputerError("no space left on device")
        self.room -= 1


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name) or {".", ".."} & set(name.split("/")):
        raise AccelError(f"not a name of a document: {name!r}")
    return name
