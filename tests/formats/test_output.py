"""The sanitizer, judged by the runner's own rules; and the small texts made of hostile ones."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from accel_ci.domain.errors import AccelError
from accel_ci.formats import output, plain_text
from accel_ci.formats.output import Sanitizer
from tests.formats import hostile_lines, runner_parser
from tests.formats.runner_parser import Command, Runner

PIECES = st.one_of(
    st.binary(max_size=8),
    st.text(max_size=8).map(str.encode),
    st.sampled_from([*hostile_lines.JUNK, *hostile_lines.BREAKS]).map(str.encode),
    st.sampled_from([b"::error::", b"##[group]", b"::", b"#", b"[", b"0123456789"]),
    st.sampled_from(hostile_lines.BROKEN),
)
BYTES = st.lists(PIECES, max_size=40).map(b"".join)
LIMITS = st.integers(1, 60)


def sanitize(data: bytes, *, size: int = 1 << 20, prefix: str = "", line: int = 16384, total: int = 1 << 26) -> str:
    sanitizer = Sanitizer(prefix=prefix, line_limit=line, total_limit=total)
    fed = [sanitizer.feed(data[start : start + size]) for start in range(0, len(data), size)]
    return "".join([*fed, sanitizer.flush()])


@pytest.mark.parametrize(
    ("raw", "safe"),
    [
        ("::error::x", "\\::error::x"),
        (" \t\u3000::error::x", " \t\u3000\\::error::x"),
        ("tests/a.py::test_b PASSED", "tests/a.py::test_b PASSED"),
        ("a ##[group]b ##[x", "a ##\\[group]b ##\\[x"),
        ("###[error]x", "###\\[error]x"),
        ("##vso[task.complete]x", "##\\vso[task.complete]x"),
        ("## Heading [1]", "## Heading [1]"),
        ("#\0#[error]x", "##\\[error]x"),
        (":\u200d:error::x", "\\::error::x"),
        ("\x1b[31m::error::x\x1b[m", "\x1b[31m\\::error::x\x1b[m"),
        ("\x1b[1m:\x1b[m:error::x", "\x1b[1m\\:\x1b[m:error::x"),
        ("#\x1b[1m#\x1b[m[error]x", "#\x1b[1m#\\\x1b[m[error]x"),
    ],
)
def test_a_command_gets_a_visible_backslash(raw: str, safe: str) -> None:
    """What the runner takes for a command stays readable and loses its effect; other uses of :: and ## stay."""
    assert sanitize(raw.encode()) == safe + "\n"


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_every_line_break_is_a_plain_newline(size: int) -> None:
    """CR, CRLF, VT, FF, NEL and the Unicode separators end lines as \\n does, and a CRLF cut in two is one break."""
    raw = "a\nb\r\nc\rd\x0be\x0cf\x85g\u2028h\u2029i\r\r\nj\r"
    assert sanitize(raw.encode(), size=size) == "a\nb\nc\nd\ne\nf\ng\nh\ni\n\nj\n"


@pytest.mark.parametrize(
    "sequence",
    [
        "\x1b[2K", "\x1b[?25l", "\x1b[10;20H", "\x1b[6n", "\x1b[1 q", "\x1b[" + "1;" * 17 + "m", "\x9b31m", "\x1b(B",
        "\x1b]0;a title\x07", "\x1b]8;;http://evil\x1b\\", "\x1b]52;c;AAAA\x9c", "\x1bP+q544e\x1b\\", "\x90x\x9c",
        "\x1b_G\x1b\\", "\x1bc", "\x1b", "\x07", "\x08", "\x7f", "\0", "\x99", "\u00ad", "\u200d", "\ufeff", "\ufe0f",
    ],
)  # fmt: skip
@pytest.mark.parametrize("size", [1, 2, 1000])
def test_control_sequences_vanish_whole(sequence: str, size: int) -> None:
    """Everything a terminal would obey but colours is gone, its parameters with it, wherever the chunks are cut."""
    assert sanitize(f"(É{sequence}\n)".encode(), size=size) == "(É\n)\n"


def test_an_unended_control_string_ends_with_its_line() -> None:
    """An OSC that is never ended hides the rest of its line and not the lines after it."""
    assert sanitize(b"a\x1b]0;title\nFAILED\x1bPrest") == "a\nFAILED\n"


@pytest.mark.parametrize("character", ["\u202e", "\u2066", "\u200f", "\u061c", "\u200b", "\u2062", "\u3164"])
def test_characters_that_reorder_or_pretend_are_written_out(character: str) -> None:
    """Bidirectional overrides, zero-width spaces and fillers can be seen by a reader."""
    assert sanitize(f"a{character}b".encode()) == f"a<U+{ord(character):04X}>b\n"


def test_colours_stay_and_end_with_their_line() -> None:
    """SGR sequences pass; a line that leaves one open is closed, so that it cannot dye or conceal our own lines."""
    raw = b"\x1b[31mFAILED\x1b[0m a\n\x1b[1;38:5:9mopen\nplain\n\x1b[8mhidden\x1b[m\n"
    assert sanitize(raw) == "\x1b[31mFAILED\x1b[0m a\n\x1b[1;38:5:9mopen\x1b[0m\nplain\n\x1b[8mhidden\x1b[m\n"


@pytest.mark.parametrize("size", [1, 2, 3, 5, 1000])
def test_utf8_survives_any_chunk_border(size: int) -> None:
    """Characters cut by a chunk border come out whole; bytes that are no UTF-8 become U+FFFD."""
    assert sanitize("é€😀日".encode() + b"\xff\xe2\x82|\xc0\xba", size=size) == "é€😀日\ufffd\ufffd|\ufffd\ufffd\n"


def test_lines_appear_as_soon_as_they_are_whole() -> None:
    """feed gives the complete lines and keeps the unfinished one for flush."""
    sanitizer = Sanitizer(prefix="[w0] ")
    assert sanitizer.feed(b"one\ntw") == "[w0] one\n"
    assert sanitizer.feed(b"o\rthree") == "[w0] two\n"
    assert sanitizer.flush() == "[w0] three\n"
    assert sanitizer.flush() == ""


def test_the_prefix_stands_before_every_line() -> None:
    """Lines made by any break, and the notes, carry the worker's prefix; nothing in gives nothing out."""
    assert sanitize(b"::a\r\n\xe2\x80\xa8b", prefix="[w0] ") == "[w0] \\::a\n[w0] \n[w0] b\n"
    assert sanitize(b"a\nb\nc\n", prefix="> ", total=4).splitlines()[1].startswith("> [2 lines omitted")
    assert sanitize(b"", prefix="[w0] ") == ""


@pytest.mark.parametrize("size", [1, 7, 100_000])
@pytest.mark.parametrize("length", [99, 100, 101, 102, 5000])
def test_a_long_line_says_how_many_characters_were_cut(length: int, size: int) -> None:
    """A line beyond the limit shows the first `line_limit` characters and the exact number of the others."""
    shown = sanitize(b"x" * length + b"\nnext\n", line=100, size=size)
    note = f" [{length - 100} characters cut]" if length > 100 else ""
    assert shown == "x" * min(length, 100) + note + "\nnext\n"


@pytest.mark.parametrize("size", [1, 100_000])
def test_each_long_line_has_its_own_count(size: int) -> None:
    """The count of one line does not run on into the next."""
    shown = sanitize(b"x" * 500 + b"\n" + b"y" * 300 + b"\n", line=100, size=size)
    assert re.findall(r"\d+", shown) == ["400", "200"]


def test_cut_characters_are_counted_as_characters() -> None:
    """Multi-byte characters count as one each, shown or cut."""
    shown = sanitize("é".encode() * 1000, line=100)
    kept, cut = shown.count("é"), int(re.findall(r"\[(\d+) characters cut\]", shown)[0])
    assert (kept, cut) == (50, 950)
    assert "\ufffd" not in shown


def test_a_cut_never_leaves_half_a_colour() -> None:
    """The cut moves before a colour sequence that it would divide, and closes one that it leaves open."""
    shown = [sanitize(b"x" * count + b"\x1b[31m" + b"y" * 50, line=10) for count in range(11)]
    pattern = r"x*(\x1b\[31my* \[\d+ characters cut\]\x1b\[0m| \[\d+ characters cut\])\n"
    assert [text for text in shown if not re.fullmatch(pattern, text)] == []


@pytest.mark.parametrize("size", [1, 50, 100_000])
def test_omitted_lines_are_counted_exactly(size: int) -> None:
    """Beyond the total limit whole lines are left out, later ones that would fit too, and all of them are counted."""
    raw = b"".join(b"line %d\n" % number for number in range(1000)) + b"\r\rlast"
    shown = sanitize(raw, total=70, size=size).splitlines()
    assert shown[:-1] == [f"line {number}" for number in range(10)]
    assert shown[-1] == "[993 lines omitted: the whole log is in the artifact]"


@pytest.mark.parametrize("size", [1, 100_000])
def test_omitted_lines_of_every_kind_are_counted(size: int) -> None:
    """Each kind of break counts, and a line that would have been cut counts once, whatever breaks are in it."""
    raw = "shown\n" + "a\rb\r\nc\x0bd\x0ce\x85f\u2028g\u2029h\n" + "x\u2028" * 100 + "\n"
    assert sanitize(raw.encode(), total=6, line=50, size=size).endswith(
        "[9 lines omitted: the whole log is in the artifact]\n"
    )


def test_a_cut_line_stays_one_line() -> None:
    """Separators inside a line that is cut become spaces."""
    assert sanitize("x\u2028".encode() * 100, line=8) == "x x  [196 characters cut]\n"


def test_no_line_follows_an_omitted_one() -> None:
    """Once a line did not fit, shorter ones are omitted too: there are no gaps in what is shown."""
    sanitizer = Sanitizer(total_limit=6)
    assert [sanitizer.feed(line) for line in (b"one\n", b"longer\n", b"x\n")] == ["one\n", "", ""]
    assert sanitizer.omitted_lines == 2


def test_a_first_line_beyond_the_total_limit_is_omitted() -> None:
    """No part of a line is ever shown to fill the rest of the total."""
    assert sanitize(b"abcdef\n", total=6) == "[1 lines omitted: the whole log is in the artifact]\n"


@given(BYTES, st.lists(st.integers(0, 400), max_size=12), LIMITS, LIMITS)
@settings(max_examples=400)
@example(b"x" * 61 + b"\r", [61], 60, 60)
@example(b"x" * 61 + b"\r\ny", [61, 62], 60, 60)
def test_the_result_does_not_depend_on_the_chunks(data: bytes, cuts: list[int], line: int, total: int) -> None:
    """However the same bytes are divided, the same text comes out."""
    sanitizer = Sanitizer(line_limit=line, total_limit=total * 10)
    borders = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    pieces = [data[start:end] for start, end in itertools.pairwise(borders)]
    text = "".join([*map(sanitizer.feed, pieces), sanitizer.flush()])
    assert text == sanitize(data, line=line, total=total * 10)


@given(BYTES)
@settings(max_examples=400)
def test_any_bytes_come_out_without_commands_or_controls(data: bytes) -> None:
    """No bytes make a command of any name, a control character, or a text that a second pass would change."""
    text = sanitize(data)
    assert hostile_lines.faults(text) == 0
    assert text == "" or text.endswith("\n")
    assert re.fullmatch(rf"(?:[^\x00-\x08\x0b-\x1f\x7f-\x9f]|{plain_text.SGR})*", text)


@given(BYTES, LIMITS, LIMITS)
@settings(max_examples=400)
def test_the_output_is_bounded(data: bytes, line: int, total: int) -> None:
    """No line is longer than four times its limit and a note; all lines together stay below the total and a note."""
    text = sanitize(data, line=line, total=total)
    assert max(map(len, text.split("\n"))) <= 4 * line + 60
    assert len(text) <= total + 60


@given(BYTES, LIMITS, LIMITS, st.integers(1, 9))
@settings(max_examples=400)
def test_no_line_is_lost_without_being_counted(data: bytes, line: int, total: int, size: int) -> None:
    """The lines shown and the lines counted as omitted are together all lines, whatever the breaks and limits."""
    everything = sanitize(data, line=line).splitlines(keepends=True)
    shown = sanitize(data, line=line, total=total, size=size).splitlines(keepends=True)
    omitted = int(re.findall(r"\d+", shown.pop())[0]) if shown != everything else 0
    assert shown == everything[: len(shown)]
    assert len(shown) + omitted == len(everything)


@given(st.text(st.characters(codec="utf-8", categories=["L", "N", "Zs"]), max_size=50))
def test_ordinary_text_is_left_alone(text: str) -> None:
    """Letters, digits and spaces of any script come out unchanged."""
    shown = text.translate(dict.fromkeys(map(ord, "\u115f\u1160\u3164\uffa0")))
    assert sanitize(shown.encode()) == (shown and shown + "\n")


def test_twenty_thousand_hostile_lines_fire_nothing() -> None:
    """The runner finds thousands of commands in these lines as they are, and none after the sanitizer."""
    raw = [line for line, _ in zip(hostile_lines.lines(seed=3), range(20_000), strict=False)]
    assert sum(hostile_lines.commands(line) > 0 for line in raw[:5000]) > 500
    assert hostile_lines.faults(hostile_lines.sanitized(hostile_lines.chunks(b"".join(raw), seed=4))) == 0


@pytest.mark.parametrize(
    ("raw", "line"),
    [
        ("a\n::error::b\tc", "a ::error::b c"),
        ("  ::error::b", "\\::error::b"),
        ("a\r\nb\rc", "a b c"),
        ("##[group]\x1b[31mred\x1b[0m\u202e", "##\\[group]red<U+202E>"),
        ("\ud800x", "\ufffd\ufffd\ufffdx"),
        ("x" * 30, "x" * 19 + "…"),
    ],
)
def test_hostile_text_becomes_one_line(raw: str, line: str) -> None:
    """one_line gives one safe line without colours, cut with an ellipsis at its limit."""
    assert output.one_line(raw, 20 if len(raw) == 30 else 200) == line


@given(st.text(max_size=60), st.integers(2, 40))
def test_one_line_is_one_bounded_line_without_commands(text: str, limit: int) -> None:
    """Any text becomes at most `limit` characters that the runner reads as one plain line."""
    line = output.one_line(text, limit)
    assert len(line) <= limit
    assert hostile_lines.faults(f"{line}\n") == 0
    assert len(runner_parser.lines(f"{line}\n".encode())) == 1


@given(st.text(max_size=40), st.text(max_size=40))
@example("50%, a:b\r\nc", "100%25\r\n::error::y")
def test_the_runner_reads_our_command_back(title: str, message: str) -> None:
    """A command of ours is parsed as exactly the name, properties and message that were meant."""
    title, message = (text.encode("utf-8", "replace").decode() for text in (title.strip(), message))
    read = Runner().read(output.command("error", {"title": title, "file": ""}, message).encode())
    assert read == [Command("error", {"title": title} if title else {}, message)]


@given(st.text(st.characters(codec="utf-8"), max_size=60))
def test_the_runner_reads_our_output_back(value: str) -> None:
    """A heredoc brings any value through, whatever lines it holds, and leaves the outputs around it alone."""
    pairs = {"before": "1", "value": value, "after": "2"}
    text = "".join(output.heredoc(name, value, f"d3adb33f{name}") for name, value in pairs.items())
    assert runner_parser.output_file(text) == pairs


def test_a_heredoc_refuses_its_own_delimiter_and_odd_names() -> None:
    """A value that holds the delimiter, or a name that is none, raises instead of writing the file."""
    with pytest.raises(AccelError, match="delimiter"):
        output.heredoc("name", "a\nEND\nforged=1", "END")
    with pytest.raises(AccelError, match="name of an output"):
        output.heredoc("a=b\nc", "x", "END")
