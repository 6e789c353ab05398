"""Cutting long texts so that their ends stay readable."""

from __future__ import annotations


def clip(text: str, limit: int) -> str:
    """The text, or its first quarter and its end with a note between them; at most `limit` (>= 80) characters.

    The end gets most of the room: that is where test runners put the assertion.
    """
    if len(text) <= limit:
        return text
    note = f"\n[... {len(text) - limit} or more characters left out ...]\n"
    head = limit // 4
    return text[:head] + note + text[len(text) - (limit - head - len(note)) :]
