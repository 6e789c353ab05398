"""Hostile bytes as plain text: lines of visible characters, tabs and colours; nothing that moves, hides or reorders."""

from __future__ import annotations

import re

_PARAMETERS = r"\[[0-9;:]{0,32}m"
SGR = rf"\x1b{_PARAMETERS}"

_PLAIN = bytes(range(0x20, 0x7F)) + b"\t\n"
_CONTINUATION = bytes(range(0x80, 0xC0))
_BREAKS = re.compile("[\x0b\x0c\x85\u2028\u2029]")
_BREAK_BYTES = [character.encode() for character in "\n\x0b\x0c\x85\u2028\u2029"]
_CONTROLS = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f-\x9f]")
_COLOUR = re.compile(SGR)
_STRAY_ESCAPE = re.compile(rf"\x1b(?!{_PARAMETERS})")
# ECMA-48 section 5.4 and 5.6. A string that is never ended stops at its line's end, so that it cannot swallow the log.
# It begins with one set of characters, which the engine looks for fastest.
_SEQUENCES = re.compile(
    rf"""[\x00-\x08\x0e-\x1f\x7f-\x9f](?!(?<=\x1b){_PARAMETERS})
    (?:(?: (?<=\x1b)\[       | (?<=\x9b) )                  [0-?]*[\ -/]*[@-~]?
     | (?: (?<=\x1b)[]PX^_]  | (?<=[\x90\x98\x9d-\x9f]) )   [^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)?
     | (?<=\x1b)[\ -/]*[0-~]?
    )?""",
    re.VERBOSE,
)
_JOINERS = frozenset("\u00ad\u034f\u200c\u200d\u2060\ufeff") | frozenset(map(chr, range(0xFE00, 0xFE10)))
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_OPEN_COLOUR = re.compile(rf"(\x1b(?!\[0*m){_PARAMETERS}[^\x1b\n]*)(?=\n)")


def clean(raw: bytes) -> str:
    """The bytes as text in which only \\n, \\t and whole SGR colour sequences are not visible characters.

    Every line break (\\r\\n, \\r, VT, FF, NEL, U+2028, U+2029) is \\n; other control sequences are gone; invalid UTF-8
    is U+FFFD; joiners and variation selectors are gone; other invisible characters are written out, as in <U+202E>.
    """
    raw = one_break(raw)
    odd = raw.translate(None, _PLAIN)
    text = raw.decode("utf-8", "replace")
    return _without_odd(text, "".join(set(odd.decode("utf-8", "replace")))) if odd else text


def one_break(raw: bytes) -> bytes:
    """The bytes with \\r\\n and \\r as \\n."""
    return raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in raw else raw


def breaks(raw: bytes) -> int:
    """How many line breaks `clean` makes of the bytes, which hold no \\r."""
    return sum(map(raw.count, _BREAK_BYTES))


def uncoloured(text: str) -> str:
    """The clean text without its colours."""
    return _COLOUR.sub("", text) if "\x1b" in text else text


def closed(text: str) -> str:
    """The clean lines with each colour ended on its own line, so that none can dye or hide what follows."""
    return _OPEN_COLOUR.sub("\\1\x1b[0m", text) if "\x1b" in text else text


def characters(raw: bytes) -> int:
    """How many characters the UTF-8 bytes hold."""
    return len(raw.translate(None, _CONTINUATION))


def _without_odd(text: str, odd: str) -> str:
    if _BREAKS.search(odd):
        text = _BREAKS.sub("\n", text)
    if _CONTROLS.search(odd) or ("\x1b" in odd and _STRAY_ESCAPE.search(text)):
        text = _SEQUENCES.sub("", text)
    return _INVISIBLE.sub(_written_out, text) if _INVISIBLE.search(odd) else text


def _written_out(match: re.Match[str]) -> str:
    return "" if match[0] in _JOINERS else f"<U+{ord(match[0]):04X}>"
