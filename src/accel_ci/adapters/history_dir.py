"""Run records kept as files of a directory."""

from __future__ import annotations

from accel_ci.adapters.files_dir import FilesDirectory


class HistoryDirectory:
    """Each document is <root>/<number>/<name>; the numbers give the order, which copies and checkouts keep."""

    def __init__(self, root: str) -> None:
        self._files = FilesDirectory(root)

    def keep(self, name: str, document: bytes) -> None:
        """Store the document; one of the same name is replaced in its place."""
        numbers = {kept: number for number, kept in self._kept()}
        # Numbers, not times: a checkout gives every file the time of the checkout.
        newest = max(map(int, numbers.values()), default=0)
        self._files.write(f"{numbers.get(name, f'{newest + 1:08}')}/{name}", document)

    def names(self) -> list[str]:
        """What is kept, oldest first."""
        return [name for _, name in self._kept()]

    def read(self, name: str) -> bytes | None:
        """The document, or None."""
        place = next((f"{number}/{kept}" for number, kept in self._kept() if kept == name), None)
        return None if place is None else self._files.read(place)

    def _kept(self) -> list[tuple[str, str]]:
        parts = (path.partition("/") for path in self._files.names(""))
        return [(number, name) for number, _, name in parts if number.isascii() and number.isdigit() and name]
