"""The job port: nobody looks on, except the reader of a replayed world."""

from __future__ import annotations


class Job:
    """Takes everything and shows nothing: the timeline shows the calls."""

    def log(self, line: str) -> None:
        """Nothing."""

    def stream(self, text: str) -> None:
        """Nothing."""

    def group(self, title: str) -> None:
        """Called once at each end of a group: see guard."""

    def status(self, text: str) -> None:
        """Nothing."""

    def notice(self, title: str, text: str) -> None:
        """Nothing."""

    def warning(self, title: str, text: str) -> None:
        """Nothing."""

    def error(self, title: str, text: str) -> None:
        """Nothing."""

    def mask(self, secret: str) -> None:
        """Nothing."""

    def output(self, name: str, value: str) -> None:
        """Nothing."""

    def summary(self, markdown: str) -> None:
        """Nothing."""
