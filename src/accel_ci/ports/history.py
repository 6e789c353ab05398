"""Run records that outlive the run."""

from __future__ import annotations

from typing import Protocol


class History(Protocol):
    """Keeps one immutable document per run."""

    def keep(self, name: str, document: bytes) -> None:
        """Store the document under `name`; storing the same name again replaces it."""

    def names(self) -> list[str]:
        """What is kept, oldest first."""

    def read(self, name: str) -> bytes | None:
        """The document, or None."""
