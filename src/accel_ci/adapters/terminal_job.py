"""A terminal, or the log of a CI that we do not know."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from accel_ci.adapters import progress, streams
from accel_ci.formats import output, plain_text, redaction
from accel_ci.ports.clock import Clock

COLUMNS = 80
BOLD, RED, YELLOW, CYAN, PLAIN = "\x1b[1m", "\x1b[31m", "\x1b[33m", "\x1b[36m", "\x1b[0m"
ERASE = "\r\x1b[K"


class TerminalJob:
    """Remote output goes to `out`, what we say ourselves to `err`, so that a pipe gets the command's own output.

    On a terminal the status is one line that is redrawn; elsewhere it is a plain line now and then. Colours appear on
    terminals only, and never without `colour`. Outputs are printed, to `out`, only with `show_outputs`.
    """

    def __init__(
        self, out: TextIO, err: TextIO, *, clock: Clock, colour: bool = True, show_outputs: bool = False
    ) -> None:
        for stream in (out, err):
            if isinstance(stream, io.TextIOWrapper):
                # A terminal that knows no UTF-8 must not end a run that has a machine to give back.
                stream.reconfigure(errors="replace")
        self._out = out
        self._err = err
        self._clock = clock
        self._colour_out = colour and out.isatty()
        self._colour_err = colour and err.isatty()
        self._live = err.isatty()
        self._show_outputs = show_outputs
        self._drawn = False
        self._pace = progress.Pace()
        self._masks = redaction.Masks()
        self.unwritten = ""  # why some of the output is lost

    def log(self, line: str) -> None:
        """One line of the log."""
        self._say(output.safe(line))

    def stream(self, text: str) -> None:
        """Remote output as it is; without its colours where nobody could see them."""
        self._write(self._out, text if self._colour_out else plain_text.uncoloured(text))

    @contextmanager
    def group(self, title: str) -> Iterator[None]:
        """A heading, and at the end the seconds it took."""
        started, title = self._clock.now(), output.one_line(title)
        self._say(self._painted(BOLD, f"== {title}"))
        try:
            yield
        finally:
            self._say(self._painted(BOLD, f"== {title}: {progress.duration(self._clock.now() - started)}"))

    def status(self, text: str) -> None:
        """The live line, redrawn with the time that this text has stood."""
        now = self._clock.now()
        line = output.one_line(progress.line(text, self._pace.elapsed(text, now)))
        if self._live:
            self._put(self._err, ERASE + self._painted(CYAN, self._masks.hidden(line)[: _columns(self._err) - 1]))
            self._drawn = True
        elif self._pace.due(now):
            self.log(line)

    def notice(self, title: str, text: str) -> None:
        """A line of the log."""
        self._remark("note", CYAN, title, text)

    def warning(self, title: str, text: str) -> None:
        """A line of the log."""
        self._remark("warning", YELLOW, title, text)

    def error(self, title: str, text: str) -> None:
        """A line of the log."""
        self._remark("error", RED, title, text)

    def mask(self, secret: str) -> None:
        """The value, each long line of it and their usual spellings read *** from now on."""
        self._masks.add(secret)

    def output(self, name: str, value: str) -> None:
        """Nothing, or one line `name=value`."""
        if self._show_outputs:
            self._write(self._out, f"{name}={output.safe(value)}\n")

    def summary(self, markdown: str) -> None:
        """Nothing: a terminal has no page for the run, and report prints its own table."""

    def _remark(self, kind: str, colour: str, title: str, text: str) -> None:
        self._say(f"{self._painted(colour, f'{kind}: {output.one_line(title)}')}: {output.safe(text)}")

    def _say(self, text: str) -> None:
        self._write(self._err, f"{text if self._colour_err else plain_text.uncoloured(text)}\n")

    def _write(self, stream: TextIO, text: str) -> None:
        if self._drawn:
            self._put(self._err, ERASE)
            self._drawn = False
        self._put(stream, self._masks.hidden(text))

    def _put(self, stream: TextIO, text: str) -> None:
        self.unwritten = streams.put(stream, text) or self.unwritten

    def _painted(self, colour: str, text: str) -> str:
        return f"{colour}{text}{PLAIN}" if self._colour_err else text


def _put(stream: TextIO, text: str) -> None:
    """Written at once, or to nobody from now on: `| head` has seen enough, and the run has a machine to give back."""
    try:
        stream.write(text)
        stream.flush()
    except BrokenPipeError:
        nobody = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        # Python's own flush at exit would raise again.
        os.dup2(nobody, stream.fileno())
        os.close(nobody)


def _columns(stream: TextIO) -> int:
    try:
        return os.get_terminal_size(stream.fileno()).columns or COLUMNS
    except OSError:
        return COLUMNS
