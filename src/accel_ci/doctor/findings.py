"""Findings as people and programs read them."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence
from dataclasses import asdict

from accel_ci.doctor import examine
from accel_ci.doctor.rule import Finding, Rule
from accel_ci.formats import output
from accel_ci.render import units

DOCS = "docs/doctor.md"


def text(found: Sequence[Finding]) -> str:
    """One line each, as compilers and editors write places, and once per rule why it matters and what mends it."""
    if not found:
        return "Nothing found.\n"
    rules = {rule.name: rule for rule in examine.RULES}
    lines = list[str]()
    for finding in found:
        # Names of files and jobs are somebody's text: no escape sequence of theirs reaches the terminal.
        place = f"{output.one_line(finding.path)}:{finding.line}:{finding.column}"
        lines.append(f"{place}: {finding.rule}: {output.one_line(finding.message)}")
        if finding.rule in rules:
            # Once is enough: the second place of a rule needs no second explanation.
            lines += _explained(rules.pop(finding.rule))
    files = units.number(len({finding.path for finding in found}), "file")
    return "\n".join([*lines, f"{units.number(len(found), 'finding')} in {files}. Each rule: {DOCS}", ""])


def document(found: Sequence[Finding]) -> str:
    """A JSON list of objects: path, line, column, rule, message, mend."""
    mends = {rule.name: rule.mend for rule in examine.RULES}
    rows = [{**asdict(finding), "mend": mends.get(finding.rule, "")} for finding in found]
    return json.dumps(rows, indent=1) + "\n"


def guide() -> str:
    """The page that lists every rule with why and mend."""
    parts = [_HEAD, *(_section(rule) for rule in examine.RULES)]
    return "\n".join(parts)


def _explained(rule: Rule) -> list[str]:
    why = textwrap.wrap(f"why: {rule.why}", width=110, initial_indent="    ", subsequent_indent="         ")
    return [*why, "    mend:", *(f"      {line}" for line in rule.mend.split("\n")), ""]


def _section(rule: Rule) -> str:
    what = (rule.check.__doc__ or "").strip()
    why = textwrap.fill(rule.why, width=120)
    return f"## {rule.name}\n\n{what}\n\n{why}\n\n```yaml\n{rule.mend}\n```\n"


_HEAD = """# accel-ci doctor

<!-- Written by python tools/generate.py from src/accel_ci/doctor: change it there. -->

`accel-ci doctor [FILES ...]` looks through workflows for what costs money, secrets or truth and what other tools do not
see. It needs PyYAML (`pip install 'accel-ci[doctor]'`), no account and no network, and runs nothing of what it reads.

```sh
accel-ci doctor                          # .github/workflows of this directory
accel-ci doctor path/to/repository a.yml
accel-ci doctor --json                   # for programs: path, line, column, rule, message, mend
```

It ends with 0 when it finds nothing, with 1 when it finds something, and with 2 when there is no workflow. Each finding
has its place, and the first of each rule says why it matters and what mends it, to be pasted. A comment
`# accel-ci: ignore[rule]`, on the line of a finding or alone on the line above, leaves it out: say why behind it.
Scripts are read line by line, so a rule can err: it asks for a look, not for obedience.

Beside it use [zizmor](https://docs.zizmor.sh), which sees template injection and more, and actionlint.
"""
