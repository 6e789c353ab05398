"""Judging a run: why its phases ended as they did, and how its tests' results can make the verdict worse."""

from __future__ import annotations

from collections.abc import Iterable

from accel_ci.domain import clipping
from accel_ci.domain.record import CaseFacts, PhaseFacts, TestFacts, WorkerEnd
from accel_ci.domain.results import Results, TestCase
from accel_ci.domain.verdict import Reason, Verdict

MAX_CASES = 200
MAX_PROBLEMS = 100
MAX_MESSAGE = 4000


def worsened(
    verdict: Verdict,
    results: Results,
    *,
    reason: str = "",
    expected: bool,
    allow_no_tests: bool = False,
) -> tuple[Verdict, str]:
    """The verdict and its reason after the test reports had their say: a pass they contradict is `failed`.

    No other verdict changes, and none gets better. `expected`: the user named report files, so that their absence
    is a contradiction too.
    """
    if verdict is not Verdict.PASSED:
        return verdict, reason
    contradiction = _contradiction(results, expected=expected, allow_no_tests=allow_no_tests)
    return (Verdict.FAILED, f"exit code 0, but {contradiction}") if contradiction else (verdict, reason)


def _contradiction(results: Results, *, expected: bool, allow_no_tests: bool) -> str:
    # The most telling contradiction first.
    if results.bad:
        return f"{results.bad} {'test' if results.bad == 1 else 'tests'} failed"
    if results.incomplete:
        return f"the test report is incomplete: {results.incomplete[0]}"
    if results.total or allow_no_tests:
        return ""
    if results.files:
        return "no test ran"
    return "no test report was found" if expected else ""


def facts(results: Results) -> TestFacts:
    """The results as the run record keeps them: at most 200 failures and flaky tests, messages of 4,000 characters."""
    return TestFacts(
        counts=results.counts,
        failures=_cases(results.failures),
        flaky=_cases(results.flaky),
        slowest=_cases(results.slowest),
        duration_s=results.duration_s,
        problems=list(results.problems[:MAX_PROBLEMS]),
    )


def _cases(cases: Iterable[TestCase]) -> list[CaseFacts]:
    return [
        CaseFacts(
            name=case.name,
            outcome=case.outcome.value,
            worker=case.worker,
            duration_s=case.duration_s,
            message=clipping.clip(case.message, MAX_MESSAGE),
            attempts=case.attempts,
        )
        for case, _ in zip(cases, range(MAX_CASES), strict=False)
    ]


def sentence(phase: PhaseFacts) -> str:
    """Why the phase's verdict is what it is, naming the worker that decided it where there are several."""
    if phase.verdict is Verdict.PASSED:
        return f"{phase.name} ended with exit code 0" + (_on_all(phase) if len(phase.workers) > 1 else "")
    cause = next((end for end in phase.workers if end.verdict is phase.verdict), None)
    if cause is None:
        return f"{phase.name} left no end record"
    where = f" on w{cause.worker}" if len(phase.workers) > 1 else ""
    return f"{phase.name} {_cause(cause, phase)}{where}"


def _on_all(phase: PhaseFacts) -> str:
    return f" on all {len(phase.workers)} workers"


def _cause(end: WorkerEnd, phase: PhaseFacts) -> str:
    match end.reason:
        case Reason.EXITED if end.signal is not None:
            return f"was ended by signal {end.signal}"
        case Reason.EXITED:
            return f"ended with exit code {end.exit_code}"
        case Reason.TIMED_OUT:
            return f"ran into its time limit after {phase.ended_at - phase.started_at:.0f} s"
        case Reason.LEASE_EXPIRED:
            return f"was still running at the end of the lease, after {phase.ended_at - phase.started_at:.0f} s"
        case Reason.CANCELLED:
            return "was cancelled"
        case Reason.UNATTENDED:
            return "was ended because nobody was connected any more"
        case Reason.NOT_STARTED:
            return f"could not be started: {end.detail or 'the machine gave no reason'}"
        case _:
            return f"has no valid end record: {end.detail or 'the machine gave no reason'}"
