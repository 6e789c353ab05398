"""The files port: the directory of one job, in memory. It outlives its processes, not its job."""

from __future__ import annotations

from collections.abc import Callable

DIRECTORY = "/job/"


class Files:
    """Named documents. `wrote` hears of every replaced document before anybody can read it."""

    def __init__(self, wrote: Callable[[str, bytes], None]) -> None:
        self.documents: dict[str, bytes] = {}
        self._wrote = wrote

    def read(self, name: str) -> bytes | None:
        """The document, or None."""
        return self.documents.get(name)

    def write(self, name: str, content: bytes) -> None:
        """Replace the document."""
        self.documents[name] = content
        self._wrote(name, content)

    def append(self, name: str, content: bytes) -> None:
        """Add to the document."""
        # The only write that can be torn; all others replace a whole document at once.
        self.documents[name] = self.documents.get(name, b"") + content

    def size(self, name: str) -> int:
        """Its length in bytes."""
        return len(self.documents.get(name, b""))

    def path(self, name: str) -> str:
        """A path that `inside` turns back into the name."""
        return DIRECTORY + name

    def names(self, prefix: str) -> list[str]:
        """Names that begin so."""
        return sorted(name for name in self.documents if name.startswith(prefix))

    def remove(self, name: str) -> None:
        """Forget the document."""
        self.documents.pop(name, None)


def inside(path: str) -> str:
    """The document's name in a path that `Files.path` gave."""
    return path.removeprefix(DIRECTORY)


def unwatched() -> Files:
    """The files of a job that nobody judges."""
    return Files(lambda name, content: None)
