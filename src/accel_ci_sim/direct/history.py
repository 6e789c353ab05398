"""The history port: a repository's run records, in memory."""

from __future__ import annotations

from collections.abc import Callable


class History:
    """Documents by name. `kept` hears of each."""

    def __init__(self, kept: Callable[[str, bytes], None]) -> None:
        self.documents: dict[str, bytes] = {}
        self._kept = kept

    def keep(self, name: str, document: bytes) -> None:
        """Store it."""
        self.documents[name] = document
        self._kept(name, document)

    def names(self) -> list[str]:
        """Oldest first."""
        return list(self.documents)

    def read(self, name: str) -> bytes | None:
        """The document, or None."""
        return self.documents.get(name)
