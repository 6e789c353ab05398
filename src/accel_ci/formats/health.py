"""What probe.py told of a machine's accelerators, through guest attributes: read as data, whatever it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
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
        problems = [output.one_line(str(each), CHARACTERS) for each in told["problems"]]
        facts = {
            name: output.one_line(str(told[name]), CHARACTERS) for name in FACTS if told.get(name) not in (None, "")
        }
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return Health(problems=(f"the probe's answer cannot be read: {output.one_line(text, CHARACTERS)}",))
    return Health(facts, tuple(problems[:PROBLEMS]))
