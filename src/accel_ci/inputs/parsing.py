"""From what users wrote to an action's inputs, or to a list of all their mistakes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from accel_ci.domain.errors import ConfigurationError, Mistake
from accel_ci.inputs import declaration, fields, models
from accel_ci.inputs.declaration import Input, Inputs, Rule
from accel_ci.inputs.fields import FieldError

MAX_BYTES = 1 << 20
M = TypeVar("M", bound=Inputs)


def parse(model: type[M], given: Mapping[str, str]) -> M:
    """The action's inputs from texts by name, as users write names; an empty text means not given.

    ConfigurationError with every mistake at once. Values are shown only where the field's syntax is safe to show.
    """
    _bounded(given)
    # GitHub does not mind the case of input names, and its `inputs` context keeps the user's own.
    named = {name.lower(): text for name, text in given.items()}
    texts = model.completed({name: text for name, text in named.items() if text.strip()})
    known = {entry.name: entry for entry in declaration.inputs(model)}
    mistakes = [_unknown(name, tuple(known)) for name in named if name not in known]
    values: dict[str, Any] = {}
    for name, entry in known.items():
        try:
            values[entry.field] = _value(entry, texts.get(name))
        except FieldError as error:
            mistakes.append(_mistake(entry, texts.get(name), error))
    mistakes += _clashes(model, values, texts)
    if mistakes:
        raise _refusal(model, mistakes)
    return model(**values)


def from_json(text: str) -> dict[str, str]:
    """Texts by name from a JSON object of strings; ConfigurationError for anything else. Its content is never shown."""
    if len(text) > MAX_BYTES:
        raise _too_large()
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):  # the parser gives up on deep nesting
        document = None
    if not isinstance(document, dict):
        raise ConfigurationError("the inputs are not a JSON object", what_to_do="pass them as `${{ toJSON(inputs) }}`")
    wrong = [name for name, value in document.items() if not isinstance(value, str)]
    if wrong:
        raise ConfigurationError(
            f"{len(wrong)} of the inputs are not texts",
            what_to_do="put the values in quotes",
            mistakes=tuple(Mistake(fields.shown(name), "is not a text", "put it in quotes") for name in wrong),
        )
    return document


def _bounded(given: Mapping[str, str]) -> None:
    if sum(len(name) + len(text) for name, text in given.items()) > MAX_BYTES:
        raise _too_large()


def _too_large() -> ConfigurationError:
    return ConfigurationError(
        f"the inputs are larger than {MAX_BYTES >> 20} MiB together",
        what_to_do="put long scripts into a file of the repository and run that",
    )


def _value(entry: Input, text: str | None) -> object:
    if text is None and entry.default is None:
        raise FieldError("is required", entry.help)
    return entry.syntax.parse(entry.default or "" if text is None else text)


def _mistake(entry: Input, text: str | None, error: FieldError) -> Mistake:
    part = text if error.part is None else error.part
    return Mistake(entry.name, _about(entry, part or "", error.problem), error.suggestion)


def _about(entry: Input, text: str, problem: str) -> str:
    return f"`{fields.shown(text)}` {problem}" if text and entry.syntax.safe else problem


def _unknown(name: str, known: tuple[str, ...]) -> Mistake:
    # A name that is right elsewhere comes first: the nearest name here would be a wrong guess.
    owner = next((verb for verb, model in models.ACTIONS.items() if name in _names(model)), None)
    hint = f"it is an input of `{owner}`" if owner else fields.meant(name, known)
    return Mistake(fields.shown(name), "is not an input here", hint or f"the inputs are: {', '.join(known)}")


def _names(model: type[Inputs]) -> set[str]:
    return {entry.name for entry in declaration.inputs(model)}


def _clashes(model: type[Inputs], values: Mapping[str, Any], texts: Mapping[str, str]) -> Iterator[Mistake]:
    """What the rules find; a rule about a field that is wrong in itself stays silent."""
    entries = {entry.field: entry for entry in declaration.inputs(model)}
    for rule in model.rules:
        problem = _broken(rule, values)
        if problem:
            entry = entries[rule.fields[0]]
            yield Mistake(entry.name, _about(entry, texts.get(entry.name, entry.default or ""), problem))


def _broken(rule: Rule, values: Mapping[str, Any]) -> str:
    return rule.check(*(values[field] for field in rule.fields)) if values.keys() >= set(rule.fields) else ""


def _refusal(model: type[Inputs], mistakes: list[Mistake]) -> ConfigurationError:
    count = "1 mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
    return ConfigurationError(
        f"{count} in the inputs of `{model.verb}`",
        what_to_do=f"see {_where(model.verb)} for all inputs",
        mistakes=tuple(mistakes),
    )


def _where(verb: str) -> str:
    return f"docs/reference/{verb}.md" if verb in models.ACTIONS else f"`accel-ci {verb} --help`"
