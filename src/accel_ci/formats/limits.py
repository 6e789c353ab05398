"""How much of a results file is read: whoever runs the tests can write anything into it."""

from __future__ import annotations

from dataclasses import dataclass

from accel_ci.domain import clipping

MIB = 1024 * 1024
MAX_SECONDS = 10.0**8  # three years: more than any machine lives


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The most that is read of one file: bytes, cases, levels; characters of a line, a name, a message; warnings."""

    size: int = 256 * MIB
    line: int = MIB
    cases: int = 1_000_000
    depth: int = 100
    name: int = 1000
    message: int = 4000
    warnings: int = 20


USUAL = Limits()


def text(value: object, limit: int) -> str:
    """The value if it is text, clipped and fit for UTF-8; "" for anything else."""
    if not isinstance(value, str):
        return ""
    if len(value) > limit:
        value = clipping.clip(value, limit)
    # JSON can carry half a surrogate pair, which would break everything that writes UTF-8 later.
    return value if value.isascii() else value.encode("utf-8", "replace").decode()


def seconds(value: object) -> float:
    """The value if it is a sensible number of seconds, 0 otherwise."""
    # Compared before it is converted: JSON's integers have any length, and one that no float can hold raises.
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= MAX_SECONDS:
        return 0.0
    return float(value)
