"""Hostile text inside Markdown and HTML of ours."""

from __future__ import annotations

import html as html_entities
import re

from accel_ci.formats import output


def markdown(text: str, limit: int = 200) -> str:
    """One line of hostile text as a code span, also fit for a table cell; "" for no text.

    A code span is the only form in which GitHub makes no mention, reference or link: backslashes and entities
    are undone before it looks for them. A `|` is written `\\|`, which is what table cells need.
    """
    line = output.single(text)
    line = line if len(line) <= limit else f"{line[: limit - 1]}…"
    if not line:
        return ""
    fence = _fence(line, shortest=1)
    # A backtick at the border would join the fence; GitHub takes one blank off at each end.
    pad = " " if line[0] in "` " or line[-1] in "` " else ""
    # Tables are cut at `|` before anybody looks for code, and a backslash in front of the escaping one would undo it.
    cell = re.sub(r"(\\*)\|", r"\1\1\\|", line)
    return f"{fence}{pad}{cell}{pad}{fence}"


def block(text: str, limit: int = 4000) -> str:
    """Lines of hostile text as a fenced code block, at most `limit` characters of them; it starts and ends a line."""
    lines = _lines(text)
    shown = lines if len(lines) <= limit else f"{lines[:limit]}…"
    fence = _fence(shown, shortest=3)
    return f"{fence}text\n{shown}\n{fence}\n"


def html(text: str) -> str:
    """Hostile text, lines kept, for the content of an HTML element or a quoted attribute."""
    return html_entities.escape(_lines(text))


def _lines(text: str) -> str:
    return output.visible(text).strip("\n")


def _fence(text: str, *, shortest: int) -> str:
    # Whoever writes the text knows our fence: it has to be longer than any run of theirs.
    longest = max(map(len, re.findall("`+", text)), default=0)
    return "`" * max(shortest, longest + 1)
