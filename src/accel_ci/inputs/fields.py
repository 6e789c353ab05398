"""How the text of an input is read, and what is wrong with it in our own words."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from accel_ci.domain import accelerators

# Below the repository on every system: no root, no home, no way up, no backslash.
RELATIVE = r"(?![/~])(?!(?:.*/)?\.\.(?:/|$))[^\\\x00-\x1f]+"
# Only the form: clouds add types (v5litepod-16, a100-80gb-4) faster than we release; 63 is a label's length.
_ACCELERATOR = re.compile(
    r"local(?:-[1-9][0-9]?)?|(?!local)(?=.{1,63}\Z)[a-z][a-z0-9]*(?:-[a-z0-9]+)*-[1-9][0-9]{0,4}[gt]?"
    r"(?:\+[a-z][a-z0-9]*(?:-[a-z0-9]+)*-[1-9][0-9]?)?|e2-(?:micro|small|medium)"
)
# YAML's own words, old and new. Digits and single letters stay out: a wrong guess about `spot` costs money.
_BOOLEANS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
MOST_PIECES = 10  # of one text that are told
_SETTING = re.compile(r"([a-z][a-z-]{0,30})\s*=\s*([A-Za-z0-9._/:@+-]{1,254})")


class FieldError(ValueError):
    """A text that an input cannot take: `problem` goes on from the value, `suggestion` says what to write.

    `part` is the offending piece of the text; None stands for all of it. `others` are wrong pieces of the same text.
    """

    def __init__(self, problem: str, suggestion: str = "", *, part: str | None = None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.suggestion = suggestion
        self.part = part
        self.others: tuple[FieldError, ...] = ()


class Syntax:
    """How one input is written. A value that is not `safe` is never shown again."""

    safe: ClassVar[bool] = True

    @property
    def kind(self) -> str:
        """What readers call it: `text`, `duration`, `list of zones` ..."""
        return type(self).__name__.lower()

    def parse(self, text: str) -> object:
        """The value that the text stands for, blanks around it left out; FieldError when it stands for none."""
        # JSON and argv can carry NUL and halves of surrogate pairs; environments and command lines cannot.
        if "\x00" in text or any("\ud800" <= character <= "\udfff" for character in text):
            raise FieldError("holds a character that no command can take", "write it without NUL", part="")
        return self.read(text.strip())

    def read(self, text: str) -> object:
        """The value of a text without blanks around it."""
        raise NotImplementedError

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """A validator that reads texts and lets values through, so that models can be made from either."""
        return core_schema.no_info_plain_validator_function(
            lambda given: self.parse(given) if isinstance(given, str) else given
        )


class Text(Syntax):
    """Any text, kept as it is. It may hold what nobody should see, so it is never shown."""

    safe = False

    def read(self, text: str) -> str:
        """The text itself."""
        return text


@dataclass(frozen=True)
class Pattern(Syntax):
    """A text of one form: `what` it is, the `regex` that it matches as a whole, and an `example`."""

    what: str
    regex: str
    example: str

    @property
    def kind(self) -> str:
        """What it is."""
        return self.what

    def read(self, text: str) -> str:
        """The text itself; "" stays "" (not given)."""
        if text and not re.fullmatch(self.regex, text):
            raise FieldError(f"is not {_a(self.what)}", f"write something like `{self.example}`")
        return text


@dataclass(frozen=True)
class Words(Syntax):
    """A list of patterns, separated by commas or new lines; what stands twice counts once."""

    of: Pattern
    most: int = 100

    @property
    def kind(self) -> str:
        """What it lists."""
        return f"list of {self.of.what}s"

    def read(self, text: str) -> tuple[str, ...]:
        """The words, in their order."""
        words = tuple(dict.fromkeys(filter(None, map(str.strip, re.split(r"[,\n]", text)))))
        if len(words) > self.most:
            raise FieldError(f"names {len(words)} {self.of.what}s", f"at most {self.most}")
        _refuse(error for word in words if (error := self._wrong(word)))
        return words

    def _wrong(self, word: str) -> FieldError | None:
        try:
            self.of.read(word)
        except FieldError as error:
            return FieldError(error.problem, error.suggestion, part=word)
        return None


@dataclass(frozen=True)
class Settings(Syntax):
    """Settings `name=value`, separated by commas or new lines, with an `example` of one."""

    example: str

    @property
    def kind(self) -> str:
        """What readers call it."""
        return "list of settings name=value"

    def read(self, text: str) -> dict[str, str]:
        """Values by name. Which names there are is for the backend to say."""
        found: dict[str, str] = {}
        wrong: list[FieldError] = []
        for word in filter(None, map(str.strip, re.split(r"[,\n]", text))):
            match = _SETTING.fullmatch(word)
            if match is None:
                wrong.append(FieldError("is not a setting", f"write something like `{self.example}`", part=word))
            elif match[1] in found:
                wrong.append(FieldError("is set twice", "write it once", part=match[1]))
            else:
                found[match[1]] = match[2]
        _refuse(wrong)
        return found


class Accelerator(Syntax):
    """A family and a count (`v6e-8`, `l4-1`), a machine type (`e2-standard-4`, `n1-standard-8+t4-1`), or workers on this

    computer (`local`, `local-4`).
    """

    @property
    def kind(self) -> str:
        """What readers call it."""
        return "accelerator type"

    def read(self, text: str) -> str:
        """The type in lower case. Whether such a machine exists is for the backend to say."""
        tidy = re.sub(r"[\s_]+", "-", text.lower())
        if text.lower() == tidy and _ACCELERATOR.fullmatch(tidy):
            return tidy
        dashed = re.sub(r"(?<=[^-])([1-9][0-9]*)$", r"-\1", tidy)
        counted = tidy if tidy[-1:].isdigit() and "-" in tidy else f"{tidy}-1"
        has_digit = re.search("[0-9]", tidy)
        # `v6e8` could be v6e8-1 and v6e-8: only one of them exists.
        near = next((guess for guess in (tidy, counted, dashed) if accelerators.backends_of(guess)), "")
        # `tpu` and `gpu` are no family: all that we know have a digit.
        near = near or next((guess for guess in (tidy, counted) if _ACCELERATOR.fullmatch(guess) and has_digit), "")
        raise FieldError(
            "is not an accelerator type",
            f"did you mean `{near}`?" if near else "write a family and a count such as `v6e-8`, or `local`",
        )


class Boolean(Syntax):
    """`true`, `yes` or `on`; `false`, `no` or `off`; in any case."""

    def read(self, text: str) -> bool:
        """True or False."""
        if text.lower() not in _BOOLEANS:
            raise FieldError("is neither true nor false", "write `true` or `false`")
        return _BOOLEANS[text.lower()]


@dataclass(frozen=True)
class Choice(Syntax):
    """One of a few words."""

    options: tuple[str, ...]

    @property
    def kind(self) -> str:
        """The words."""
        return " | ".join(map(str, self.options))

    def read(self, text: str) -> str:
        """The option itself, a member of its enumeration where it is one."""
        for option in self.options:
            if text == option:  # the option, not the text: members of enumerations are compared by identity
                return option
        raise FieldError("is not a choice here", meant(text, self.options) or f"one of {_listed(self.options)}")


class Environment(Syntax):
    """Lines `NAME=VALUE`; empty lines and lines that begin with `#` are left out. Values are never shown."""

    safe = False

    @property
    def kind(self) -> str:
        """What readers call it."""
        return "lines NAME=VALUE"

    def read(self, text: str) -> dict[str, str]:
        """Values by name."""
        found: dict[str, str] = {}
        wrong: list[FieldError] = []
        for number, line in enumerate(map(str.strip, text.split("\n")), 1):
            if not line or line.startswith("#"):
                continue
            name, equals, value = line.partition("=")
            if not equals or not _VARIABLE.fullmatch(name):
                wrong.append(FieldError(f"line {number} is not NAME=VALUE", "letters, digits and `_`, then `=`"))
            # Ours tell the test plugin where to write: whoever set them could hide results.
            elif name in found or name.upper().startswith("ACCEL_CI"):
                which = f"line {number} sets `{shown(name)}`, which is {_taken(name, found)}"
                wrong.append(FieldError(which, "take the line out, or rename it"))
            else:
                found[name] = value
        _refuse(wrong)
        return found


def meant(word: str, known: tuple[str, ...]) -> str:
    """`did you mean X?` for the known word that is nearest, "" when none is near."""
    near = difflib.get_close_matches(word.lower(), known, n=1)
    return f"did you mean `{near[0]}`?" if near else ""


def shown(text: str) -> str:
    """The text fit for a message: one line, at most 40 characters."""
    line = "".join(character if character.isprintable() else " " for character in text)
    return line if len(line) <= 40 else line[:39] + "…"


def _refuse(wrong: Iterable[FieldError]) -> None:
    """Raise what is wrong with the pieces of one text: the first, with the others."""
    told = list(wrong)
    # A file given by mistake would be thousands of lines.
    if len(told) > MOST_PIECES:
        told[MOST_PIECES:] = [FieldError(f"has {len(told) - MOST_PIECES} more pieces like these", part="")]
    if told:
        told[0].others = tuple(told[1:])
        raise told[0]


def _taken(name: str, found: dict[str, str]) -> str:
    return "set twice" if name in found else "a name that accel-ci keeps for itself"


def _a(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeio" else f"a {noun}"


def _listed(options: tuple[str, ...]) -> str:
    return ", ".join(f"`{option}`" for option in options)
