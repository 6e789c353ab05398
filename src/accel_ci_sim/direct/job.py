"""The job port: nobody looks on, except the reader of a replayed world, and the judge."""

from __future__ import annotations

from collections.abc import Callable


class Job:
    """Shows nothing: the timeline shows the calls. `hear` is told every text that people would see; `warned` notes titles."""

    def __init__(self, hear: Callable[[str], None], warned: set[str]) -> None:
        self._hear = hear
        self._warned = warned

    def log(self, line: str) -> None:
        """Nothing."""
        self._hear(line)

    def stream(self, text: str) -> None:
        """Nothing."""
        self._hear(text)

    def group(self, title: str) -> None:
        """Called once at each end of a group: see guard."""

    def status(self, text: str) -> None:
        """Nothing."""

    def notice(self, title: str, text: str) -> None:
        """Nothing."""
        self._hear(text)

    def warning(self, title: str, text: str) -> None:
        """A note of its title."""
        self._warned.add(title)
        self._hear(text)

    def error(self, title: str, text: str) -> None:
        """Nothing."""
        self._hear(text)

    def mask(self, secret: str) -> None:
        """Nothing."""

    def output(self, name: str, value: str) -> None:
        """Nothing."""
        self._hear(value)

    def summary(self, markdown: str) -> None:
        """Nothing."""
        self._hear(markdown)
