"""The `filter` of Compute Engine's lists, in both of its languages.

`labels.a=b AND status!=RUNNING`, `(name = x) (zone = y)`, `labels.a:*`, `name:pre*`, `NOT ...`, `OR`; and the older
`name eq 'reg.*ex'`, which has to match the whole: https://cloud.google.com/compute/docs/reference/rest/v1/instances/list
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from fnmatch import translate
from typing import Any

from accel_ci_sim.world import compute_status

Predicate = Callable[[Mapping[str, Any]], bool]
TOKEN = re.compile(
    r"""\s*(?:(?P<bracket>[()])|(?P<operator>!=|<=|>=|=|:|<|>|(?:eq|ne)(?=[\s"'(]))|(?P<quoted>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')"""
    r"""|(?P<word>[^\s()=!<>:"']+))"""
)
LONGEST = 5000


def compiled(text: str) -> Predicate:
    """What decides whether a resource belongs into the list; RefusedError for what is no filter."""
    if not text.strip():
        return lambda resource: True
    return _Parser(text).whole()


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = self._split(text)

    def whole(self) -> Predicate:
        found = self._any()
        if self._tokens:
            raise self._wrong()
        return found

    def _any(self) -> Predicate:
        terms = [self._all()]
        while self._take("word", "OR"):
            terms.append(self._all())
        return terms[0] if len(terms) == 1 else lambda resource: any(term(resource) for term in terms)

    def _all(self) -> Predicate:
        terms = [self._term()]
        while self._tokens and not self._at("word", "OR") and not self._at("bracket", ")"):
            self._take("word", "AND")  # side by side means the same
            terms.append(self._term())
        return terms[0] if len(terms) == 1 else lambda resource: all(term(resource) for term in terms)

    def _term(self) -> Predicate:
        if self._take("word", "NOT") or self._minus():
            inner = self._term()
            return lambda resource: not inner(resource)
        if self._take("bracket", "("):
            inside = self._any()
            if not self._take("bracket", ")"):
                raise self._wrong()
            return inside
        field = self._next("word", "quoted")
        operator = self._next("operator")
        return _comparison(field, operator, self._next("word", "quoted"))

    def _minus(self) -> bool:
        """True for `-name=x`, which then reads `name=x`."""
        if self._tokens and self._tokens[0][0] == "word" and self._tokens[0][1].startswith("-"):
            rest = self._tokens[0][1][1:]
            self._tokens[:1] = [("word", rest)] if rest else []
            return True
        return False

    def _next(self, *kinds: str) -> str:
        if not self._tokens or self._tokens[0][0] not in kinds:
            raise self._wrong()
        kind, text = self._tokens.pop(0)
        # Only quotes are escaped: gcloud sends regular expressions in quotes, with backslashes that mean themselves.
        return re.sub(r"\\([\"'])", r"\1", text[1:-1]) if kind == "quoted" else text

    def _at(self, kind: str, text: str) -> bool:
        return bool(self._tokens) and self._tokens[0] == (kind, text)

    def _take(self, kind: str, text: str) -> bool:
        return self._at(kind, text) and bool(self._tokens.pop(0))

    def _split(self, text: str) -> list[tuple[str, str]]:
        tokens, at = [], 0
        while at < len(text.rstrip()):
            match = TOKEN.match(text, at)
            if match is None or len(text) > LONGEST:
                raise self._wrong()
            kind = match.lastgroup or ""
            tokens.append((kind, match[kind]))
            at = match.end()
        return tokens

    def _wrong(self) -> Exception:
        return compute_status.invalid("filter", self._text[:200], "Invalid list filter expression.")


def _comparison(field: str, operator: str, wanted: str) -> Predicate:
    """One `field operator value`. A missing field equals nothing, so that `!=` is true of it."""
    # The older language has regular expressions, which match the whole value; the newer one has not.
    if operator in ("eq", "ne"):
        try:
            pattern = re.compile(wanted)
        except re.error as error:
            raise compute_status.invalid("filter", wanted, f"Invalid regular expression: {error}.") from error
        return lambda resource: any(pattern.fullmatch(each) for each in values(resource, field)) is (operator == "eq")
    if operator in ("=", "!=", ":"):
        glob = re.compile(translate(wanted)) if "*" in wanted else None
        if operator == ":" and wanted == "*":
            return lambda resource: bool(values(resource, field))
        if operator == ":" and glob is None:
            return lambda resource: any(wanted.lower() in each.lower() for each in values(resource, field))

        def equals(resource: Mapping[str, Any]) -> bool:
            return any(glob.match(each) if glob else each == wanted for each in values(resource, field))

        return (lambda resource: not equals(resource)) if operator == "!=" else equals
    return lambda resource: any(_ordered(each, operator, wanted) for each in values(resource, field))


def values(resource: Any, field: str) -> list[str]:
    """What is at the dotted path, through lists, as text."""
    found = [resource]
    for part in (each.strip("\"'") for each in field.split(".")):
        inner = [each[part] for each in found if isinstance(each, Mapping) and part in each]
        found = [item for each in inner for item in (each if isinstance(each, list) else [each])]
    return [
        str(each).lower() if isinstance(each, bool) else str(each) for each in found if not isinstance(each, Mapping)
    ]


def _ordered(value: str, operator: str, wanted: str) -> bool:
    try:
        order = (float(value) > float(wanted)) - (float(value) < float(wanted))
    except ValueError:
        order = (value > wanted) - (value < wanted)
    return {"<": order < 0, "<=": order <= 0, ">": order > 0, ">=": order >= 0}[operator]
