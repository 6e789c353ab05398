"""Judgement: test reports can only make a verdict worse, and every verdict has a sentence that says why."""

from __future__ import annotations

from typing import Any

import pytest

from accel_ci.domain import judgement
from accel_ci.domain.record import PhaseFacts, WorkerEnd
from accel_ci.domain.results import Outcome, Results, TestCase
from accel_ci.domain.verdict import WORST_FIRST, Reason, Verdict

GOOD = Results(counts={"passed": 3, "skipped": 1}, files=1)
BAD = Results(counts={"passed": 3, "failed": 1, "error": 1}, files=1)
ONE_BAD = Results(counts={"error": 1}, files=1)
EMPTY = Results(files=1)
ABSENT = Results()
CUT = Results(counts={"passed": 3}, files=1, incomplete=("pytest-1.jsonl: the test process ended before its summary",))
ALL = (GOOD, BAD, ONE_BAD, EMPTY, ABSENT, CUT)


@pytest.mark.parametrize(
    ("results", "expected", "reason"),
    [
        (BAD, False, "exit code 0, but 2 tests failed"),
        (ONE_BAD, False, "exit code 0, but 1 test failed"),
        (EMPTY, False, "exit code 0, but no test ran"),
        (EMPTY, True, "exit code 0, but no test ran"),
        (ABSENT, True, "exit code 0, but no test report was found"),
        (
            CUT,
            False,
            "exit code 0, but the test report is incomplete: pytest-1.jsonl: the test process ended before its summary",
        ),
    ],
)
def test_a_pass_that_the_reports_contradict_is_failed(results: Results, expected: bool, reason: str) -> None:
    """Exit code 0 is not enough where the reports say otherwise."""
    assert judgement.worsened(Verdict.PASSED, results, expected=expected) == (Verdict.FAILED, reason)


@pytest.mark.parametrize(("results", "expected"), [(GOOD, True), (GOOD, False), (ABSENT, False)])
def test_a_pass_that_the_reports_confirm_stays(results: Results, expected: bool) -> None:
    """Good reports, and no report where none was asked for, change neither the verdict nor its reason."""
    assert judgement.worsened(Verdict.PASSED, results, reason="run ended", expected=expected) == (
        Verdict.PASSED,
        "run ended",
    )


@pytest.mark.parametrize("results", [EMPTY, ABSENT])
def test_no_test_is_fine_where_the_user_says_so(results: Results) -> None:
    """`allow_no_tests` excuses missing tests."""
    given = judgement.worsened(Verdict.PASSED, results, expected=True, allow_no_tests=True)
    assert given == (Verdict.PASSED, "")


@pytest.mark.parametrize("results", [BAD, CUT])
def test_allowing_no_tests_excuses_nothing_else(results: Results) -> None:
    """Failing tests and cut reports stay contradictions."""
    assert judgement.worsened(Verdict.PASSED, results, expected=False, allow_no_tests=True)[0] is Verdict.FAILED


@pytest.mark.parametrize("verdict", [verdict for verdict in Verdict if verdict is not Verdict.PASSED])
@pytest.mark.parametrize("results", ALL)
def test_no_other_verdict_changes(verdict: Verdict, results: Results) -> None:
    """In particular none gets better, and an infrastructure failure never becomes the code's fault."""
    given = judgement.worsened(verdict, results, reason="why", expected=True)
    assert given == (verdict, "why")


@pytest.mark.parametrize("results", ALL)
def test_a_verdict_never_gets_better(results: Results) -> None:
    """The outcome is at least as bad as the exit code said."""
    for verdict in Verdict:
        worse, _ = judgement.worsened(verdict, results, expected=False)
        assert WORST_FIRST.index(worse) <= WORST_FIRST.index(verdict)


def test_the_record_keeps_counts_whole_and_names_bounded() -> None:
    """At most 200 failures, with messages of at most 4,000 characters that keep their ends."""
    cases = tuple(
        TestCase(
            name=f"test_{number}", outcome=Outcome.FAILED, message="begin" + "x" * 9000 + "end", worker=2, attempts=3
        )
        for number in range(500)
    )
    facts = judgement.facts(Results(counts={"failed": 500}, failures=cases, problems=("odd",) * 500))
    assert (facts.counts, len(facts.failures), len(facts.problems)) == ({"failed": 500}, 200, 100)
    first = facts.failures[0]
    assert (first.name, first.outcome, first.worker, first.attempts) == ("test_0", "failed", 2, 3)
    assert len(first.message) == 4000
    assert first.message.startswith("begin")
    assert first.message.endswith("end")


def _phase(*ends: WorkerEnd, verdict: Verdict) -> PhaseFacts:
    return PhaseFacts(name="run", started_at=100, ended_at=1300.4, verdict=verdict, workers=list(ends))


def _end(verdict: Verdict, reason: Reason | None, **more: Any) -> WorkerEnd:
    return WorkerEnd(worker=more.pop("worker", 0), verdict=verdict, reason=reason, **more)


@pytest.mark.parametrize(
    ("end", "sentence"),
    [
        (_end(Verdict.PASSED, Reason.EXITED, exit_code=0), "run ended with exit code 0"),
        (_end(Verdict.FAILED, Reason.EXITED, exit_code=3), "run ended with exit code 3"),
        (_end(Verdict.FAILED, Reason.EXITED, signal=11), "run was ended by signal 11"),
        (_end(Verdict.TIMED_OUT, Reason.TIMED_OUT), "run ran into its time limit after 1200 s"),
        (
            _end(Verdict.TIMED_OUT, Reason.LEASE_EXPIRED),
            "run was still running at the end of the lease, after 1200 s",
        ),
        (_end(Verdict.CANCELLED, Reason.CANCELLED), "run was cancelled"),
        (_end(Verdict.INFRA_ERROR, Reason.UNATTENDED), "run was ended because nobody was connected any more"),
        (_end(Verdict.INFRA_ERROR, Reason.NOT_STARTED, detail="no bash"), "run could not be started: no bash"),
        (_end(Verdict.PREEMPTED, None, detail="spot"), "run has no valid end record: spot"),
        (_end(Verdict.INFRA_ERROR, None), "run has no valid end record: the machine gave no reason"),
    ],
)
def test_every_end_has_its_sentence(end: WorkerEnd, sentence: str) -> None:
    """The sentence says what happened, in words that do not need our source."""
    assert judgement.sentence(_phase(end, verdict=end.verdict)) == sentence


def test_the_worker_that_decided_is_named() -> None:
    """With several workers the sentence names the one whose end made the verdict."""
    ends = (
        _end(Verdict.CANCELLED, Reason.CANCELLED, worker=0),
        _end(Verdict.FAILED, Reason.EXITED, worker=1, exit_code=1),
    )
    assert judgement.sentence(_phase(*ends, verdict=Verdict.FAILED)) == "run ended with exit code 1 on w1"
    good = [_end(Verdict.PASSED, Reason.EXITED, worker=index, exit_code=0) for index in range(4)]
    assert judgement.sentence(_phase(*good, verdict=Verdict.PASSED)) == "run ended with exit code 0 on all 4 workers"


def test_a_phase_without_workers_has_a_sentence() -> None:
    """Nothing came back from anywhere."""
    assert judgement.sentence(_phase(verdict=Verdict.INFRA_ERROR)) == "run left no end record"
