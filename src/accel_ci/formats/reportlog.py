"""What our pytest plugin wrote while the tests ran (see on_machine/accel_ci_pytest.py), one JSON object a line."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

from accel_ci.domain.results import BAD, Kind, Outcome, Report, TestCase
from accel_ci.formats import limits
from accel_ci.formats.limits import Limits

VERSION = 1
RERUN = "rerun"
INTERRUPTED = 2
INTERNAL_ERROR = 3
SHOWN_UNDER_WAY = 3
MAX_COUNT = 10**9
_OUTCOMES = {outcome.value: outcome for outcome in Outcome}


def parse(content: bytes, *, source: str, worker: int = 0, limit: Limits = limits.USUAL) -> Report:
    """The report of one session. Never raises: what cannot be read makes it incomplete, what was read is kept."""
    reader = _Reader(worker, limit)
    for line in content[: limit.size].decode("utf-8", "replace").split("\n"):
        if line and not reader.take(line):
            break
    cases = tuple(case for case in reader.cases[: limit.cases] if case is not None)
    return Report(
        source=source,
        kind=Kind.PLUGIN,
        worker=worker,
        cases=cases,
        incomplete=_too_much(content, reader, limit) or _incomplete(reader, cases),
        warnings=tuple(_warnings(reader, cases)),
    )


class _Reader:
    """The cases so far, in order, and what is needed to join the attempts of one test."""

    def __init__(self, worker: int, limit: Limits) -> None:
        self.worker = worker
        self.limit = limit
        self.cases: list[TestCase | None] = []
        self.start: Mapping[str, Any] = {}
        self.end: Mapping[str, Any] | None = None
        self.prefix = ""
        self.under_way: dict[str, None] = {}
        self.failed_attempts: dict[str, list[str]] = {}
        self.subtests: dict[str, list[int]] = {}
        self.unreadable = 0

    def take(self, line: str) -> bool:
        """Note one line; False when there are too many cases."""
        event = _event(line) if len(line) <= self.limit.line else {}
        # Plain comparisons: matching patterns would take twice as long for 100,000 tests.
        kind, name = event.get("event"), event.get("name")
        if kind == "begin" and isinstance(name, str):
            self.under_way[name] = None
        elif kind == "case" and isinstance(name, str):
            self.case(event, name, event.get("outcome"))
        elif kind == "start":
            self.start, self.prefix = event, _prefix(event, self.limit)
        elif kind == "end":
            self.end = event
        else:
            self.unreadable += 1
        return len(self.cases) <= self.limit.cases

    def case(self, event: Mapping[str, Any], name: str, outcome: object) -> None:
        """Note an outcome: a failed attempt that was repeated, or the end of a test or subtest."""
        message = limits.text(event.get("message", ""), self.limit.message)
        if outcome == RERUN:
            self.failed_attempts.setdefault(name, []).append(message)
            for index in self.subtests.pop(name, ()):  # pytest-rerunfailures takes them back as well
                self.cases[index] = None
        elif isinstance(outcome, str) and outcome in _OUTCOMES:
            self.finished(event, name, outcome=_OUTCOMES[outcome], message=message)
        else:
            self.unreadable += 1

    def finished(self, event: Mapping[str, Any], name: str, *, outcome: Outcome, message: str) -> None:
        """Keep a case, with the attempts before it."""
        part_of = event.get("part_of")  # a subtest does not end its test
        if isinstance(part_of, str):
            self.subtests.setdefault(part_of, []).append(len(self.cases))
        else:
            self.under_way.pop(name, None)
        failed = self.failed_attempts.get(name, ())
        self.cases.append(
            TestCase(
                name=self.prefix + limits.text(name, self.limit.name),
                outcome=outcome,
                duration_s=limits.seconds(event.get("duration_s")),
                message=message or (failed[-1] if failed else ""),  # why a flaky test failed before
                worker=self.worker,
                attempts=len(failed) + 1,
            )
        )


def _event(line: str) -> dict[str, Any]:
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):  # json recurses into brackets: 100,000 of them are one short line
        return {}
    return event if isinstance(event, dict) else {}


def _prefix(start: Mapping[str, Any], limit: Limits) -> str:
    rootdir = limits.text(start.get("rootdir"), limit.name)
    return f"{rootdir}/" if rootdir else ""


def _too_much(content: bytes, reader: _Reader, limit: Limits) -> str:
    if len(reader.cases) > limit.cases:
        return f"it has more than {limit.cases:,} cases, the rest was not read"
    if len(content) > limit.size:
        return f"it has more than {limit.size:,} bytes, the rest was not read"
    return ""


def _incomplete(reader: _Reader, cases: tuple[TestCase, ...]) -> str:
    if reader.end is None:
        return f"the test process ended before its summary{_under_way(reader)}"
    if reader.start.get("version") != VERSION:
        return "it was not written by this version of accel-ci"
    lost = _count(reader.end, "lost") + reader.unreadable
    if lost:
        return f"{lost} test events were lost"
    return _stopped(reader.end.get("exit_status"), cases)


def _under_way(reader: _Reader) -> str:
    names = [limits.text(name, 200) for name in reader.under_way]
    if not names:
        return ""
    more = f" and {len(names) - SHOWN_UNDER_WAY} more" if len(names) > SHOWN_UNDER_WAY else ""
    return f"; under way: {', '.join(names[:SHOWN_UNDER_WAY])}{more}"


def _stopped(exit_status: object, cases: tuple[TestCase, ...]) -> str:
    if exit_status == INTERNAL_ERROR:
        return "pytest stopped with an internal error"
    if exit_status == INTERRUPTED and not any(case.outcome in BAD for case in cases):
        return "pytest was interrupted"  # errors of the collection end with this status as well, and tell themselves
    return ""


def _warnings(reader: _Reader, cases: tuple[TestCase, ...]) -> list[str]:
    if reader.end is None:
        return []
    unrun = _count(reader.end, "unrun")
    warnings = [f"{unrun} collected tests did not run"] if unrun else []
    claimed = reader.end.get("counts")
    if isinstance(claimed, dict) and claimed:
        counted = Counter(case.outcome.value for case in cases)
        warnings += [
            f"pytest's summary says {_count(claimed, name)} {name}, but {counted[name]} were recorded"
            for name in _OUTCOMES
            if _count(claimed, name) != counted[name]
        ]
    return warnings


def _count(numbers: Mapping[str, Any], name: str) -> int:
    value = numbers.get(name)
    # A number of thousands of digits could not even be printed.
    return min(value, MAX_COUNT) if isinstance(value, int) and value > 0 else 0
