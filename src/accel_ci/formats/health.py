"""What probe.py told of a machine's accelerators, through guest attributes: read as data, whatever it is."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from accel_ci.formats import output

FACTS = ("name", "devices", "driver", "cuda", "memory_mib")
PROBLEMS = 5
CHARACTERS = 120


@dataclass(frozen=True, slots=True)
class Health:
    """Facts by name (see FACTS) as clean text, and what is wrong, in a few clean lines; nothing when all is well."""

    facts: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


def read(text: str) -> Health:
    """The health that the text tells; a problem when it is no such text."""
    try:
        told = json.loads(text)
        # Cut before they are cleaned: a list may be as long as an attribute can hold.
        problems = [output.one_line(str(each), CHARACTERS) for each in told["problems"][:PROBLEMS]]
        facts = {
            name: output.one_line(str(told[name]), CHARACTERS) for name in FACTS if told.get(name) not in (None, "")
        }
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return Health(problems=(f"the probe's answer cannot be read: {output.one_line(text, CHARACTERS)}",))
    return Health(facts, tuple(problems))


def together(hosts: Sequence[Health]) -> Health:
    """The health of a machine of these hosts: the first one's facts, all devices, and each problem with its host."""
    if len(hosts) == 1:
        return hosts[0]
    counts = [each.facts.get("devices", "") for each in hosts]
    devices = {"devices": str(sum(map(int, counts)))} if all(map(str.isdecimal, counts)) else {}
    problems = [f"w{number}: {problem}" for number, each in enumerate(hosts) for problem in each.problems]
    return Health({**(hosts[0].facts if hosts else {}), **devices}, tuple(problems[:PROBLEMS]))
