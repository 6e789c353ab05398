"""The sanitizer: whatever comes from a machine passes here before a person or a CI runner sees it.

The rules of the runner that this guards against are in actions/runner 2.336.0, Runner.Common/ActionCommand.cs: `::`
counts at the start of a line after white space, `##[` counts anywhere. A backslash is put into both: `\\::`, `##\\[`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from accel_ci.domain.errors import AccelError
from accel_ci.domain.workload import MIB
from accel_ci.formats import plain_text, redaction

_BLOCK = 256 * 1024  # stays in the processor's cache between the passes
_COLOURS = f"(?:{plain_text.SGR})*"
# `##vso[` and `##teamcity[` are the same thing on other CIs.
_MARK = re.compile(r"(##)(?=\w{0,16}\[)")
_START = re.compile(r"(\n[^\S\n]*)(?=::)")
_COLOURED_MARK = re.compile(rf"(#{_COLOURS}#)(?={_COLOURS}\w{{0,16}}\[)")
_COLOURED_START = re.compile(rf"(\n(?:[^\S\n]|{plain_text.SGR})*)(?=:{_COLOURS}:)")
_OUTPUT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


class Sanitizer:
    """Hostile bytes in chunks of any size to safe lines; what comes out does not depend on the chunks.

    A line of more than `line_limit` bytes shows at most as many characters and says how many were cut. After
    `total_limit` characters whole lines are left out and counted. An output line has at most 4 * line_limit characters
    and a few more for `prefix` and notes. `secrets` are hidden as redaction.Redactor describes.
    """

    def __init__(
        self,
        secrets: Iterable[bytes] = (),
        *,
        prefix: str = "",
        line_limit: int = 16 * 1024,
        total_limit: int = 64 * MIB,
    ) -> None:
        self._redactor = redaction.Redactor(secrets)
        self._prefix = prefix
        self._line_limit = line_limit
        self._window = line_limit + 1 + 4 * self._redactor.longest
        self._room = total_limit
        self._pending = b""  # the unfinished line: no break in it but perhaps a final \r, which may become \r\n
        self._dropped = 0  # characters of the unfinished line beyond the window
        self.omitted_lines = 0

    def feed(self, data: bytes) -> str:
        """The lines that the data completes, safe, each ending in a newline."""
        return "".join(self._block(data[start : start + _BLOCK]) for start in range(0, len(data), _BLOCK))

    def flush(self) -> str:
        """The last, unfinished line, and how many lines were omitted: call it once, at the end."""
        rest = self._taken(self._pending + b"\n") if self._pending else ""
        self._pending = b""
        if not self.omitted_lines:
            return rest
        return f"{rest}{self._prefix}[{self.omitted_lines} lines omitted: the whole log is in the artifact]\n"

    def _block(self, data: bytes) -> str:
        if len(self._pending) >= self._window and not self._pending.endswith(b"\r"):
            data = self._beyond_window(data)
        pending = self._pending + data
        end = max(pending.rfind(b"\n"), pending.rfind(b"\r", 0, -1)) + 1
        text = self._taken(pending[:end]) if end else ""
        self._keep(pending[end:])
        return text

    def _beyond_window(self, data: bytes) -> bytes:
        match = re.search(rb"[\r\n]", data)
        end = match.start() if match else len(data)
        self._dropped += plain_text.characters(data[:end])
        return data[end:]

    def _keep(self, line: bytes) -> None:
        body = line.removesuffix(b"\r")
        self._dropped += plain_text.characters(body[self._window :])
        self._pending = body[: self._window] + line[len(body) :]

    def _taken(self, raw: bytes) -> str:
        raw = plain_text.one_break(raw)
        return self._omit(raw) if self.omitted_lines else self._emitted(self._lines(raw))

    def _omit(self, raw: bytes) -> str:
        within = sum(plain_text.breaks(raw[start:end]) for start, end in _long_lines(raw, self._line_limit))
        self.omitted_lines += plain_text.breaks(raw) - within
        self._dropped = 0
        return ""

    def _lines(self, raw: bytes) -> str:
        parts, done = [], 0
        for start, end in _long_lines(raw, self._line_limit):
            parts += [self._safe(raw[done:start]), self._cut(raw[start:end])]
            done = end + 1
        return "".join([*parts, self._safe(raw[done:])])

    def _safe(self, raw: bytes) -> str:
        return plain_text.closed(inert(self._redactor.redact(plain_text.clean(raw))))

    def _cut(self, line: bytes) -> str:
        dropped = self._dropped + plain_text.characters(line[self._window :])
        self._dropped = 0
        text = self._redactor.redact(plain_text.clean(line[: self._window]).replace("\n", " "))
        # Where the window ends it may have cut a secret or a character in two: the first half is not shown either.
        shown = text[: -max(1, self._redactor.longest)] if dropped else text
        shown = re.sub(r"\x1b[^m]*\Z", "", shown[: self._line_limit])
        cut = dropped + len(text) - len(shown)
        note = f" [{cut} characters cut]" if cut else ""
        return plain_text.closed(inert(f"{shown}{note}\n"))

    def _emitted(self, text: str) -> str:
        if self._prefix:
            text = self._prefix + text[:-1].replace("\n", f"\n{self._prefix}") + "\n"
        kept = text
        if len(text) > self._room:
            kept = text[: text.rfind("\n", 0, self._room) + 1]
            self.omitted_lines = text.count("\n") - kept.count("\n")
        self._room -= len(kept)
        return kept


def inert(text: str) -> str:
    """The clean text with a backslash inside everything that a CI runner would take for a command."""
    mark, start = (_COLOURED_MARK, _COLOURED_START) if "\x1b" in text else (_MARK, _START)
    return start.sub(r"\1\\", "\n" + mark.sub(r"\1\\", text))[1:]


def one_line(text: str, limit: int = 200) -> str:
    """Hostile text as one safe line without colours, at most `limit` characters; a cut one ends in an ellipsis."""
    line = inert(single(text))
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


def safe(text: str) -> str:
    """Text of ours that may quote hostile text, made as safe as the sanitizer's lines; lines and colours stay."""
    clean = plain_text.clean(text.encode("utf-8", "surrogatepass"))
    return plain_text.closed(inert(f"{clean}\n"))[:-1]


def single(text: str) -> str:
    """Hostile text as one line of visible characters and spaces; commands in it are not escaped."""
    return re.sub(r"[\t\n]", " ", visible(text)).strip()


def visible(text: str) -> str:
    """Hostile text as lines of visible characters and tabs, without colours; commands in it are not escaped."""
    return plain_text.uncoloured(plain_text.clean(text.encode("utf-8", "surrogatepass")))


def command(name: str, properties: Mapping[str, str], message: str) -> str:
    """A workflow command of ours, without the newline; empty properties are left out. Escapes as @actions/core does."""
    listed = ",".join(f"{key}={_property(value)}" for key, value in properties.items() if value)
    return f"::{name} {listed}::{_data(message)}" if listed else f"::{name}::{_data(message)}"


def heredoc(name: str, value: str, delimiter: str) -> str:
    """One value for a GITHUB_OUTPUT file; AccelError when the name is none or the value holds the delimiter."""
    if not _OUTPUT_NAME.fullmatch(name):
        raise AccelError(f"{one_line(name)!r} cannot be the name of an output.")
    if delimiter in value:
        raise AccelError(f"The value of the output {name} holds the random delimiter that should end it.")
    return f"{name}<<{delimiter}\n{value}\n{delimiter}\n"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _long_lines(raw: bytes, limit: int) -> Iterator[tuple[int, int]]:
    start = 0
    while len(raw) - start > limit:
        last = raw.rfind(b"\n", start, start + limit + 1)
        if last < 0:
            last = raw.find(b"\n", start + limit)
            yield start, last
        start = last + 1
