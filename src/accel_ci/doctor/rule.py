"""What a rule is: a function over a workflow that yields findings, with why it matters and what mends it."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from accel_ci.doctor.workflow import Line, Workflow
from accel_ci.formats.yaml_tree import Tree

Found = Iterator[tuple[Tree | Line, str]]
Check = Callable[[Workflow], Found]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One place that is wrong, and what is wrong there."""

    path: str
    line: int
    column: int
    rule: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One thing to look for. `why` is a sentence or more; `mend` is YAML to paste."""

    name: str
    why: str
    mend: str
    check: Check

    def findings(self, workflow: Workflow) -> Iterator[Finding]:
        """What the rule finds in the workflow, in the order of the file."""
        for place, message in self.check(workflow):
            yield Finding(path=workflow.path, line=place.line, column=place.column, rule=self.name, message=message)


def rule(*, why: str, mend: str) -> Callable[[Check], Rule]:
    """Makes a rule of a function; its name is the function's, with dashes."""

    def made(check: Check) -> Rule:
        """The rule whose check this function is."""
        # Names are what people write in comments to leave a finding out: they stay.
        name = check.__name__.replace("_", "-")
        return Rule(name=name, why=" ".join(why.split()), mend=textwrap.dedent(mend).strip("\n"), check=check)

    return made
