"""The oracle: which workflow commands the Actions runner finds in an output, by the rules of actions/runner 2.336.0.

Lines: Runner.Sdk/ProcessInvoker.cs:507-519 (StreamReader.ReadLine). Where commands are looked for:
Runner.Worker/Handlers/OutputManager.cs:82-91. Parsing: Runner.Common/ActionCommand.cs:51-189. Names, stop and resume:
Runner.Worker/ActionCommandManager.cs:34-154. Output files: Runner.Worker/FileCommandManager.cs:353-496.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum

NAMES = frozenset(
    ["stop-commands", "set-env", "set-output", "save-state", "add-path", "add-mask", "add-matcher", "remove-matcher",
     "warning", "error", "notice", "debug", "group", "endgroup", "echo"]
)  # fmt: skip
DATA = {"%0D": "\r", "%0A": "\n", "%25": "%"}
PROPERTY = {"%0D": "\r", "%0A": "\n", "%3A": ":", "%2C": ",", "%25": "%"}
OLD = {"%3B": ";", "%0D": "\r", "%0A": "\n", "%5D": "]", "%25": "%"}
WHITE_SPACE = "".join(map(chr, [*range(9, 14), 32, 133, 160, 5760, *range(8192, 8203), 8232, 8233, 8239, 8287, 12288]))
# What ICU's root collation ignores: .NET's IndexOf(string) and StartsWith(string) are culture-sensitive, so that
# these may stand inside a marker. Measured with ICU 78 over all code points; nothing else equals `:`, `#` or `[`.
IGNORABLE = (
    "0-8 e-1f 7f-84 86-9f ad 34f 488-489 591-5af 5bd 5c4-5c5 600-605 610-61a 61c 640 6d6-6dd 6df-6e4 6e7-6e8 "
    "6ea-6ed 70f 740 743-744 747-74a 7fa 890-891 898-89d 8ca-8e2 8ea-8ef 8f3 951-952 f18-f19 f35 f37 f3e-f3f "
    "f86-f87 fc6 17b4-17b5 17d3 180a-180f 1a7f 1b6b-1b73 1cd0-1ce8 1cf4 1cf7-1cf9 200b-200f 202a-202e 2060-2064 "
    "2066-206f 2d7f a670-a672 a8e0-a8f1 fe00-fe0f fe21 fe23-fe26 fe28 fe2a-fe2d fe2f fe73 feff fff9-fffb 102e0 "
    "10efb 10efd-10eff 110bd 110cd 11366-1136c 11370-11374 113e1-113e2 13430-13440 13447-13455 16fe4 1bca0-1bca3 "
    "1cf00-1cf2d 1cf30-1cf46 1d165-1d169 1d16d-1d182 1d185-1d18b 1d1aa-1d1ad 1d242-1d244 1da00-1da36 1da3b-1da6c "
    "1da75 1da84 1da9b-1da9f 1daa1-1daaf 1e8d0-1e8d6 e0001 e0020-e007f e0100-e01ef"
)


class Collation(Enum):
    """How the runner compares strings: ordinally (invariant mode), or by ICU, whose match may begin late or early."""

    ORDINAL = "ordinal"
    ICU_LATE = "icu-late"
    ICU_EARLY = "icu-early"


@dataclass(frozen=True)
class Command:
    """One command that the runner obeys."""

    name: str
    properties: dict[str, str] = field(default_factory=dict)
    data: str = ""


class Runner:
    """One step's reader: `read` gives the commands that fire; `shown` collects the lines that are mere text.

    With `any_name` every name counts as known, as one of a later runner might.
    """

    def __init__(self, collation: Collation = Collation.ORDINAL, *, any_name: bool = False) -> None:
        self._collation = collation
        self._any_name = any_name
        self._token = ""
        self.shown: list[str] = []

    def read(self, output: bytes) -> list[Command]:
        """The commands in the output, in order."""
        return [command for line in lines(output) if (command := self.line(line)) is not None]

    @property
    def stopped(self) -> bool:
        """True while commands are switched off."""
        return bool(self._token)

    def line(self, line: str) -> Command | None:
        """The command in one line of the output; None when it is mere text."""
        command = self._new(line) or self._old(line)
        if command is None or (self._token and command.name.casefold() != self._token):
            self.shown.append(line)
            return None
        if self._token:
            self._token = ""
        elif command.name.casefold() == "stop-commands":
            token = command.data.casefold()  # a refused token fails the step, so it counts as a command too
            self._token = "" if token in NAMES | {"pause-logging"} else token
        return command

    def _new(self, line: str) -> Command | None:
        message = line.lstrip(WHITE_SPACE)
        if _find("::", message, 0, self._collation, at_start=True) < 0:
            return None
        end = _find("::", message, 2, self._collation)
        if end < 0:
            return None
        name, space, rest = message[2:end].partition(" ")
        if not self._known(name):
            return None
        properties = _properties(rest.strip(WHITE_SPACE), ",", PROPERTY) if space else {}
        return Command(name, properties, _unescape(message[end + 2 :], DATA))

    def _old(self, line: str) -> Command | None:
        start = _find("##[", line, 0, self._collation)
        end = line.find("]", start) if start >= 0 else -1
        if end < 0:
            return None
        name, space, rest = line[start + 3 : end].partition(" ")
        if not self._known(name):
            return None
        return Command(name, _properties(rest, ";", OLD) if space else {}, _unescape(line[end + 1 :], OLD))

    def _known(self, name: str) -> bool:
        known = self._any_name or name.casefold() in NAMES or (self._token and name.casefold() == self._token)
        return bool(name and known)


def lines(output: bytes) -> list[str]:
    """The lines that the runner's reader sees: \\n, \\r\\n and a bare \\r end them."""
    found = re.split("\r\n|\r|\n", output.decode("utf-8", "replace"))
    return found if found[-1] else found[:-1]


def output_file(text: str) -> dict[str, str]:
    """The outputs that a GITHUB_OUTPUT file sets; ValueError where the runner would fail the step."""
    outputs, rest = {}, text
    while rest:
        line, _, rest = rest.partition("\n")
        equals, heredoc = line.find("="), line.find("<<")
        if equals >= 0 and (heredoc < 0 or equals < heredoc):
            outputs[line[:equals]] = line[equals + 1 :]
        elif heredoc > 0 and line[heredoc + 2 :]:
            value, found, rest = f"\n{rest}\n".partition(f"\n{line[heredoc + 2 :]}\n")
            if not found:
                raise ValueError(f"no end of {line}")
            outputs[line[:heredoc]] = value[1:]
            rest = rest[:-1]
        elif line:
            raise ValueError(f"not an output: {line}")
    return outputs


def _class() -> str:
    ranges = (entry.partition("-") for entry in IGNORABLE.split())
    return "[" + "".join(f"{chr(int(low, 16))}-{chr(int(high or low, 16))}" for low, _, high in ranges) + "]*"


_IGNORED = _class()
_BETWEEN = {marker: _IGNORED.join(map(re.escape, marker)) for marker in ("::", "##[")}
_PATTERNS = {
    (Collation.ICU_LATE, marker): re.compile(f"{_IGNORED}({between})") for marker, between in _BETWEEN.items()
} | {(Collation.ICU_EARLY, marker): re.compile(f"({_IGNORED}{between})") for marker, between in _BETWEEN.items()}


def _find(marker: str, text: str, start: int, collation: Collation, *, at_start: bool = False) -> int:
    if collation is Collation.ORDINAL:
        index = text.find(marker, start)
        return index if index == start or not at_start else -1
    pattern = _PATTERNS[collation, marker]
    match = pattern.match(text, start) if at_start else pattern.search(text, start)
    return match.start(1) if match else -1


def _properties(text: str, separator: str, escapes: dict[str, str]) -> dict[str, str]:
    pairs = (part.partition("=") for part in text.split(separator))
    return {key: _unescape(value, escapes) for key, _, value in pairs if key and value}


def _unescape(text: str, escapes: dict[str, str]) -> str:
    for escaped, character in escapes.items():
        text = text.replace(escaped, character)
    return text
