"""Test results, counted from single cases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What one results file told. `incomplete` says why the end of it is missing ("" when it is whole);

    `warnings` holds contradictions, such as a suite that claims other numbers than its cases show.
    """

    source: str
    cases: tuple[TestCase, ...] = ()
    incomplete: str = ""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """All results of a run: counts by outcome, the cases worth naming, and what was wrong with the files."""

    counts: dict[str, int] = field(default_factory=dict)
    failures: tuple[TestCase, ...] = ()
    flaky: tuple[TestCase, ...] = ()
    slowest: tuple[TestCase, ...] = ()
    duration_s: float = 0.0
    problems: tuple[str, ...] = ()

    @property
    def total(self) -> int:
        """How many tests there were, whatever their outcome."""
        return sum(self.counts.values())


def merge(reports: Sequence[Report], *, slowest: int = 10) -> Results:
    """The results of several files and workers together, counted from their cases."""
    cases = [case for report in reports for case in report.cases]
    return Results(
        counts=_counts(cases),
        failures=tuple(case for case in cases if case.outcome in BAD),
        flaky=tuple(case for case in cases if case.flaky),
        slowest=tuple(sorted(cases, key=lambda case: -case.duration_s)[:slowest]),
        duration_s=sum(case.duration_s for case in cases),
        problems=tuple(problem for report in reports for problem in _problems(report)),
    )


def _counts(cases: Iterable[TestCase]) -> dict[str, int]:
    counted = Counter(case.outcome for case in cases)
    return {outcome.value: counted[outcome] for outcome in Outcome if counted[outcome]}


def _problems(report: Report) -> list[str]:
    cut = [f"{report.source}: incomplete: {report.incomplete}"] if report.incomplete else []
    return cut + [f"{report.source}: {warning}" for warning in report.warnings]
