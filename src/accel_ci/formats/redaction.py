"""Taking secrets out of text, in the spellings that programs print them in."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator
from urllib import parse

from accel_ci.domain.errors import ConfigurationError
from accel_ci.formats import plain_text

SHORTEST = 6
HIDDEN = "***"


class Redactor:
    """Hides secrets given as bytes: as they are (line by line), base64 at any alignment, URL-, JSON- and HTML-escaped.

    ConfigurationError for a secret without any line of at least `SHORTEST` characters: hiding it would hide
    ordinary text. Lines shorter than that of a longer secret are not hidden.
    """

    def __init__(self, secrets: Iterable[bytes] = ()) -> None:
        self._needles = sorted({needle for secret in secrets for needle in _needles(secret)}, key=len, reverse=True)
        self.longest = len(self._needles[0]) if self._needles else 0

    def redact(self, text: str) -> str:
        """The clean text with every secret as ***; a line that holds one between colours loses its colours."""
        if not self._needles:
            return text
        if "\x1b" in text and self._any_in(plain_text.uncoloured(text)):
            text = "".join(map(self._readable, text.splitlines(keepends=True)))
        return self._hide(text) if self._any_in(text) else text

    def _any_in(self, text: str) -> bool:
        return any(needle in text for needle in self._needles)

    def _readable(self, line: str) -> str:
        bare = plain_text.uncoloured(line)
        return bare if self._any_in(bare) else line

    def _hide(self, text: str) -> str:
        parts, end = [], 0
        for start, stop in _merged(sorted(span for needle in self._needles for span in _spans(needle, text))):
            parts += [text[end:start], HIDDEN]
            end = stop
        return "".join([*parts, text[end:]])


class Masker:
    """Hides the same spellings in a stream of bytes, each under as many asterisks: offsets into the stream stay true.

    What may be the beginning of a secret is held back until more comes; without secrets bytes pass as they are.
    """

    def __init__(self, secrets: Iterable[bytes] = ()) -> None:
        self._needles = sorted({needle.encode() for secret in secrets for needle in _needles(secret)})
        self._longest = max(map(len, self._needles), default=1)
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """What is certain by now, of this and what was held back."""
        text = self._masked(self._held + data)
        sure = max(0, len(text) - self._longest + 1)
        self._held = text[sure:]
        return text[:sure]

    def flush(self) -> bytes:
        """What was held back: call it once, when nothing more can come."""
        held, self._held = self._held, b""
        return held

    def _masked(self, text: bytes) -> bytes:
        masked = None
        for needle in self._needles:
            start = text.find(needle)
            while start >= 0:
                masked = masked or bytearray(text)
                masked[start : start + len(needle)] = b"*" * len(needle)
                start = text.find(needle, start + 1)
        return text if masked is None else bytes(masked)


def _spans(needle: str, text: str) -> Iterator[tuple[int, int]]:
    start = text.find(needle)
    while start >= 0:
        yield start, start + len(needle)
        start = text.find(needle, start + 1)


def _merged(spans: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    current: tuple[int, int] | None = None
    for start, stop in spans:
        if current and start < current[1]:
            current = (current[0], max(current[1], stop))
        else:
            if current:
                yield current
            current = (start, stop)
    if current:
        yield current


def _needles(secret: bytes) -> set[str]:
    printed = _lines(secret)
    if not printed:
        raise ConfigurationError(
            f"A secret has no line of at least {SHORTEST} characters, so hiding it would hide ordinary text.",
            what_to_do="Use a longer secret, or pass the value as an ordinary input.",
        )
    text = secret.decode("utf-8", "replace")
    escaped = {html.escape(text), json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}
    for safe in ("", "/"):
        quoted = parse.quote(secret, safe=safe)
        escaped |= {quoted, quoted.replace("%20", "+")}
    escaped |= {_lower_hex(form) for form in escaped}
    return printed | {line for form in escaped for line in _lines(form.encode())} | set(_base64(secret))


def _lines(secret: bytes) -> set[str]:
    # An invalid byte at the border reads differently next to other bytes, so the borders are left out.
    lines = plain_text.uncoloured(plain_text.clean(secret)).split("\n")
    return {line for line in (line.strip().strip("\ufffd") for line in lines) if len(line) >= SHORTEST}


def _lower_hex(form: str) -> str:
    return re.sub("%[0-9A-F]{2}", lambda match: match[0].lower(), form)


def _base64(secret: bytes) -> Iterator[str]:
    for shift, first in ((0, 0), (1, 2), (2, 3)):  # the bytes before decide the characters before `first`
        whole = base64.b64encode(b"\0" * shift + secret).decode().rstrip("=")
        for form in (whole[first:], whole[first : (shift + len(secret)) * 8 // 6]):
            yield form
            yield form.translate(str.maketrans("+/", "-_"))
