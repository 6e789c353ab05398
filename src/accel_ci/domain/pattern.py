"""Patterns for branches and paths, by GitHub's own rule."""

from __future__ import annotations

import re

# Brackets and braces mean themselves: nobody has to know which shell this takes after.
_PARTS = re.compile(r"\*\*/|\*\*|\*|\?|[^*?]+")
_MEANING = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": r"\?"}


def matches(text: str, pattern: str) -> bool:
    """True when the whole text fits: `*` stays within a path component, `**` does not; anything else is literal."""
    written = "".join(_MEANING.get(part) or re.escape(part) for part in _PARTS.findall(pattern))
    return re.fullmatch(written, text, re.DOTALL) is not None
