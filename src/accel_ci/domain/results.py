"""Test results, counted from single cases."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum


class Outcome(StrEnum):
    """How one test ended, in pytest's own words; `error` is a failure outside the test's body."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    SKIPPED = "skipped"
    XFAILED = "xfailed"
    XPASSED = "xpassed"


BAD = frozenset({Outcome.FAILED, Outcome.ERROR})


@dataclass(frozen=True, slots=True, kw_only=True)
class TestCase:
    """One test on one worker. `name` is the whole node id; `message` the failure's text, capped; all hostile text.

    `attempts` counts executions: more than one means that it was re-run after a failure.
    """

    __test__ = False  # not a test class for pytest

    name: str
    outcome: Outcome
    duration_s: float = 0.0
    message: str = ""
    worker: int = 0
    attempts: int = 1

    @property
    def flaky(self) -> bool:
        """True when the same commit both failed and passed this test."""
        return self.attempts > 1 and self.outcome is Outcome.PASSED


class Kind(StrEnum):
    """Who wrote a results file: our own pytest plugin while the tests ran, or the user's test runner afterwards."""

    PLUGIN = "plugin"
    JUNIT = "junit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What one results file told. `incomplete` says why the end of it is missing ("" when it is whole);

    `warnings` holds contradictions, such as a suite that claims other numbers than its cases show.
    """

    source: str
    kind: Kind = Kind.JUNIT
    worker: int = 0
    cases: tuple[TestCase, ...] = ()
    incomplete: str = ""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """All results of a run: counts by outcome, the cases worth naming, how many files told them, and what was wrong.

    `incomplete` says which files lack their end, and why; `problems` holds these and every other contradiction.
    """

    counts: dict[str, int] = field(default_factory=dict)
    failures: tuple[TestCase, ...] = ()
    flaky: tuple[TestCase, ...] = ()
    slowest: tuple[TestCase, ...] = ()
    duration_s: float = 0.0
    files: int = 0
    incomplete: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def bad(self) -> int:
        """How many tests failed or had an error."""
        return sum(self.counts.get(outcome.value, 0) for outcome in BAD)

    @property
    def total(self) -> int:
        """How many tests there were, whatever their outcome."""
        return sum(self.counts.values())


def merge(reports: Sequence[Report], *, slowest: int = 10) -> Results:
    """The results of several files and workers together, counted from their cases, each test run once."""
    reports = _without_doubles(reports)
    cases = [case for report in reports for case in report.cases]
    return Results(
        counts=_counts(cases),
        failures=tuple(case for case in cases if case.outcome in BAD),
        flaky=tuple(case for case in cases if case.flaky),
        slowest=tuple(heapq.nlargest(slowest, cases, key=lambda case: case.duration_s)),
        duration_s=sum(case.duration_s for case in cases),
        files=len(reports),
        incomplete=tuple(f"{report.source}: {report.incomplete}" for report in reports if report.incomplete),
        problems=tuple(problem for report in reports for problem in _problems(report)),
    )


def _without_doubles(reports: Sequence[Report]) -> list[Report]:
    """The reports, without the cases of JUnit files that tell nothing new: `pytest --junitxml` repeats our plugin.

    A file is only emptied when each of its tests, and each of its failures, is known from the plugin on that worker.
    """
    told: dict[int, set[tuple[str, bool]]] = {}
    for report in reports:
        if report.kind is Kind.PLUGIN:
            told.setdefault(report.worker, set()).update(_facts(report))
    return [
        replace(report, cases=())
        if report.kind is Kind.JUNIT and _facts(report) <= told.get(report.worker, set())
        else report
        for report in reports
    ]


# The last part of a name is all that a node id and a JUnit case have in common; a failure must be known as one.
def _facts(report: Report) -> set[tuple[str, bool]]:
    return {(case.name.rsplit("::", 1)[-1], case.outcome in BAD) for case in report.cases}


def _counts(cases: Iterable[TestCase]) -> dict[str, int]:
    counted = Counter(case.outcome for case in cases)
    return {outcome.value: counted[outcome] for outcome in Outcome if counted[outcome]}


def _problems(report: Report) -> list[str]:
    cut = [f"{report.source}: incomplete: {report.incomplete}"] if report.incomplete else []
    return cut + [f"{report.source}: {warning}" for warning in report.warnings]
