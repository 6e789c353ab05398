"""All rules over one file."""

from __future__ import annotations

import re
from collections.abc import Iterator

from accel_ci.doctor import leaks, own, reports, rights, triggers, verdicts
from accel_ci.doctor.rule import Finding, Rule
from accel_ci.doctor.workflow import Workflow
from accel_ci.formats import yaml_tree

RULES: tuple[Rule, ...] = tuple(
    each
    for module in (triggers, leaks, verdicts, reports, rights, own)
    for each in vars(module).values()
    if isinstance(each, Rule)
)
IGNORED = re.compile(r"#.{0,200}\baccel-ci: ignore\[([a-z, -]+)\]")
UNREADABLE = "unreadable"


def examine(path: str, content: bytes) -> list[Finding]:
    """The findings in a workflow file, in the order of the file; one `unreadable` for what is none.

    A comment `# accel-ci: ignore[rule]` on the line of a finding, or alone on the line above, leaves it out.
    """
    try:
        tree = yaml_tree.read(content)
    except yaml_tree.YamlError as error:
        # One broken file must not hide what is wrong with the others.
        return [Finding(path=path, line=1, column=1, rule=UNREADABLE, message=f"cannot be read: {error}")]
    found = sorted(_found(Workflow(path, tree)), key=lambda each: (each.line, each.column, each.rule))
    lines = content.decode().split("\n")
    return [each for each in found if each.rule not in _ignored(lines, each.line)]


def _found(workflow: Workflow) -> Iterator[Finding]:
    for rule in RULES:
        yield from rule.findings(workflow)


def _ignored(lines: list[str], number: int) -> set[str]:
    # A line of YAML may have no room for a comment, as within a block of a script.
    above = lines[number - 2] if number > 1 and lines[number - 2].lstrip().startswith("#") else ""
    here = lines[number - 1] if number <= len(lines) else ""
    named = (found[1] for line in (above, here) if (found := IGNORED.search(line)))
    return {rule.strip() for names in named for rule in names.split(",")}
