"""Taking secrets out of text, in the spellings that programs print them in."""

from __future__ import annotations

import base64
import bisect
import html
import itertools
import json
import operator
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import AnyStr
from urllib import parse

from accel_ci.domain.errors import ConfigurationError
from accel_ci.formats import plain_text

SHORTEST = 6
HIDDEN = "***"
WRAPPED = (76, 64)  # what base64 and openssl make of a long line
# grep --color writes two sequences where a match ends, `tput sgr0` one that chooses letters; a string of ECMA-48 has no
# place inside of a word.
_UNSEEN = re.compile(rb"(?:\x1b(?:\[[0-?]{0,32}[ -/]{0,4}[@-~]|[ -/]{1,4}[0-~])|[\x00-\x08\x0e-\x1f\x7f])+")
_CONTROL = bytes({*range(0x20), 0x7F} - {*range(0x09, 0x0E)})
LONGEST_SEQUENCE = 40
HELD = 64  # bytes at most for each one that is seen: a secret with a sequence at every letter has less


class Redactor:
    """Hides secrets given as bytes: as they are (line by line), base64 at any alignment and wrapped, hexadecimal,

    and as URLs, JSON, HTML, XML, Python and shells spell them. ConfigurationError for a secret without any line of at least
    `SHORTEST` characters: hiding it would hide ordinary text. Lines shorter than that of a longer secret are not hidden.
    """

    def __init__(self, secrets: Iterable[bytes] = ()) -> None:
        self._needles = sorted({needle for secret in secrets for needle in _needles(secret)}, key=len, reverse=True)
        self.longest = len(self._needles[0]) if self._needles else 0

    def redact(self, text: str) -> str:
        """The clean text with every secret as ***; a line that holds one between colours loses its colours."""
        if not self._needles:
            return text
        bare = plain_text.uncoloured(text)
        # No secret holds a colour: what is not there without them is not there with them.
        needles = [needle for needle in self._needles if needle in bare]
        if not needles:
            return text
        if "\x1b" in text:
            lines = text.split("\n")
            for number in _lines_with(needles, bare, "\n"):
                lines[number] = plain_text.uncoloured(lines[number])
            text = "\n".join(lines)
        return _hide(needles, text)

    def hidden(self, text: str) -> str:
        """Any text as clean text with every secret as ***; without secrets it is left as it is."""
        # Whoever shows it cleans it: what stood between the letters of a secret would be gone, and the secret there.
        return self.redact(plain_text.clean(text.encode("utf-8", "surrogatepass"))) if self._needles else text

    def finds(self, text: str) -> bool:
        """True when the text holds a secret, as people would see it."""
        return self._any_in(plain_text.uncoloured(plain_text.clean(text.encode("utf-8", "surrogatepass"))))

    def _any_in(self, text: str) -> bool:
        return any(needle in text for needle in self._needles)


class Masks:
    """What a job was told never to show. A value that is too short to be hidden in ordinary text is not."""

    def __init__(self) -> None:
        self._secrets: list[bytes] = []
        self._redactor = Redactor()

    def add(self, secret: str) -> list[str]:
        """Hide the value from now on; its lines that are long enough come back."""
        raw = secret.encode("utf-8", "surrogateescape")
        lines = [line.strip() for line in secret.splitlines() if len(line.strip()) >= SHORTEST]
        if _lines(raw):
            self._secrets.append(raw)
            self._redactor = Redactor(self._secrets)
        return list(dict.fromkeys(lines))

    def hidden(self, text: str) -> str:
        """The clean text without them."""
        return self._redactor.redact(text)


class Masker:
    """Hides the same spellings in a stream of bytes, each under as many asterisks: offsets into the stream stay true.

    What may be the beginning of a secret is held back until more comes; without secrets bytes pass as they are. Control
    characters and colours inside of a secret are covered with it, up to HELD bytes for each byte that is seen.
    """

    def __init__(self, secrets: Iterable[bytes] = ()) -> None:
        self._needles = sorted({needle.encode() for secret in secrets for needle in _needles(secret)})
        self._longest = max(map(len, self._needles), default=1)
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """What is certain by now, of this and what was held back."""
        if not self._needles:
            return data
        text = self._held + data
        masked, sure = self._masked(text), self._sure(text)
        self._held = masked[sure:]
        return masked[:sure]

    def flush(self) -> bytes:
        """What was held back: call it once, when nothing more can come."""
        held, self._held = self._held, b""
        return held

    def _sure(self, text: bytes) -> int:
        """Up to where no more bytes can change what is hidden."""
        # An unfinished sequence at the end looks like visible bytes until the rest of it comes.
        least = tail = self._longest - 1 + LONGEST_SEQUENCE
        while True:
            # Nothing that is unseen goes over the end of a line: what comes before need not be looked at.
            begin = text.rfind(b"\n", 0, max(0, len(text) - tail)) + 1
            bare, starts = _bare(text[begin:])
            if len(bare) >= least or not begin:
                # `cat /dev/zero` never shows a byte: all of it held, and looked through each time, would stop us.
                return max(begin + _place(starts, max(0, len(bare) - least)), len(text) - HELD * least)
            tail *= 4

    def _masked(self, text: bytes) -> bytes:
        seen = _seen(text)
        needles = [needle for needle in self._needles if needle in seen]
        if not needles:
            return text
        lines = text.split(b"\n")
        for number in _lines_with(needles, seen, b"\n"):
            lines[number] = _covered(needles, lines[number])
        return b"\n".join(lines)


def _hide(needles: Sequence[str], text: str) -> str:
    parts, end = [], 0
    for start, stop in _merged(sorted(span for needle in needles for span in _spans(needle, text))):
        parts += [text[end:start], HIDDEN]
        end = stop
    return "".join([*parts, text[end:]])


def _covered(needles: Sequence[bytes], line: bytes) -> bytes:
    masked, (bare, starts) = bytearray(line), _bare(line)
    for start, stop in itertools.chain.from_iterable(_spans(needle, bare) for needle in needles):
        first, last = _place(starts, start), _place(starts, stop - 1)
        masked[first : last + 1] = b"*" * (last + 1 - first)
    return bytes(masked)


def _lines_with(needles: Sequence[AnyStr], seen: AnyStr, newline: AnyStr) -> set[int]:
    """The numbers of the lines that hold one of the needles, none of which goes over the end of a line."""
    found = set()
    for needle in needles:
        number = at = 0
        for start, _ in _spans(needle, seen):
            number, at = number + seen.count(newline, at, start), start
            found.add(number)
    return found


def _seen(text: bytes) -> bytes:
    """The bytes that are seen."""
    # Most output is plain: deleting bytes is ten times as fast as looking for sequences.
    return text if len(text.translate(None, _CONTROL)) == len(text) else _UNSEEN.sub(b"", text)


def _bare(text: bytes) -> tuple[bytes, list[tuple[int, int]]]:
    """The bytes that are seen, and of each piece its place there and in the text: slower than `_seen`."""
    pieces, starts, length, end = [], [(0, 0)], 0, 0
    for match in _UNSEEN.finditer(text):
        pieces.append(text[end : match.start()])
        length, end = length + match.start() - end, match.end()
        starts.append((length, end))
    return b"".join([*pieces, text[end:]]), starts


def _place(starts: Sequence[tuple[int, int]], seen: int) -> int:
    """Where in the text the byte is that is the `seen`th of those that are seen."""
    known, at = starts[bisect.bisect_right(starts, seen, key=operator.itemgetter(0)) - 1]
    return at + seen - known


def _spans(needle: AnyStr, text: AnyStr) -> Iterator[tuple[int, int]]:
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
    forms = {*_as_text(text), *_in_urls(secret), *_as_bytes(secret)}
    return printed | {line for form in forms for line in _lines(form.encode())} | set(_base64(secret))


def _as_text(text: str) -> Iterator[str]:
    """As JSON, Python, shells, HTML and XML write it between quotes or tags."""
    yield from (json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1], repr(text)[1:-1], ascii(text)[1:-1])
    # bash's `set -x`, and Python's shlex
    yield from (text.replace("'", r"'\''"), text.replace("'", "'\"'\"'"))
    bare = html.escape(text, quote=False)
    yield from (bare, bare.encode("ascii", "xmlcharrefreplace").decode())
    # Each writer has its own way with quotes: ElementTree, lxml, Java's.
    yield from (bare.replace('"', "&quot;").replace("'", quote) for quote in ("'", "&#x27;", "&#39;", "&apos;"))


def _in_urls(secret: bytes) -> Iterator[str]:
    for safe in ("", "/"):
        quoted = parse.quote(secret, safe=safe)
        for form in (quoted, quoted.replace("%20", "+")):
            yield form
            yield re.sub("%[0-9A-F]{2}", lambda match: match[0].lower(), form)


def _as_bytes(secret: bytes) -> Iterator[str]:
    yield from (repr(secret)[2:-1], secret.hex(), secret.hex().upper())


def _lines(secret: bytes) -> set[str]:
    # An invalid byte at the border reads differently next to other bytes, so the borders are left out.
    lines = plain_text.uncoloured(plain_text.clean(secret)).split("\n")
    return {line for line in (line.strip().strip("\ufffd") for line in lines) if len(line) >= SHORTEST}


def _base64(secret: bytes) -> Iterator[str]:
    for shift, first in ((0, 0), (1, 2), (2, 3)):  # the bytes before decide the characters before `first`
        whole = base64.b64encode(b"\0" * shift + secret).decode().rstrip("=")
        for form in (whole[first:], whole[first : (shift + len(secret)) * 8 // 6]):
            yield form
            yield form.translate(str.maketrans("+/", "-_"))
    whole = base64.b64encode(secret).decode().rstrip("=")
    for form, width in itertools.product((whole, whole[: len(secret) * 8 // 6]), WRAPPED):
        lines = (form[start : start + width] for start in range(0, len(form), width))
        yield from (line for line in lines if len(line) >= SHORTEST)
