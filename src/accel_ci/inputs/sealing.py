"""What the verb `secrets` is told: a verb of the command line alone, for people who seal values."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, ClassVar

from pydantic import Field

from accel_ci.domain import sealed
from accel_ci.domain.errors import ConfigurationError
from accel_ci.domain.sealed import Sealed
from accel_ci.inputs.declaration import Inputs, Rule, given
from accel_ci.inputs.fields import Choice, FieldError, Pattern, Syntax, Words

ACTIONS = ("keygen", "encrypt", "list")
KEY = Pattern("public key", r"[A-Za-z0-9+/]{43}=", "uSgu9hVqHHMKcEaqE0j3NFTKIbrDQoNvMJ3RQ3qcSgM=")
EVENT = Pattern("event, or event@branch", r"(?:\*|[a-z_]{1,40})(?:@[^\s~^:?\\@]{1,200})?", "push@main")


class Day(Syntax):
    """A day as 2027-12-31, which counts to its end; "" for none."""

    @property
    def kind(self) -> str:
        """What readers call it."""
        return "day"

    def read(self, text: str) -> int | None:
        """The day's last second in UTC, from 1970 on."""
        if not text:
            return None
        try:
            day = dt.datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=dt.UTC)
        except ValueError:
            raise FieldError("is not a day", "write something like `2027-12-31`") from None
        return int(day.timestamp()) + 24 * 3600 - 1


def _complete(action: str, variable: str, key: str, repository_id: str, file: str) -> str:
    needed = {"variable": variable, "public-key": key, "repository-id": repository_id} if action == "encrypt" else {}
    needed |= {"file": file} if action == "list" else {}
    lacking = [f"`--{each}`" for each, value in needed.items() if not value]
    return f"needs {', '.join(lacking)}" if lacking else ""


class SecretsInputs(Inputs):
    """Make keys, seal values for one repository, and see what is sealed in a file."""

    verb = "secrets"
    bare = "action"
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(("action", "variable", "public_key", "repository_id", "file"), _complete, "see docs/secrets.md"),
    )

    action: Annotated[
        str,
        Choice(ACTIONS),
        Field(
            description="What to do: `keygen` makes two keys, `encrypt` seals a value, `list` shows what a file holds."
        ),
    ]
    variable: Annotated[str, Pattern("name of a variable", sealed.NAME, "HF_TOKEN")] = given(
        "", "For `encrypt`: the variable that the tests will see."
    )
    public_key: Annotated[str, KEY] = given("", "For `encrypt`: the public key that keygen printed.")
    repository_id: Annotated[str, Pattern("number of a repository", r"[1-9][0-9]{0,18}", "4711")] = given(
        "", "For `encrypt`: the repository that may use it, by number: `gh api repos/OWNER/NAME --jq .id`."
    )
    contexts: Annotated[tuple[str, ...], Words(EVENT)] = given(
        "", "For `encrypt`: events that may use it, such as `schedule` or `push@main`; empty: every trusted run."
    )
    not_after: Annotated[int | None, Day()] = given(
        "", "For `encrypt`: the last day on which it may be used; empty: no end."
    )
    key_file: Annotated[str, Pattern("path", r"[^\x00-\x1f]{1,4096}", "accel-ci.key")] = given(
        "", "For `keygen`: where to write the private key; for `list`: where it is, to look inside."
    )
    file: Annotated[str, Pattern("path", r"[^\x00-\x1f]{1,4096}", ".github/workflows/tpu.yml")] = given(
        "", "For `list`: the file to look through."
    )

    def content(self, value: str) -> Sealed:
        """What goes into the box."""
        if not value:
            raise ConfigurationError("the value is empty", what_to_do="type it, or pipe it in")
        return Sealed(
            repository_id=int(self.repository_id),
            name=self.variable,
            contexts=self.contexts,
            not_after=self.not_after,
            value=value,
        )
