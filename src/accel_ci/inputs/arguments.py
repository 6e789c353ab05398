"""The command line's options, from the same models."""

from __future__ import annotations

import argparse
import itertools
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from accel_ci.domain.errors import ConfigurationError, Mistake
from accel_ci.inputs import declaration, fields, models
from accel_ci.inputs.declaration import Input, Inputs
from accel_ci.inputs.fields import Boolean, Settings, Words

_VALUE = re.compile(r"[^-].*|-|-[0-9].*|-.* .*|", re.DOTALL)  # what argparse does not take for an option
FIRST = "see `accel-ci --help`, or try `accel-ci run --backend local -- COMMAND` in your project"
# What other tools call it.
MEANT = {
    "help": FIRST,
    **dict.fromkeys(
        ("delete", "destroy", "kill", "release", "remove", "rm", "stop", "terminate"), "did you mean `end`?"
    ),
}
DESCRIPTION = "Run tests on rented accelerators, learn the truth, and leave nothing behind."


@dataclass(frozen=True)
class Command:
    """What a command line asks for: the verb, texts by input name for `parsing.parse`, and what is wrong with the words."""

    verb: str
    given: Mapping[str, str]
    mistakes: tuple[Mistake, ...] = ()


def read(argv: Sequence[str], *, version: str, elsewhere: Mapping[str, str] | None = None) -> Command:
    """The command of these words; what follows `--` is the command to run. ConfigurationError when they name no verb.

    Other mistakes are handed on, and options that no action has as inputs, so that parse names all of them together.
    `--help` and `--version` print and end the process with 0, as argparse does. `elsewhere` are verbs that others
    read, with what they do: they are named where all are.
    """
    options, run = _split(argv)
    _known_verb(options, elsewhere or {})
    options, truths, lacking = _sorted(options)
    namespace, rest = parser(version=version, elsewhere=elsewhere or {}).parse_known_args(options)
    given = _texts(namespace) | truths | _strangers(rest)
    mistakes = [Mistake(each, "has no value", f"write `--{each}` and the value behind it") for each in lacking]
    mistakes += _homeless(rest, namespace)
    if run:
        if "run" in given:
            mistakes.append(Mistake("run", "is given twice", "give `--run` or the words after `--`"))
        given["run"] = run[0] if len(run) == 1 and len(run[0].split()) > 1 else shlex.join(run)
    return Command(namespace.verb, given, tuple(mistakes))


def parser(*, version: str, elsewhere: Mapping[str, str]) -> argparse.ArgumentParser:
    """The parser of all verbs; those from elsewhere are only named."""
    # No abbreviations: a new input must not change what an old command line means.
    top = _Parser(prog="accel-ci", description=DESCRIPTION, allow_abbrev=False)
    top.add_argument("--version", action="version", version=f"accel-ci {version}")
    verbs = top.add_subparsers(dest="verb", metavar="VERB", required=True, title="verbs")
    for verb, model in models.COMMAND_LINE.items():
        _add(verbs, verb, model)
    for verb, summary in elsewhere.items():
        verbs.add_parser(verb, help=summary)
    return top


class _Parser(argparse.ArgumentParser):
    """argparse that raises instead of printing usage and leaving."""

    def error(self, message: str) -> NoReturn:
        """Raise ConfigurationError with argparse's own words."""
        raise ConfigurationError(f"the command line cannot be read: {message}", what_to_do=f"see `{self.prog} --help`")


def _add(verbs: Any, verb: str, model: type[Inputs]) -> None:
    summary = (model.__doc__ or "").split("\n", 1)[0]
    usage = f"accel-ci {verb} [options]{_words(model)}"
    options = verbs.add_parser(verb, help=summary, description=summary, usage=usage, allow_abbrev=False)
    for entry in declaration.inputs(model):
        if entry.name == model.bare:
            several = "*" if isinstance(entry.syntax, Words) else "?"
            standard = f" (default: {entry.default})" if entry.default else ""
            options.add_argument(
                entry.field, nargs=several, metavar=entry.name.upper(), help=(entry.help + standard).replace("%", "%%")
            )
        else:
            _option(options, entry)


def _words(model: type[Inputs]) -> str:
    """What stands beside the options: a word of its own, the command."""
    bare = f" [{model.bare.upper()}]" if model.bare else ""
    run = model.model_fields.get("run")
    return bare + ("" if run is None else " -- COMMAND ..." if run.is_required() else " [-- COMMAND ...]")


def _option(options: argparse.ArgumentParser, entry: Input) -> None:
    standard = f" (default: {entry.default})" if entry.default else " (required)" if entry.required else ""
    help_ = (entry.help + standard).replace("%", "%%")
    if isinstance(entry.syntax, Boolean):
        options.add_argument(f"--{entry.name}", dest=entry.field, action=argparse.BooleanOptionalAction, help=help_)
        return
    action = "append" if isinstance(entry.syntax, Words | Settings) else "store"
    options.add_argument(f"--{entry.name}", dest=entry.field, action=action, metavar="TEXT", help=help_)


def _split(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    # argparse has its own idea of `--`, which changed between versions of Python.
    words = list(argv)
    if "--" not in words:
        return words, []
    mark = words.index("--")
    return words[:mark], words[mark + 1 :]


def _known_verb(options: Sequence[str], elsewhere: Mapping[str, str]) -> None:
    # argparse would list all verbs and guess none.
    verb = next((word for word in options if not word.startswith("-")), None)
    verbs = (*models.COMMAND_LINE, *elsewhere)
    if not options:
        raise ConfigurationError("no verb is given", what_to_do=FIRST)
    if verb is not None and verb not in verbs:
        near = MEANT.get(verb) or fields.meant(verb, verbs)
        raise ConfigurationError(
            f"`{fields.shown(verb)}` is not a verb", what_to_do=near or f"use one of {', '.join(verbs)}"
        )


def _sorted(options: Sequence[str]) -> tuple[list[str], dict[str, str], list[str]]:
    """The words for argparse; of the others the texts of `--spot=false` and its like, and the options without a value.

    argparse refuses both, and stops there: what is wrong behind them would not be told.
    """
    model = next((models.COMMAND_LINE[word] for word in options if word in models.COMMAND_LINE), Inputs)
    named = {f"--{each.name}": each for each in declaration.inputs(model) if each.name != model.bare}
    switches = {option for option, each in named.items() if isinstance(each.syntax, Boolean)}
    words, truths, lacking = list[str](), dict[str, str](), list[str]()
    for word, behind in itertools.zip_longest(options, options[1:]):
        option, equals, text = word.partition("=")
        if equals and option in switches:
            truths[named[option].name] = text
        elif word in named.keys() - switches and (behind is None or not _VALUE.fullmatch(behind)):
            lacking.append(named[word].name)
        else:
            words.append(word)
    return words, truths, lacking


def _texts(namespace: argparse.Namespace) -> dict[str, str]:
    entries = declaration.inputs(models.COMMAND_LINE[namespace.verb])
    found = ((entry, getattr(namespace, entry.field)) for entry in entries)
    return {entry.name: _text(value) for entry, value in found if value is not None}


def _text(value: str | bool | list[str]) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else "\n".join(value)


def _strangers(rest: Sequence[str]) -> dict[str, str]:
    """Options without a home, by name."""
    # Only names: what stands behind a wrong option may be a secret.
    return {word.removeprefix("--").partition("=")[0]: "" for word in rest if word.startswith("--")}


def _homeless(rest: Sequence[str], namespace: argparse.Namespace) -> list[Mistake]:
    """The first word that belongs to no option; behind a wrong option it may be that one's value, and is not shown."""
    if not rest or _strangers(rest):
        return []
    takes_run = "run" in models.COMMAND_LINE[namespace.verb].model_fields
    hint = "put the command to run after `--`" if takes_run else f"see `accel-ci {namespace.verb} --help`"
    if namespace.verb == "cleanup":
        hint = "to end one machine: `accel-ci end MACHINE`"
    return [Mistake("run" if takes_run else "command line", f"`{fields.shown(rest[0])}` belongs to no option", hint)]
