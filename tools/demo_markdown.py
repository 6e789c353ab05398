"""Our own comments and summaries as HTML, as GitHub shows them, and nothing else that a text could ask for."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from typing import Any

import markdown_it
from markdown_it.token import Token

# The tags that our renderer writes; none of them has attributes, so what is let through can do nothing.
OURS = re.compile(r"<(?!/?(?:details|summary|code)>)")
LINK = re.compile(r"https://[^\s\"'<>]+")


def html(text: str) -> str:
    """HTML without any tag, attribute or address that our Markdown does not use: everything else is shown as text."""
    return str(_markdown().render(text))


@functools.cache
def _markdown() -> markdown_it.MarkdownIt:
    made = markdown_it.MarkdownIt("commonmark", {"html": True}).enable("table").disable("image")
    made.validateLink = lambda url: bool(LINK.fullmatch(url))  # type: ignore[method-assign]
    made.add_render_rule("html_block", _harmless)
    made.add_render_rule("html_inline", _harmless)
    made.add_render_rule("heading_open", _heading)
    made.add_render_rule("heading_close", _heading)
    made.add_render_rule("table_open", lambda *_: '<div class="scroll"><table>')
    made.add_render_rule("table_close", lambda *_: "</table></div>")
    return made


def _harmless(_: object, tokens: Sequence[Token], index: int, *__: Any) -> str:
    return OURS.sub("&lt;", tokens[index].content)


def _heading(_: object, tokens: Sequence[Token], index: int, *__: Any) -> str:
    """Two levels lower, so that the page's own headings stay above."""
    slash = "" if tokens[index].nesting == 1 else "/"
    return f"<{slash}h{min(6, int(tokens[index].tag[1]) + 2)}>"
