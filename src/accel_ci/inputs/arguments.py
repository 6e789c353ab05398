"""The command line's options, from the same models."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from accel_ci.domain.errors import ConfigurationError
from accel_ci.inputs import declaration, fields, models
from accel_ci.inputs.declaration import Input, Inputs
from accel_ci.inputs.fields import Boolean, Settings, Words

DESCRIPTION = "Run tests on rented accelerators, learn the truth, and leave nothing behind."


@dataclass(frozen=True)
class Command:
    """What a command line asks for: the verb, and texts by input name for `parsing.parse`."""

    verb: str
    given: Mapping[str, str]


def read(argv: Sequence[str], *, version: str, elsewhere: Mapping[str, str] | None = None) -> Command:
    """The command of these words; what follows `--` is the command to run. ConfigurationError when they make none.

    Options that no action has are handed on as inputs, so that parse names them together with all other mistakes.
    `--help` and `--version` print and end the process with 0, as argparse does. `elsewhere` are verbs that others
    read, with what they do: they are named where all are.
    """
    options, run = _split(argv)
    _known_verb(options, elsewhere or {})
    namespace, rest = parser(version=version, elsewhere=elsewhere or {}).parse_known_args(options)
    given = {entry.name: text for entry, text in _texts(namespace)} | _strangers(rest)
    if run:
        if "run" in given:
            raise ConfigurationError("the command is given twice", what_to_do="give `--run` or the words after `--`")
        given["run"] = run[0] if len(run) == 1 and len(run[0].split()) > 1 else shlex.join(run)
    return Command(namespace.verb, given)


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
    if verb is not None and verb not in verbs:
        raise ConfigurationError(
            f"`{fields.shown(verb)}` is not a verb",
            what_to_do=fields.meant(verb, verbs) or f"use one of {', '.join(verbs)}",
        )


def _texts(namespace: argparse.Namespace) -> list[tuple[Input, str]]:
    entries = declaration.inputs(models.COMMAND_LINE[namespace.verb])
    found = ((entry, getattr(namespace, entry.field)) for entry in entries)
    return [(entry, _text(value)) for entry, value in found if value is not None]


def _text(value: str | bool | list[str]) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else "\n".join(value)


def _strangers(rest: Sequence[str]) -> dict[str, str]:
    """Options without a home, by name; a word that belongs to no option cannot be one."""
    # Only names: what stands behind a wrong option may be a secret.
    names = {word.removeprefix("--").partition("=")[0]: "" for word in rest if word.startswith("--")}
    if rest and not names:
        raise ConfigurationError(
            f"`{fields.shown(rest[0])}` belongs to no option", what_to_do="put the command to run after `--`"
        )
    return names
