"""A step of a GitHub Actions job."""

from __future__ import annotations

import io
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TextIO

from accel_ci.adapters import progress, streams
from accel_ci.domain.workload import MIB
from accel_ci.formats import output, redaction
from accel_ci.ports.clock import Clock
from accel_ci.ports.entropy import Entropy

ANNOTATIONS = 10  # GitHub drops further ones of a kind in the same step
SUMMARY_BYTES = MIB  # a larger file is not shown at all (actions/runner, FileCommandManager.cs:223-253)
SUMMARY_CUT = b"\n\n*The rest was cut: GitHub shows at most 1 MiB of summary for a step.*\n"


class ActionsJob:
    """Talks to the runner by workflow commands on one stream (it reads two out of order) and by its two files.

    While remote output is streamed the runner obeys no commands: they are stopped under a random token that was masked
    first, and resumed just before our next command. Without a file, outputs or summary go nowhere. `outside`: in a
    container, the directory that we see and the one that it is to the runner's other steps.
    """

    def __init__(
        self,
        out: TextIO,
        *,
        output_file: str,
        summary_file: str,
        clock: Clock,
        entropy: Entropy,
        debug: bool = False,
        outside: tuple[str, str] = ("", ""),
    ) -> None:
        if isinstance(out, io.TextIOWrapper):
            out.reconfigure(encoding="utf-8", errors="replace", newline="\n")  # what the runner reads
        self._out = out
        self._output_file = output_file
        self._summary_file = summary_file
        self._clock = clock
        self._entropy = entropy
        self._debug = debug
        self._inside, self._outside = outside
        self._stopped_by = ""  # commands are stopped under this token, or may be
        self._surely_stopped = False
        self._depth = 0
        self._annotations: Counter[str] = Counter()
        self._masks = redaction.Masks()
        self._pace = progress.Pace()
        self._summary_is_full = False
        self.unwritten = ""  # why some of the output is lost

    def log(self, line: str) -> None:
        """One line of the log."""
        self._write(f"{self._masks.hidden(output.safe(line))}\n")

    def stream(self, text: str) -> None:
        """Remote output, with commands stopped."""
        if not text:
            return
        if not self._surely_stopped:
            token = self._entropy.token()
            self._command("add-mask", token)
            # Known before it is so: a signal in between would leave the runner deaf to all that follows.
            self._stopped_by = token
            self._write(f"{output.command('stop-commands', {}, token)}\n")
            self._surely_stopped = True
        self._write(text if text.endswith("\n") else f"{text}\n")  # or the resuming token would not start a line

    @contextmanager
    def group(self, title: str) -> Iterator[None]:
        """A folded group; one inside another is a plain heading, because the runner knows one level only."""
        started, title = self._clock.now(), self._masks.hidden(output.one_line(title))
        if self._depth:
            self.log(title)
        else:
            self._command("group", title)
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
            if not self._depth:
                self._command("endgroup", "")
            self.log(f"{title}: {progress.duration(self._clock.now() - started)}")

    def status(self, text: str) -> None:
        """A plain line when the text is new or has stood for a while; for runner debugging every text."""
        now = self._clock.now()
        line = progress.line(text, self._pace.elapsed(text, now))
        if self._pace.due(now):
            self.log(line)
        elif self._debug:
            self._command("debug", self._masks.hidden(line))

    def notice(self, title: str, text: str) -> None:
        """An annotation of the run."""
        self._annotate("notice", title, text)

    def warning(self, title: str, text: str) -> None:
        """An annotation of the run."""
        self._annotate("warning", title, text)

    def error(self, title: str, text: str) -> None:
        """An annotation of the run."""
        self._annotate("error", title, text)

    def mask(self, secret: str) -> None:
        """The runner hides each long line of the value and its usual encodings, and so do we in what we say ourselves."""
        # The runner would hide each line of a text of several, so that one with a bare { makes every log unreadable.
        for line in self._masks.add(secret) or filter(None, [secret.strip()]):
            self._command("add-mask", line)

    def output(self, name: str, value: str) -> None:
        """An output of the step, in the file that the runner reads after it; a path as the steps outside know it."""
        if self._inside and value.startswith(f"{self._inside}/"):
            value = self._outside + value.removeprefix(self._inside)
        if self._output_file:
            with open(self._output_file, "ab") as file:
                file.write(output.heredoc(name, value, self._entropy.token()).encode("utf-8", "replace"))

    def summary(self, markdown: str) -> None:
        """A part of the step's summary; what does not fit is cut at a line, and said to be."""
        if not self._summary_file or self._summary_is_full:
            return
        content = f"{markdown}\n".encode("utf-8", "replace")
        with open(self._summary_file, "ab") as file:
            room = SUMMARY_BYTES - len(SUMMARY_CUT) - file.seek(0, os.SEEK_END)
            if len(content) > room:
                self._summary_is_full = True
                content = content[: content.rfind(b"\n", 0, max(0, room)) + 1] + SUMMARY_CUT if room >= 0 else b""
            file.write(content)

    def _annotate(self, kind: str, title: str, text: str) -> None:
        title, text = (self._masks.hidden(output.visible(each)) for each in (title, text))
        self._annotations[kind] += 1
        if self._annotations[kind] > ANNOTATIONS:
            self.log(f"{kind}: {title}: {text}")
        else:
            self._command(kind, text, {"title": output.one_line(title)})

    def _command(self, name: str, message: str, properties: Mapping[str, str] | None = None) -> None:
        resume = f"{output.command(self._stopped_by, {}, '')}\n" if self._stopped_by else ""
        self._surely_stopped = False
        self._write(f"{resume}{output.command(name, properties or {}, message)}\n")
        self._stopped_by = ""

    def _write(self, text: str) -> None:
        self.unwritten = streams.put(self._out, text) or self.unwritten
