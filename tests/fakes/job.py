"""A job that records everything."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class FakeJob:
    """`entries` holds what a person would see, as (kind, text) in order; the rest is kept by kind."""

    entries: list[tuple[str, str]] = field(default_factory=list)
    statuses: list[str] = field(default_factory=list)
    outputs: dict[str, str] = field(default_factory=dict)
    summaries: list[str] = field(default_factory=list)
    masked: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """Everything that a person would see, a line an entry."""
        return "".join(text if kind == "stream" else f"{text}\n" for kind, text in self.entries)

    def of_kind(self, kind: str) -> list[str]:
        """The texts of one kind: log, stream, group, status, notice, warning or error."""
        return [text for each, text in self.entries if each == kind]

    def log(self, line: str) -> None:
        """Recorded."""
        self._see("log", line)

    def stream(self, text: str) -> None:
        """Recorded; text that does not end its line is a mistake of the caller."""
        assert text == "" or text.endswith("\n"), text
        self._see("stream", text)

    @contextmanager
    def group(self, title: str) -> Iterator[None]:
        """Recorded at its begin and its end."""
        self._see("group", title)
        try:
            yield
        finally:
            self._see("log", f"{title}: 0.0 s")

    def status(self, text: str) -> None:
        """Recorded each time; seen when it is another text than before."""
        if self.statuses[-1:] != [text]:
            self._see("status", text)
        self.statuses.append(text)

    def notice(self, title: str, text: str) -> None:
        """Recorded."""
        self._see("notice", f"{title}: {text}")

    def warning(self, title: str, text: str) -> None:
        """Recorded."""
        self._see("warning", f"{title}: {text}")

    def error(self, title: str, text: str) -> None:
        """Recorded."""
        self._see("error", f"{title}: {text}")

    def mask(self, secret: str) -> None:
        """Recorded, and hidden in what follows."""
        self.masked.append(secret)

    def output(self, name: str, value: str) -> None:
        """Recorded."""
        self.outputs[name] = value

    def summary(self, markdown: str) -> None:
        """Recorded."""
        self.summaries.append(markdown)

    def _see(self, kind: str, text: str) -> None:
        for secret in self.masked:
            text = text.replace(secret, "***")
        self.entries.append((kind, text))
