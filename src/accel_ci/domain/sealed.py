"""Sealed secrets: values that anybody may read in a workflow, for only our key opens them, and only where they belong."""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from accel_ci.domain import pattern
from accel_ci.domain.context import Context
from accel_ci.domain.errors import ConfigurationError, Mistake

MARK = "accel-ci-sealed:"
NAME = r"[A-Za-z_][A-Za-z0-9_]{0,99}"
BOX = re.compile(rf"\b(?:ACCEL_CI_SECRET_)?({NAME})[\"']?[ \t]*[:=][ \t]*[\"']?{MARK}([A-Za-z0-9+/=]+)")
COMMENT = re.compile(r"(?:^|(?<=\s))#.*", re.MULTILINE)
LAST_DAY = 253_402_300_799  # of the year 9999: what no calendar holds could not even be named in a message
Open = Callable[[str], bytes]


class Sealed(BaseModel):
    """What is inside of a box: written by whoever has the public key, who may be anybody.

    `contexts` are events, or event@branch, where `*` stands for any; empty: all trusted runs. `not_after` is the last second at
    which it may be used, from 1970 on; None: no end.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    version: Literal[1] = 1
    repository_id: Annotated[int, Field(gt=0)]
    name: Annotated[str, Field(pattern=f"^{NAME}$")]
    contexts: tuple[str, ...] = ()
    not_after: Annotated[int, Field(ge=0, le=LAST_DAY)] | None = None
    value: Annotated[str, Field(min_length=1, repr=False)]

    @property
    def ends(self) -> str:
        """The day on which it ends, or `never`."""
        return (
            "never"
            if self.not_after is None
            else dt.datetime.fromtimestamp(self.not_after, dt.UTC).strftime("%Y-%m-%d")
        )


def boxes(text: str) -> list[tuple[str, str]]:
    """Name and box, in order, of each in a text as `accel-ci secrets encrypt` prints them: a workflow, or a file of boxes.

    What stands in a comment is none.
    """
    return [(name, MARK + content) for name, content in BOX.findall(COMMENT.sub("", text))]


def one_each(text: str, *, file: str) -> dict[str, str]:
    """The boxes of a file by name; ConfigurationError for a name that has two: which of them counts must not be a guess."""
    found = boxes(text)
    twice = sorted({name for name, count in Counter(name for name, _ in found).items() if count > 1})
    if twice:
        raise ConfigurationError(
            f"{len(twice)} names have more than one box in {file!r}",
            what_to_do="leave one line for each name",
            mistakes=tuple(Mistake(name, "is sealed more than once") for name in twice),
        )
    return dict(found)


class NotOursError(Exception):
    """The box was not sealed for our key, or it was changed."""


def is_sealed(text: str) -> bool:
    """True for a box, false for a value in the clear."""
    return text.startswith(MARK)


def opened(given: Mapping[str, str], here: Context, *, now: float, open_: Open) -> tuple[dict[str, str], list[str]]:
    """The values that this run may have, by name, and the names of those whose contexts do not include it.

    `given` holds boxes and values in the clear. ConfigurationError tells of all boxes at once that do not belong here; no
    value is in it.
    """
    values, elsewhere, mistakes = {}, [], []
    for name, text in sorted(given.items()):
        if not is_sealed(text):
            values[name] = text
            continue
        found = _inside(text, open_)
        problem = found if isinstance(found, str) else _problem(found, name, here, now=now)
        if problem or isinstance(found, str):
            mistakes.append(Mistake(name, problem))
        elif included(found, here):
            values[name] = found.value
        else:
            elsewhere.append(name)
    if mistakes:
        raise ConfigurationError(
            f"{len(mistakes)} of the sealed secrets cannot be used here",
            what_to_do="seal them again for this repository: accel-ci secrets encrypt; see docs/secrets.md",
            mistakes=tuple(mistakes),
        )
    return values, elsewhere


def included(sealed: Sealed, here: Context) -> bool:
    """True when the run's event, on its branch, is among the contexts. A pull request's code is on no branch of ours."""
    # Its ref is the base's: `*@main` would hand what main may have to whatever asks to be merged there.
    branch = None if here.pull_request is not None else here.ref.removeprefix("refs/heads/")
    return not sealed.contexts or any(_covers(each, here.event, branch) for each in sealed.contexts)


def read(content: bytes) -> Sealed | None:
    """What the opened box holds; None for anything else."""
    try:
        return Sealed.model_validate_json(content)
    # Whoever has the public key can seal anything, a text of another version or of no version at all.
    except ValidationError:
        return None


def _inside(text: str, open_: Open) -> Sealed | str:
    try:
        content = open_(text.removeprefix(MARK))
    except NotOursError:
        return "was sealed for another key, or changed since"
    return read(content) or "holds something that this version does not know"


def _problem(sealed: Sealed, name: str, here: Context, *, now: float) -> str:
    """Why the box does not belong here; "" when it does."""
    # A box is public: whoever copies it must not get it opened where they can see the value.
    if sealed.repository_id != here.repository_id:
        return "was sealed for another repository"
    if sealed.name != name:
        return "was sealed under another name"
    if sealed.not_after is not None and now > sealed.not_after:
        return f"was sealed until {sealed.ends}, which is over"
    return ""


def _covers(context: str, event: str, branch: str | None) -> bool:
    wanted, _, branches = context.partition("@")
    on_branch = branch is not None and pattern.matches(branch, branches)
    return wanted in ("*", event) and (not branches or on_branch)
