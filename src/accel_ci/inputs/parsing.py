"""From what users wrote to an action's inputs, or to a list of all their mistakes."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from accel_ci.domain.errors import ConfigurationError, Mistake
from accel_ci.inputs import declaration, fields, models
from accel_ci.inputs.declaration import Input, Inputs
from accel_ci.inputs.fields import FieldError

MAX_BYTES = 1 << 20
# What else knows about values by field, of which some may be missing: the catalogue of machines, say.
Look = Callable[[Mapping[str, Any]], Iterable[Mistake]]
M = TypeVar("M", bound=Inputs)


def parse(
    model: type[M], given: Mapping[str, str], *, found: Sequence[Mistake] = (), look: Look = lambda values: ()
) -> M:
    """The action's inputs from texts by name, as users write names; an empty text means not given.

    ConfigurationError with every mistake at once: with those `found` where the texts come from, and with what `look`
    finds in the values that could be read. Values are shown only where the field's syntax is safe to show.
    """
    values, mistakes = _read(model, given, told={mistake.name.lower() for mistake in found})
    mistakes = [*found, *mistakes]
    about = {mistake.name for mistake in mistakes}
    mistakes += [mistake for mistake in look(values) if mistake.name not in about]
    if mistakes:
        raise _refusal(model, mistakes)
    return model(**values)


def ahead(model: type[Inputs], given: Mapping[str, str], *, look: Look) -> None:
    """Nothing, or ConfigurationError with what is wrong with inputs that later steps will be given.

    What the model does not know or lacks is no mistake: whoever hands it on may change it on the way.
    """
    theirs = {name: text for name, text in given.items() if name in _names(model)}
    values, mistakes = _read(model, theirs)
    told = [mistake for mistake in (*mistakes, *look(values)) if theirs.get(mistake.name)]
    if told:
        raise _refusal(model, told)


def _read(
    model: type[Inputs], given: Mapping[str, str], *, told: Collection[str] = ()
) -> tuple[dict[str, Any], list[Mistake]]:
    """The values of the fields that can be read, and what is wrong with the others and between them."""
    _bounded(given)
    # GitHub does not mind the case of input names, and its `inputs` context keeps the user's own.
    named = {name.lower(): text for name, text in given.items()}
    texts = model.completed({name: text for name, text in named.items() if text.strip()})
    known = {entry.name: entry for entry in declaration.inputs(model)}
    mistakes = [_unknown(name, tuple(known)) for name in named if name not in known]
    values: dict[str, Any] = {}
    for name, entry in known.items():
        if name in told:
            continue  # not lacking, and one mistake is told once
        try:
            values[entry.field] = _value(entry, texts.get(name))
        except FieldError as error:
            mistakes += [_mistake(entry, texts.get(name), each) for each in (error, *error.others)]
    return values, [*mistakes, *_clashes(model, values, texts)]


def from_json(text: str) -> tuple[dict[str, str], list[Mistake]]:
    """Texts by name from a JSON object, and the names whose values are something else; truth values are read as texts.

    ConfigurationError when it is no object. Its content is never shown.
    """
    if len(text) > MAX_BYTES:
        raise _too_large()
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):  # the parser gives up on deep nesting
        document = None
    if not isinstance(document, dict):
        raise ConfigurationError("the inputs are not a JSON object", what_to_do="pass them as `${{ toJSON(inputs) }}`")
    # A called workflow may declare an input as boolean, which then comes as one.
    texts = {name: str(value).lower() if isinstance(value, bool) else value for name, value in document.items()}
    wrong = [name for name, value in texts.items() if not isinstance(value, str)]
    mistakes = [Mistake(fields.shown(name), "is not a text", "put it in quotes") for name in wrong]
    return {name: text for name, text in texts.items() if name not in wrong}, mistakes


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
        problem = rule.check(*(values[field] for field in rule.fields)) if values.keys() >= set(rule.fields) else ""
        if problem:
            entry = entries[rule.fields[0]]
            about = _about(entry, texts.get(entry.name, entry.default or ""), problem)
            yield Mistake(entry.name, about, rule.mend)


def _refusal(model: type[Inputs], mistakes: Sequence[Mistake]) -> ConfigurationError:
    count = "1 mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
    machines = ", and `accel-ci accelerators` for machines" if _names(model) & {"accelerator", "zone"} else ""
    return ConfigurationError(
        f"{count} in the inputs of `{model.verb}`",
        what_to_do=f"see {_where(model.verb)} for all inputs{machines}",
        mistakes=tuple(mistakes),
    )


def _where(verb: str) -> str:
    page = f" or docs/reference/{verb}.md" if verb in models.ACTIONS else ""
    return f"`accel-ci {verb} --help`{page}"
