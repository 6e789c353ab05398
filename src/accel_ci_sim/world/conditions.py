"""Conditions and mappings of identity providers: the part of Google's Common Expression Language that they are written in.

Texts, lists of texts, `assertion.<claim>`, + == != in && || ! (), startsWith, endsWith and contains.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

TOKENS = re.compile(r"""\s*(?:('[^'\\]*'|"[^"\\]*")|([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)|(&&|\|\||==|!=|[!()\[\],+]))""")
TESTS: Mapping[str, Callable[[str, str], bool]] = {
    "startsWith": str.startswith,
    "endsWith": str.endswith,
    "contains": lambda text, part: part in text,
}
Value = str | bool | list[str]


class ConditionError(ValueError):
    """A text that is no condition, or one that names a claim which the token lacks."""


def holds(condition: str, claims: Mapping[str, str]) -> bool:
    """Whether the claims fulfil the condition; an empty one always holds."""
    if not condition.strip():
        return True
    reader = _Reader(_tokens(condition), claims)
    value = reader.either()
    if reader.left() or not isinstance(value, bool):
        raise ConditionError("the condition is not true or false")
    return value


def text(expression: str, claims: Mapping[str, str]) -> str:
    """The text that a mapping makes of the claims."""
    reader = _Reader(_tokens(expression), claims)
    value = reader.either()
    if reader.left() or not isinstance(value, str):
        raise ConditionError("the mapping makes no text")
    return value


def _tokens(condition: str) -> list[str]:
    found, at, text = [], 0, condition.strip()
    while at < len(text):
        match = TOKENS.match(text, at)
        if match is None:
            raise ConditionError(f"unknown: {text[at : at + 20]!r}")
        found.append(match[0].strip())
        at = match.end()
    return found


class _Reader:
    """Reads and evaluates at once; both sides are always read."""

    def __init__(self, tokens: Sequence[str], claims: Mapping[str, str]) -> None:
        self._tokens = list(tokens)
        self._claims = claims

    def left(self) -> bool:
        return bool(self._tokens)

    def either(self) -> Value:
        value = self._both()
        while self._took("||"):
            # The right side is read first: `or` would stop reading and leave its tokens behind.
            value = self._both() is True or value is True
        return value

    def _both(self) -> Value:
        value = self._compared()
        while self._took("&&"):
            value = self._compared() is True and value is True
        return value

    def _compared(self) -> Value:
        if self._took("!"):
            return self._compared() is not True
        value = self._sum()
        if self._took("=="):
            return value == self._sum()
        if self._took("!="):
            return value != self._sum()
        if self._took("in"):
            among = self._sum()
            return isinstance(among, list) and value in among
        return value

    def _sum(self) -> Value:
        value = self._value()
        while self._took("+"):
            more = self._value()
            if not isinstance(value, str) or not isinstance(more, str):
                raise ConditionError("only texts can be joined")
            value += more
        return value

    def _value(self) -> Value:
        token = self._next()
        if token == "(":
            value = self.either()
            self._must(")")
            return value
        if token == "[":
            return self._listed()
        if token[0] in "'\"":
            return token[1:-1]
        return self._named(token)

    def _listed(self) -> list[str]:
        items = []
        while not self._took("]"):
            items.append(str(self._value()))
            self._took(",")
        return items

    def _named(self, token: str) -> Value:
        parts = token.split(".")
        if parts[0] != "assertion" or len(parts) not in (2, 3):
            raise ConditionError(f"unknown: {token!r}")
        if parts[1] not in self._claims:
            raise ConditionError(f"the token has no {parts[1]!r}")
        if len(parts) == 2:
            return self._claims[parts[1]]
        if parts[2] not in TESTS:
            raise ConditionError(f"unknown: {token!r}")
        self._must("(")
        other = self._value()
        self._must(")")
        return TESTS[parts[2]](self._claims[parts[1]], str(other))

    def _next(self) -> str:
        if not self._tokens:
            raise ConditionError("the condition ends too early")
        return self._tokens.pop(0)

    def _took(self, token: str) -> bool:
        if self._tokens[:1] == [token]:
            self._tokens.pop(0)
            return True
        return False

    def _must(self, token: str) -> None:
        if not self._took(token):
            raise ConditionError(f"{token!r} is missing")
