"""Results: several files and workers counted together, each test once."""

from __future__ import annotations

from accel_ci.domain import results
from accel_ci.domain.results import Kind, Outcome, Report, TestCase


def _case(
    name: str, outcome: Outcome = Outcome.PASSED, *, worker: int = 0, attempts: int = 1, s: float = 0
) -> TestCase:
    return TestCase(name=name, outcome=outcome, worker=worker, attempts=attempts, duration_s=s)


def _plugin(*cases: TestCase, worker: int = 0, incomplete: str = "") -> Report:
    return Report(source="pytest-1.jsonl", kind=Kind.PLUGIN, worker=worker, cases=cases, incomplete=incomplete)


def _junit(*cases: TestCase, worker: int = 0, warnings: tuple[str, ...] = (), incomplete: str = "") -> Report:
    return Report(source="junit.xml", worker=worker, cases=cases, warnings=warnings, incomplete=incomplete)


def test_counts_come_from_the_cases_of_all_files() -> None:
    """Outcomes without a case are absent; the total is their sum."""
    merged = results.merge([_plugin(_case("a"), _case("b", Outcome.FAILED)), _junit(_case("c", Outcome.ERROR))])
    assert (merged.counts, merged.total, merged.bad, merged.files) == ({"passed": 1, "failed": 1, "error": 1}, 3, 2, 2)


def test_the_same_test_on_two_workers_is_two_tests() -> None:
    """Each worker ran it."""
    assert results.merge([_plugin(_case("a")), _plugin(_case("a", worker=1), worker=1)]).total == 2


def test_failures_flaky_and_slow_tests_are_named() -> None:
    """A flaky test passed after a failure; a test that failed every time is not flaky."""
    cases = [_case("a", s=3), _case("b", attempts=2, s=5), _case("c", Outcome.FAILED, attempts=3, s=4)]
    merged = results.merge([_plugin(*cases)], slowest=2)
    assert [[case.name for case in named] for named in (merged.failures, merged.flaky, merged.slowest)] == [
        ["c"],
        ["b"],
        ["b", "c"],
    ]
    assert merged.duration_s == 12


def test_a_junit_file_that_repeats_the_plugin_is_counted_once() -> None:
    """`pytest --junitxml` beside our plugin tells the same tests in other words; its warnings stay."""
    ours = _plugin(_case("tests/test_a.py::T::test_x[1]"), _case("tests/test_a.py::test_y", Outcome.FAILED))
    theirs = _junit(_case("tests.test_a.T::test_x[1]"), _case("tests.test_a::test_y", Outcome.ERROR), warnings=("odd",))
    merged = results.merge([theirs, ours])
    assert (merged.counts, merged.problems) == ({"passed": 1, "failed": 1}, ("junit.xml: odd",))


def test_a_junit_file_that_tells_anything_new_is_counted_whole() -> None:
    """A test, a failure or a worker that the plugin did not see is never dropped: that could hide a failure."""
    ours = _plugin(_case("test_a.py::test_x"))
    for new in (
        _junit(_case("test_a::test_x"), _case("test_a::test_new")),
        _junit(_case("test_a::test_x", Outcome.FAILED)),
        _junit(_case("test_a::test_x", worker=1), worker=1),
    ):
        assert results.merge([ours, new]).total == 1 + len(new.cases)


def test_files_without_their_end_are_incomplete_and_a_problem() -> None:
    """What is incomplete is told apart from mere contradictions."""
    merged = results.merge([_plugin(incomplete="killed"), _junit(warnings=("claims 2",), incomplete="cut")])
    assert merged.incomplete == ("pytest-1.jsonl: killed", "junit.xml: cut")
    assert merged.problems == (
        "pytest-1.jsonl: incomplete: killed",
        "junit.xml: incomplete: cut",
        "junit.xml: claims 2",
    )


def test_nothing_is_nothing() -> None:
    """No file at all is no test and no file."""
    merged = results.merge([])
    assert (merged.counts, merged.total, merged.files, merged.problems) == ({}, 0, 0, ())
