"""The state that steps of one job share: small named documents, and places for files that come back."""

from __future__ import annotations

from typing import Protocol


class Files(Protocol):
    """A private directory of this job. Names are relative, of [A-Za-z0-9._/-]; whatever is written is readable by us only."""

    def read(self, name: str) -> bytes | None:
        """The document's bytes, or None when it was never written."""

    def write(self, name: str, content: bytes) -> None:
        """Replace the document as a whole: a reader sees the old or the new one, never a part."""

    def append(self, name: str, content: bytes) -> None:
        """Add to the end of the document, making it when needed."""

    def size(self, name: str) -> int:
        """The document's length in bytes; 0 when it does not exist."""

    def path(self, name: str) -> str:
        """Where the document lies, for programs that want a file name; its directory exists."""

    def names(self, prefix: str) -> list[str]:
        """The names of the documents that begin with `prefix`, sorted."""

    def remove(self, name: str) -> None:
        """Forget the document; nothing happens when it does not exist."""
