"""The job that we run in: a GitHub Actions step, another CI, or a terminal."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol


class Job(Protocol):
    """What a person sees of us, and what later steps get. Every text is ours and already safe (see formats.output)."""

    def log(self, line: str) -> None:
        """One line of the log."""

    def stream(self, text: str) -> None:
        """Sanitized remote output: whole lines, each ending in a newline."""

    def group(self, title: str) -> AbstractContextManager[None]:
        """Fold what is logged inside, and close with the seconds it took."""

    def status(self, text: str) -> None:
        """The live phase line: what we wait for now. A terminal redraws it; a CI log gets a plain line now and then."""

    def notice(self, title: str, text: str) -> None:
        """Something worth knowing, shown at the top of the run."""

    def warning(self, title: str, text: str) -> None:
        """Something to mend that did not stop us."""

    def error(self, title: str, text: str) -> None:
        """Why the step fails."""

    def mask(self, secret: str) -> None:
        """Never show this value in any log from now on."""

    def output(self, name: str, value: str) -> None:
        """A value for later steps."""

    def summary(self, markdown: str) -> None:
        """A text for the run's page, at most 1 MiB in all."""
