"""Markdown and HTML made of hostile text: it stays text."""

from __future__ import annotations

import html as html_entities
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from accel_ci.formats import markup

HOSTILE = st.one_of(
    st.text(max_size=40),
    st.lists(
        st.sampled_from([*"`|\\ \n@#<>*_[]()!~", "``", "```", "@octocat", "#1", "GH-1", "https://x.y", "a@b.c", "\\|"]),
        max_size=12,
    ).map("".join),
)


def spans(line: str) -> list[str]:
    """The pieces of a line as CommonMark 6.1 reads them: outside and inside of code spans in turn."""
    pieces, rest = [], line
    while opened := re.search("`+", rest):
        closed = re.search(f"(?<!`){opened[0]}(?!`)", rest[opened.end() :])
        assert closed, f"an unclosed code span in {line!r}"
        pieces += [rest[: opened.start()], rest[opened.end() :][: closed.start()]]
        rest = rest[opened.end() :][closed.end() :]
    return [*pieces, rest]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("tests/a.py::test_b", "`tests/a.py::test_b`"),
        ("@octocat fixes #1", "`@octocat fixes #1`"),
        ("a`b", "``a`b``"),
        ("`a``", "``` `a`` ```"),
        ("a|b", "`a\\|b`"),
        ("a\\|b", "`a\\\\\\|b`"),
        ("two\nlines\x1b[31m", "`two lines`"),
        ("", ""),
    ],
)
def test_hostile_text_is_a_code_span(text: str, code: str) -> None:
    """The fence is longer than any in the text, pads where it touches one, and keeps table cells whole."""
    assert markup.markdown(text) == code


@given(HOSTILE)
@settings(max_examples=400)
def test_nothing_of_the_text_is_outside_its_code_span(text: str) -> None:
    """Read as Markdown, the result is one code span and nothing else, so that GitHub links and mentions nothing."""
    code = markup.markdown(text)
    assert "\n" not in code
    if code:
        outside, inside, rest = spans(f"before {code} after")
        assert (outside, rest) == ("before ", " after")
        assert inside.strip()


@given(HOSTILE, HOSTILE)
@settings(max_examples=400)
def test_table_rows_keep_their_cells(first: str, second: str) -> None:
    """A Markdown parser with tables finds two cells, each of one code span, whatever the texts are."""
    row = f"| {markup.markdown(first)} | {markup.markdown(second)} |"
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(f"| a | b |\n|---|---|\n{row}\n")
    cells = [tokens[index + 1].children or [] for index, token in enumerate(tokens) if token.type == "td_open"]
    assert [[child.type for child in cell] for cell in cells] == [
        ["code_inline"] if markup.markdown(text) else [] for text in (first, second)
    ]


@given(HOSTILE)
@settings(max_examples=400)
def test_a_block_ends_where_we_end_it(text: str) -> None:
    """A Markdown parser finds one code block between our paragraphs: no line inside could close the fence."""
    opening, *inside, closing, end = markup.block(text).split("\n")
    assert opening == f"{closing}text"
    assert end == ""
    assert set(closing) == {"`"}
    assert not [line for line in inside if line.strip().startswith(closing)]
    kinds = [token.type for token in MarkdownIt().parse(f"a\n\n{markup.block(text)}\nb") if token.nesting >= 0]
    assert kinds == ["paragraph_open", "inline", "fence", "paragraph_open", "inline"]


def test_long_texts_are_cut() -> None:
    """Names and messages of any size take a bounded room, and show that they were cut."""
    assert markup.markdown("x" * 300, limit=10) == "`xxxxxxxxx…`"
    assert markup.block("y" * 50, limit=10) == "```text\nyyyyyyyyyy…\n```\n"


@given(st.text(max_size=60))
def test_html_shows_the_text_and_holds_no_markup(text: str) -> None:
    """No element, attribute or entity can arise; unescaped it is the cleaned text again."""
    escaped = markup.html(text)
    assert not set("<>\"'") & set(escaped)
    assert re.sub("&(?:amp|lt|gt|quot|#x27);", "", escaped).count("&") == 0
    assert html_entities.escape(html_entities.unescape(escaped)) == escaped


def test_html_keeps_lines_and_drops_controls() -> None:
    """Tracebacks keep their lines; colours and control characters do not reach a page."""
    assert markup.html("a <b>\n\x1b[31m'c'\0\x1b[0m & \u202e") == "a &lt;b&gt;\n&#x27;c&#x27; &amp; &lt;U+202E&gt;"
