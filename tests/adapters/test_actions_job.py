"""ActionsJob, read back by the port of the runner's own parser."""

from __future__ import annotations

import html
import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accel_ci.adapters import actions_job
from accel_ci.adapters.actions_job import ActionsJob
from accel_ci.domain import errors
from accel_ci.formats import output
from tests.fakes.clock import FakeClock
from tests.fakes.entropy import FakeEntropy
from tests.formats import runner_parser
from tests.formats.runner_parser import Command, Runner

MIB = 1024 * 1024


class Step:
    """A job with its stream, files, clock, and a runner that reads them."""

    def __init__(self, directory: Path, *, debug: bool = False) -> None:
        self.out = io.StringIO()
        self.clock = FakeClock()
        self.outputs = directory / "output"
        self.summary = directory / "summary"
        self.runner = Runner()
        self.job = ActionsJob(
            self.out,
            output_file=str(self.outputs),
            summary_file=str(self.summary),
            clock=self.clock,
            entropy=FakeEntropy(),
            debug=debug,
        )

    def commands(self) -> list[Command]:
        """The commands that were printed since the last call, as the runner reads them."""
        text = self.out.getvalue()
        self.out.seek(0)
        self.out.truncate()
        return self.runner.read(text.encode())


@pytest.fixture
def step(tmp_path: Path) -> Step:
    return Step(tmp_path)


def test_remote_output_is_read_with_commands_stopped(step: Step) -> None:
    """The token is masked before it stops commands, more output does not stop twice, and hostile text fires nothing."""
    step.job.stream("::error::a hole in the sanitizer\n")
    step.job.stream("##[set-output name=x]y\n::add-mask::x\n")
    mask, stop = step.commands()
    assert (mask.name, stop.name) == ("add-mask", "stop-commands")
    assert mask.data == stop.data
    assert len(stop.data) == 32
    assert step.runner.shown[0] == "::error::a hole in the sanitizer"
    assert step.runner.stopped


class _Torn(io.StringIO):
    """A signal comes in the middle of the write number `at`: before it is done, or after, when nobody has heard of it yet."""

    def __init__(self, at: int, *, written: bool) -> None:
        super().__init__()
        self._left, self._written = at, written

    def write(self, text: str) -> int:
        """Torn once."""
        self._left -= 1
        if self._left or self._written:
            super().write(text)
        if not self._left:
            raise errors.CancelledError("SIGINT asked us to stop")
        return len(text)


@pytest.mark.parametrize("written", [True, False])
@pytest.mark.parametrize("at", range(1, 7))
def test_a_signal_leaves_the_runner_neither_deaf_nor_open(at: int, written: bool, step: Step) -> None:
    """Wherever it strikes, what the machine says next fires nothing, and what we say then is obeyed."""
    step.out = _Torn(at, written=written)
    step.job = ActionsJob(step.out, output_file="", summary_file="", clock=step.clock, entropy=FakeEntropy())
    with pytest.raises(errors.CancelledError):
        for _ in range(2):
            step.job.stream("remote\n")
            step.job.notice("title", "ours")
    step.commands()
    step.job.stream("::error::a hole in the sanitizer\n")
    step.job.warning("title", "ours")
    fired = [command.name for command in step.commands()]
    assert "error" not in fired and fired[-1] == "warning" and not step.runner.stopped


def test_commands_are_resumed_before_our_own(step: Step) -> None:
    """A group, an annotation or a mask after remote output is obeyed; the next output has a new token."""
    step.job.stream("remote\n")
    first = step.commands()[0].data
    step.job.mask("hunter2")
    assert [command.name for command in step.commands()] == [first, "add-mask"]
    step.job.stream("remote\n")
    second = step.commands()[0].data
    assert second != first
    with step.job.group("next"):
        pass
    assert [command.name for command in step.commands()] == [second, "group", "endgroup"]
    assert not step.runner.stopped


def test_output_without_a_last_newline_does_not_hide_our_commands(step: Step) -> None:
    """A caller's unfinished line is ended, so that the mask after it is obeyed and not printed."""
    step.job.stream("unfinished")
    step.job.mask("hunter2")
    assert step.commands()[-1] == Command("add-mask", {}, "hunter2")
    assert step.runner.shown == ["unfinished"]


def test_a_log_line_needs_no_resumption(step: Step) -> None:
    """Plain lines between chunks of output print no commands at all."""
    step.job.stream("remote\n")
    step.commands()
    step.job.log("reattached")
    step.job.stream("more\n")
    assert step.commands() == []


@pytest.mark.parametrize("line", ["::error::x", "a\r::error::x", "a\n ##[group]x", "\u2028::warning::x"])
def test_a_log_line_that_quotes_hostile_text_fires_nothing(step: Step, line: str) -> None:
    """Lines of ours are made safe once more, so that a caller's mistake is no command."""
    step.job.log(line)
    assert step.commands() == []


@given(st.text(max_size=30), st.text(max_size=60), st.sampled_from(["notice", "warning", "error"]))
def test_an_annotation_is_read_as_it_was_meant(title: str, text: str, kind: str) -> None:
    """Whatever the title and text hold, the runner reads one annotation with what can be seen, and a title of one line."""
    step = Step(Path())
    getattr(step.job, kind)(title, text)
    (command,) = step.commands()
    assert (command.name, command.data) == (kind, output.visible(text))
    assert "\n" not in command.properties.get("title", "")


def test_annotations_beyond_the_tenth_of_a_kind_are_log_lines(step: Step) -> None:
    """GitHub would drop them, so they are printed; other kinds have their own ten."""
    for number in range(12):
        step.job.error("t", str(number))
    step.job.warning("t", "w")
    assert [command.name for command in step.commands()] == ["error"] * 10 + ["warning"]
    assert step.runner.shown == ["error: t: 10", "error: t: 11"]


def test_a_group_is_folded_and_timed(step: Step) -> None:
    """One group opens and closes; one inside it is a heading; the seconds stand below, where no fold hides them."""
    with step.job.group("setup"), step.job.group("inner"):
        step.clock.advance(12.3)
    assert [(command.name, command.data) for command in step.commands()] == [("group", "setup"), ("endgroup", "")]
    assert step.runner.shown == ["inner", "inner: 12 s", "setup: 12 s"]


@pytest.mark.parametrize("secret", ["hunter2", "lines: 100%", "::error::x", "abc"])
def test_a_mask_reaches_the_runner_exactly(step: Step, secret: str) -> None:
    """The runner is told the very value, also when remote output came before."""
    step.job.stream("remote\n")
    step.job.mask(secret)
    assert step.commands()[-1] == Command("add-mask", {}, secret)


def test_of_a_secret_of_many_lines_the_long_ones_are_masked(step: Step) -> None:
    """The runner would hide each line, the { of a JSON key as well, and with it every { of the log."""
    step.job.mask('{\n  "private_key": "abc",\n  "id": 7\n}\n')
    assert step.commands() == [Command("add-mask", {}, '"private_key": "abc",'), Command("add-mask", {}, '"id": 7')]


def test_what_we_say_ourselves_shows_no_secret_in_any_spelling(step: Step) -> None:
    """Also what the runner would not hide: an error that quotes a secret as Python or a shell spells it."""
    secret = """it's "100%" <true>"""
    step.job.mask(secret)
    for text in (secret, repr(secret), json.dumps(secret), html.escape(secret), secret.encode().hex()):
        step.job.log(f"log {text}")
        step.job.error(f"title {text}", f"text {text}")
        with step.job.group(f"group {text}"):
            step.job.status(f"status {text}")
    said = step.out.getvalue().split("\n", 1)[1]
    assert said.count("***") >= 25 and not any(part in said for part in ("100%", "&lt;true", "69742773"))


def test_an_empty_mask_is_not_sent(step: Step) -> None:
    """The runner warns about empty masks, so none is printed."""
    step.job.mask("")
    step.job.mask(" \n")
    assert step.out.getvalue() == ""


def test_outputs_are_read_back_exactly(step: Step) -> None:
    """Values with newlines, heredocs and equal signs arrive whole and set nothing else."""
    values = {"one": "1", "many": "a\nforged=1\nEOF\n", "odd": "x<<EOF\r\n", "empty": "", "unicode": "é€"}
    for name, value in values.items():
        step.job.output(name, value)
    assert runner_parser.output_file(step.outputs.read_bytes().decode()) == values


def test_what_the_step_wrote_before_us_stays(step: Step) -> None:
    """Both files are appended to."""
    step.outputs.write_text("before=1\n")
    step.summary.write_text("before\n")
    step.job.output("after", "2")
    step.job.summary("after")
    assert runner_parser.output_file(step.outputs.read_text()) == {"before": "1", "after": "2"}
    assert step.summary.read_text() == "before\nafter\n"


@pytest.mark.parametrize("already", [0, 1000, MIB - 150, MIB - 10, MIB])
def test_the_summary_never_exceeds_what_github_takes(step: Step, already: int) -> None:
    """However much is written, by us or before us, the file keeps to 1 MiB, ends at a line, and says it was cut."""
    step.summary.write_bytes(b"x" * already)
    for _ in range(3):
        step.job.summary("é line\n" * 60_000)
    content = step.summary.read_bytes()
    assert len(content) <= MIB
    rest = content[already:].decode()
    assert rest == "" or rest.endswith(actions_job.SUMMARY_CUT.decode())
    assert set(rest.removesuffix(actions_job.SUMMARY_CUT.decode()).split("\n")) <= {"é line", ""}
    assert already > MIB - 100 or rest


def test_nothing_follows_the_note_that_the_summary_was_cut(step: Step) -> None:
    """A part that fits is left out as well once one did not: the note says that the rest is missing."""
    step.job.summary("first")
    step.job.summary("x" * MIB)
    step.job.summary("last")
    assert step.summary.read_bytes() == b"first\n" + actions_job.SUMMARY_CUT


def test_a_status_is_printed_when_new_and_then_now_and_then(step: Step) -> None:
    """A new text appears at once; the same one, counts aside, again every half minute with the time it has stood."""
    for second in range(95):
        step.job.status(f"w0: {second} of 95 lines")
        step.clock.advance(1)
    step.job.status("us-central2-b: creating")
    step.job.status("us-central1-b: creating")
    assert step.commands() == []
    assert step.runner.shown == [
        "w0: 0 of 95 lines",
        "w0: 30 of 95 lines (30 s)",
        "w0: 60 of 95 lines (1 min 00 s)",
        "w0: 90 of 95 lines (1 min 30 s)",
        "us-central2-b: creating",
        "us-central1-b: creating",
    ]


def test_runner_debugging_shows_every_status(tmp_path: Path) -> None:
    """With RUNNER_DEBUG the texts that the log leaves out are debug messages."""
    step = Step(tmp_path, debug=True)
    for _ in range(3):
        step.job.status("waiting")
        step.clock.advance(2)
    assert step.commands() == [Command("debug", {}, "waiting (2.0 s)"), Command("debug", {}, "waiting (4.0 s)")]
    assert step.runner.shown == ["waiting"]


def test_the_stream_is_written_as_utf8_whatever_the_locale() -> None:
    """A step whose locale knows ASCII only neither fails nor changes a character."""
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding="ascii", newline="\r\n")
    job = ActionsJob(out, output_file="", summary_file="", clock=FakeClock(), entropy=FakeEntropy())
    job.log("é\udcff ✓")
    assert raw.getvalue() == "é\ufffd\ufffd\ufffd ✓\n".encode()


def test_without_files_nothing_is_written(tmp_path: Path) -> None:
    """A runner without output files is no reason to fail."""
    job = ActionsJob(io.StringIO(), output_file="", summary_file="", clock=FakeClock(), entropy=FakeEntropy())
    job.output("name", "value")
    job.summary("text")
    assert list(tmp_path.iterdir()) == []


def test_a_path_is_what_it_is_outside(tmp_path: Path) -> None:
    """In a container an output that lies below the mounted directory has the runner's own path; other texts stay."""
    file = tmp_path / "output"
    job = ActionsJob(
        io.StringIO(),
        output_file=str(file),
        summary_file="",
        clock=FakeClock(),
        entropy=FakeEntropy(),
        outside=("/github/runner_temp", "/home/runner/work/_temp"),
    )
    for name, value in {
        "a": "/github/runner_temp/x",
        "b": "/github/runner_temporary",
        "c": "see /github/runner_temp/",
    }.items():
        job.output(name, value)
    told = file.read_text().splitlines()
    assert told[1::3] == ["/home/runner/work/_temp/x", "/github/runner_temporary", "see /github/runner_temp/"]
