"""Input fields that hold quantities: durations, sizes, counts."""

from __future__ import annotations

import re
from dataclasses import dataclass

from accel_ci.inputs.fields import FieldError, Syntax

# A number alone would be minutes to GitHub and seconds to most clouds.
_DURATION = re.compile(r"(?:([0-9]{1,5})h)?(?:([0-9]{1,6})m)?(?:([0-9]{1,7})s)?")
# MB is two different numbers: only units that are one are taken; the others are understood well enough to correct.
_SIZE = re.compile(r"([0-9]{1,9})(B|KiB|MiB|GiB)")
_LOOSE_SIZE = re.compile(r"([0-9]{1,9})\s*([kmg]?)i?b?", re.IGNORECASE)
_BYTES = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


@dataclass(frozen=True)
class Duration(Syntax):
    """Hours, minutes and seconds (`1h30m`, `30m`, `90s`), within bounds written the same way."""

    least: str
    most: str

    def read(self, text: str) -> int:
        """Seconds."""
        wanted = seconds(text)
        if wanted < seconds(self.least):
            raise FieldError("is too short", f"at least {self.least}")
        if wanted > seconds(self.most):
            raise FieldError("is too long", f"at most {self.most}")
        return wanted


@dataclass(frozen=True)
class Size(Syntax):
    """A number of bytes with its unit: `500KiB`, `100MiB`, `1GiB`; at most `most`."""

    most: str

    def read(self, text: str) -> int:
        """Bytes."""
        wanted = _bytes(text)
        if wanted > _bytes(self.most):
            raise FieldError("is too large", f"at most {self.most}")
        return wanted


@dataclass(frozen=True)
class Count(Syntax):
    """A whole number from `least` to `most`."""

    least: int
    most: int

    @property
    def kind(self) -> str:
        """What readers call it."""
        return "number"

    def read(self, text: str) -> int:
        """The number."""
        number = int(text) if re.fullmatch(r"[0-9]{1,12}", text) else -1
        if not self.least <= number <= self.most:
            raise FieldError("is not such a number", f"a whole number from {self.least} to {self.most}")
        return number


def seconds(text: str) -> int:
    """The seconds of a duration such as `1h30m`, or of a sum such as `20m + 25m`; FieldError for anything else."""
    # Expressions in workflows cannot add: `${{ inputs.timeout }} + 25m` can.
    return sum(_seconds(part.strip()) for part in text.split("+"))


def _seconds(text: str) -> int:
    parts = _DURATION.fullmatch(text)
    if not text or parts is None:
        unit = f"say the unit: `{text}m` or `{text}s`" if re.fullmatch("[0-9]{1,5}", text) else ""
        raise FieldError("is not a duration", unit or "write something like `90s`, `30m` or `1h30m`")
    hours, minutes, rest = (int(part or 0) for part in parts.groups())
    return hours * 3600 + minutes * 60 + rest


def duration(total: int) -> str:
    """Seconds as people write them: `1h30m`; "0s" for none."""
    parts = ((total // 3600, "h"), (total // 60 % 60, "m"), (total % 60, "s"))
    return "".join(f"{number}{unit}" for number, unit in parts if number) or "0s"


def _bytes(text: str) -> int:
    found = _SIZE.fullmatch(text)
    if found is None:
        loose = _LOOSE_SIZE.fullmatch(text)
        unit = {"k": "KiB", "m": "MiB", "g": "GiB", "": "B"}[loose[2].lower()] if loose else ""
        hint = f"did you mean `{loose[1]}{unit}`?" if loose else "write something like `100MiB` or `1GiB`"
        raise FieldError("is not a size", hint)
    return int(found[1]) * _BYTES[found[2]]
