"""How an action's inputs and outputs are declared: what parsing, action.yml, docs and the command line all read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo

from accel_ci.inputs.fields import Syntax


@dataclass(frozen=True)
class Rule:
    """What must hold between inputs: `check` takes the values of `fields` and returns what is wrong, "" for nothing.

    `mend` says what to write instead; the mistake is told under the first of the fields.
    """

    fields: tuple[str, ...]
    check: Callable[..., str]
    mend: str


@dataclass(frozen=True)
class Input:
    """One input as users see it. `default` is the text that stands for it when it is not given; None: required."""

    name: str
    field: str
    syntax: Syntax
    default: str | None
    help: str

    @property
    def required(self) -> bool:
        """True when there is no default."""
        return self.default is None


class Inputs(BaseModel):
    """What users may say to one action: fields are written as text, defaults too, and hold what it stands for.

    `bare` names the input that the command line takes as a word of its own, "" for none.
    """

    # Defaults are texts like all others: whoever reads action.yml sees what they could have written.
    # Built on first use: a process needs one model of eleven.
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, defer_build=True)

    verb: ClassVar[str]
    outputs: ClassVar[Mapping[str, str]] = {}
    rules: ClassVar[tuple[Rule, ...]] = ()
    bare: ClassVar[str] = ""

    @classmethod
    def completed(cls, given: Mapping[str, str]) -> Mapping[str, str]:
        """The given texts, with what follows from them added."""
        return given


def given(text: str, help_: str | None = None) -> Any:
    """A field that stands for `text` when users leave it out; `help_` may come from the field's type instead."""
    return Field(default=text, description=help_) if help_ else Field(default=text)


def inputs(model: type[Inputs]) -> tuple[Input, ...]:
    """The model's inputs in the order they were declared."""
    return tuple(_input(field, info) for field, info in model.model_fields.items())


def _input(field: str, info: FieldInfo) -> Input:
    return Input(
        # `for` is a word of Python, so its field is `for_`.
        name=field.rstrip("_").replace("_", "-"),
        field=field,
        syntax=next(part for part in info.metadata if isinstance(part, Syntax)),
        default=None if info.is_required() else str(info.default),
        help=info.description or "",
    )
