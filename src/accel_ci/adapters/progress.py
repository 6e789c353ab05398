"""Which of many progress texts a log that cannot be redrawn shows, and how durations read."""

from __future__ import annotations

import re

REPEAT_S = 30.0


class Pace:
    """Lets a text through when it is new, and again every `REPEAT_S`; another count in it does not make it new."""

    def __init__(self) -> None:
        self._subject: str | None = None
        self._since = 0.0
        self._shown = 0.0

    def elapsed(self, text: str, now: float) -> float:
        """For how many seconds this text has been the current one."""
        subject = re.sub(r"(?<![\w-])\d[\d.:]*", "#", text)  # counts and times, not the 1 of us-central1
        if subject != self._subject:
            self._subject, self._since, self._shown = subject, now, float("-inf")
        return now - self._since

    def due(self, now: float) -> bool:
        """True when the current text should be shown now; asking counts as showing it."""
        due = now - self._shown >= REPEAT_S
        self._shown = now if due else self._shown
        return due


def duration(seconds: float) -> str:
    """A duration for people: 0.4 s, 59 s, 3 min 05 s, 2 h 10 min."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60:02} min"
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def line(text: str, seconds: float) -> str:
    """The text with how long it has been true; nothing is added in the first second."""
    return f"{text} ({duration(seconds)})" if seconds >= 1 else text
