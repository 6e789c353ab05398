"""TerminalJob on a real pseudo-terminal, and on pipes."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import struct
import termios
from collections.abc import Callable, Iterator

import pytest

from accel_ci.adapters import progress
from accel_ci.adapters.terminal_job import ERASE, TerminalJob
from tests.fakes.clock import FakeClock


class Screen:
    """A pseudo-terminal of 40 columns."""

    def __init__(self) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 40, 0, 0))
        self.stream = os.fdopen(slave, "w", encoding="utf-8", newline="\n")

    def read(self) -> str:
        """What was written since the last call: a NUL of ours ends it, for a terminal may hand it over in parts."""
        self.stream.write("\0")
        self.stream.flush()
        seen = b""
        while not seen.endswith(b"\0"):
            seen += os.read(self._master, 65536)
        return seen[:-1].decode().replace("\r\n", "\n")

    def close(self) -> None:
        """Let go of both ends."""
        self.stream.close()
        os.close(self._master)


@pytest.fixture
def screen() -> Iterator[Screen]:
    opened = Screen()
    yield opened
    opened.close()


def piped(
    clock: FakeClock | None = None, *, show_outputs: bool = False
) -> tuple[TerminalJob, io.StringIO, io.StringIO]:
    out, err = io.StringIO(), io.StringIO()
    return TerminalJob(out, err, clock=clock or FakeClock(), show_outputs=show_outputs), out, err


def test_a_pipe_gets_the_commands_own_output_only() -> None:
    """Remote output is on stdout; log, groups, status and annotations are on stderr; no colours on either."""
    job, out, err = piped()
    with job.group("run"):
        job.stream("\x1b[32mok\x1b[0m\n")
        job.status("waiting")
        job.error("title", "text")
    assert out.getvalue() == "ok\n"
    assert err.getvalue() == "== run\nwaiting\nerror: title: text\n== run: 0.0 s\n"


def test_the_live_line_is_redrawn_with_its_time(screen: Screen) -> None:
    """Each status overwrites the one before on the same line, with the time it has stood; the next line erases it."""
    clock = FakeClock()
    job = TerminalJob(screen.stream, screen.stream, clock=clock, colour=False)
    for _ in range(3):
        job.status("boot")
        clock.advance(30)
    job.stream("out\n")
    job.log("done")
    assert screen.read() == f"{ERASE}boot{ERASE}boot (30 s){ERASE}boot (1 min 00 s){ERASE}out\ndone\n"


def test_the_live_line_never_wraps(screen: Screen) -> None:
    """A text wider than the terminal is cut one column short of it, so that redrawing finds the line's start."""
    job = TerminalJob(screen.stream, screen.stream, clock=FakeClock(), colour=False)
    job.status("x" * 100)
    assert screen.read() == ERASE + "x" * 39


@pytest.mark.parametrize("colour", [True, False])
def test_colours_appear_on_a_terminal_unless_unwanted(screen: Screen, colour: bool) -> None:
    """Headings, annotations and remote colours are coloured on a terminal, and plain under NO_COLOR."""
    job = TerminalJob(screen.stream, screen.stream, clock=FakeClock(), colour=colour)
    job.stream("\x1b[32mok\x1b[0m\n")
    job.error("title", "text")
    with job.group("run"):
        pass
    text = screen.read()
    assert ("\x1b[" in text) is colour
    assert ("\x1b[32mok\x1b[0m\n" in text) is colour


def test_a_log_of_another_ci_gets_plain_status_lines() -> None:
    """Without a terminal a status is a line of its own, at most every half minute while it stays."""
    clock = FakeClock()
    job, _, err = piped(clock)
    for _ in range(40):
        job.status("boot")
        clock.advance(1)
    assert err.getvalue() == "boot\nboot (30 s)\n"


def test_outputs_are_printed_when_asked_for() -> None:
    """With show_outputs each output is one line on stdout; the summary has no place here."""
    job, out, err = piped(show_outputs=True)
    job.output("handle", "local://x")
    job.summary("# nothing")
    assert (out.getvalue(), err.getvalue()) == ("handle=local://x\n", "")


def test_long_lines_of_a_masked_value_are_hidden_too() -> None:
    """A key of several lines is hidden line by line; its short lines are not, for they occur everywhere."""
    job, out, _ = piped()
    job.mask("-----BEGIN-----\nab\nMIIEvQIBAD\n")
    job.mask("")
    job.stream("-----BEGIN-----\nab\n MIIEvQIBAD\n")
    assert out.getvalue() == "***\nab\n ***\n"


@pytest.mark.parametrize("say", [lambda job, text: job.log(text), lambda job, text: job.warning(text, text)])
def test_hostile_text_in_our_own_lines_moves_no_cursor(say: Callable[[TerminalJob, str], None]) -> None:
    """Control sequences that a message quotes do not reach the terminal."""
    job, _, err = piped()
    say(job, "a\x1b[2K\x1b]0;title\x07\rb")
    assert set("\x1b\x07\r") & set(err.getvalue()) == set()


def test_a_terminal_that_lacks_a_character_gets_another() -> None:
    """Text that the terminal's encoding cannot express does not end the run."""
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding="ascii", newline="\n")
    TerminalJob(out, out, clock=FakeClock()).stream("✓ ok\n")
    assert raw.getvalue() == b"? ok\n"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.0 s"), (9.94, "9.9 s"), (59.4, "59 s"), (61, "1 min 01 s"), (3599.9, "1 h 00 min"), (7800, "2 h 10 min")],
)
def test_durations_read_well(seconds: float, text: str) -> None:
    """Short ones have tenths, long ones minutes or hours."""
    assert progress.duration(seconds) == text


def test_a_reader_that_leaves_ends_nothing() -> None:
    """Behind `| head` the rest is said to nobody, without an error, also when the stream is flushed at the end."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "w", encoding="utf-8") as out:
        job = TerminalJob(out, io.StringIO(), clock=FakeClock())
        job.stream("heard\n")
        assert os.read(reading, 100) == b"heard\n"
        os.close(reading)
        for _ in range(3):
            job.stream("not heard\n")
        assert os.readlink(f"/proc/self/fd/{out.fileno()}") == os.devnull
