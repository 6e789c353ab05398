"""Run records in memory."""

from __future__ import annotations


class FakeHistory:
    """A dictionary, in the order of the first keeping."""

    def __init__(self) -> None:
        self.documents: dict[str, bytes] = {}

    def keep(self, name: str, document: bytes) -> None:
        """Store the document, or replace the one of that name."""
        self.documents[name] = bytes(document)

    def names(self) -> list[str]:
        """What is kept, oldest first."""
        return list(self.documents)

    def read(self, name: str) -> bytes | None:
        """The document, or None."""
        return self.documents.get(name)
