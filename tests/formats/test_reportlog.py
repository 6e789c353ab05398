"""Reading what our pytest plugin wrote: whole, cut short, or forged."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accel_ci.domain.results import Kind, Outcome, Report
from accel_ci.formats import reportlog
from accel_ci.formats.limits import Limits

START = {"event": "start", "version": 1, "pytest": "9.2.0", "rootdir": ""}
END = {"event": "end", "exit_status": 0, "counts": {}, "unrun": 0, "lost": 0}


def _begin(name: str) -> dict[str, Any]:
    return {"event": "begin", "name": name}


def _case(name: str, outcome: str = "passed", **more: Any) -> dict[str, Any]:
    return {"event": "case", "name": name, "outcome": outcome, "when": "call", "duration_s": 0.5, **more}


def _written(*events: Any) -> bytes:
    return "".join(json.dumps(event) + "\n" for event in events).encode()


def _parse(*events: Any, **options: Any) -> Report:
    return reportlog.parse(_written(*events), source="pytest-7.jsonl", **options)


def test_a_whole_session_is_read() -> None:
    """Every case comes with its name, outcome, seconds, message and worker; nothing is missing."""
    report = _parse(START, _begin("a"), _case("a"), _case("b", "failed", message="boom"), END, worker=3)
    assert (report.kind, report.worker, report.incomplete, report.warnings) == (Kind.PLUGIN, 3, "", ())
    assert [(case.name, case.outcome, case.duration_s, case.message, case.worker) for case in report.cases] == [
        ("a", Outcome.PASSED, 0.5, "", 3),
        ("b", Outcome.FAILED, 0.5, "boom", 3),
    ]


def test_a_missing_end_is_incomplete_and_names_the_tests_under_way() -> None:
    """At most three of them, for there is one per worker of pytest-xdist."""
    begun = [_begin(name) for name in "abcdef"]
    report = _parse(START, *begun, _case("a"))
    assert len(report.cases) == 1
    assert report.incomplete == "the test process ended before its summary; under way: b, c, d and 2 more"


def test_an_empty_file_is_incomplete() -> None:
    """A process that was killed while it opened the file left no test, which is not the same as no tests."""
    assert _parse().incomplete == "the test process ended before its summary"


def test_a_broken_last_line_is_incomplete() -> None:
    """A line that was cut while it was written costs that line only."""
    content = _written(START, _case("a")) + b'{"event":"case","name":"b","outc'
    report = reportlog.parse(content, source="x")
    assert [case.name for case in report.cases] == ["a"]
    assert "ended before its summary" in report.incomplete


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"event": "case", "name": 1}',
        b"[" * 100_000,
        b"9" * 5000,
        b'{"a": "' + b"x" * 99,
    ],
)
def test_lines_that_are_no_events_make_it_incomplete(line: bytes) -> None:
    """Whatever stands in a line, the others are read, and the loss is told."""
    report = reportlog.parse(_written(START) + line + b"\n" + _written(_case("a"), END), source="x")
    assert (len(report.cases), report.incomplete) == (1, "1 test events were lost")


def test_events_that_the_plugin_could_not_write_make_it_incomplete() -> None:
    """The plugin counts what it lost."""
    assert _parse(START, _case("a"), {**END, "lost": 2}).incomplete == "2 test events were lost"


@pytest.mark.parametrize("start", [{**START, "version": 2}, {"event": "start"}, _case("first")])
def test_another_version_is_not_trusted(start: dict[str, Any]) -> None:
    """A file without our version in its first line could mean anything."""
    assert _parse(start, _case("a"), END).incomplete == "it was not written by this version of accel-ci"


@pytest.mark.parametrize(
    ("status", "incomplete"),
    [(0, ""), (1, ""), (5, ""), (2, "pytest was interrupted"), (3, "pytest stopped with an internal error")],
)
def test_exit_statuses_that_cut_a_session_short_are_told(status: int, incomplete: str) -> None:
    """Interrupted sessions and pytest's own failures did not run what they were to run."""
    assert _parse(START, _case("a"), {**END, "exit_status": status}).incomplete == incomplete


def test_an_interruption_by_collection_errors_tells_itself() -> None:
    """pytest ends with status 2 after errors of the collection too: the errors are cases, nothing is missing."""
    report = _parse(START, _case("test_a.py", "error", when="collect"), {**END, "exit_status": 2})
    assert (report.incomplete, report.cases[0].outcome) == ("", Outcome.ERROR)


def test_attempts_are_counted_and_the_last_failure_is_kept() -> None:
    """Re-runs become attempts of the one case that follows; a flaky case shows why it failed before."""
    again = [_case("a", "rerun", message="first"), _case("a", "rerun", message="second")]
    (case,) = _parse(START, *again, _case("a"), END).cases
    assert (case.attempts, case.flaky, case.message) == (3, True, "second")


def test_subtests_of_an_attempt_that_was_repeated_do_not_count() -> None:
    """pytest-rerunfailures takes them out of the summary as well; those of the last attempt stay."""
    part = _case("a [x]", "failed", part_of="a")
    report = _parse(START, part, _case("a", "rerun"), part, _case("a", "failed"), END)
    assert [(case.name, case.attempts) for case in report.cases] == [("a [x]", 1), ("a", 2)]


def test_a_count_that_differs_from_pytests_summary_is_a_warning() -> None:
    """Lines may have been taken out of the file."""
    report = _parse(START, _case("a"), {**END, "counts": {"passed": 1, "failed": 2, "rerun": 1}, "unrun": 4})
    assert report.warnings == (
        "4 collected tests did not run",
        "pytest's summary says 2 failed, but 0 were recorded",
    )


def test_names_begin_with_the_root_directory() -> None:
    """A session below the source directory has its place in its tests' names."""
    report = _parse({**START, "rootdir": "packages/core"}, _case("test_a.py::test"), END)
    assert report.cases[0].name == "packages/core/test_a.py::test"


def test_lone_surrogates_cannot_break_what_is_written_later() -> None:
    """JSON can carry half characters that UTF-8 cannot: they are replaced."""
    report = _parse(START, _case("\ud800", "failed", message="\udfff"), END)
    assert (report.cases[0].name, report.cases[0].message) == ("?", "?")


@pytest.mark.parametrize("seconds", [-1, 1e300, 10**4000, "1", None, True, [], float("inf"), float("nan")])
def test_durations_that_make_no_sense_are_none(seconds: object) -> None:
    """A forged duration cannot spoil sums."""
    report = _parse(START, {**_case("a"), "duration_s": seconds}, END)
    assert report.cases[0].duration_s == 0.0


def test_numbers_of_thousands_of_digits_end_no_reading() -> None:
    """JSON's integers have any length, and Python prints none beyond 4,300 digits: they count as very many."""
    giant = 10**4299
    report = _parse(START, _case("a"), {**END, "lost": giant, "unrun": giant, "counts": {"passed": giant}})
    assert report.incomplete == "1000000000 test events were lost"
    assert len("".join(report.warnings)) < 300


def test_limits_bound_what_is_read() -> None:
    """Too many cases, too many bytes and too long lines are cut and told; names and messages are clipped."""
    cases = [_case(f"test_{number}") for number in range(10)]
    many = _parse(START, *cases, END, limit=Limits(cases=4))
    assert (len(many.cases), many.incomplete) == (4, "it has more than 4 cases, the rest was not read")
    large = _parse(START, *cases, END, limit=Limits(size=400))
    assert 0 < len(large.cases) < 10
    assert large.incomplete == "it has more than 400 bytes, the rest was not read"
    wide = _parse(START, _case("a", message="m" * 300), END, limit=Limits(line=300))
    assert (wide.cases, wide.incomplete) == ((), "1 test events were lost")
    long = _parse(START, _case("n" * 9999, "failed", message="m" * 99999), END)
    assert (len(long.cases[0].name), len(long.cases[0].message)) == (1000, 4000)


EVENTS: st.SearchStrategy[list[dict[str, Any]]] = st.lists(
    st.dictionaries(
        st.sampled_from(["event", "name", "outcome", "part_of", "duration_s", "message", "version", "counts", "lost"]),
        st.sampled_from(
            ["start", "case", "begin", "end", "passed", "failed", "rerun", "a", 1, -3, None, [], {}, {"a": 1}]
        ),
    ),
    max_size=12,
)


@given(EVENTS)
def test_no_sequence_of_events_breaks_the_reader(events: list[dict[str, Any]]) -> None:
    """Whatever the lines hold, a report comes back, and it never has more cases than lines."""
    assert len(_parse(*events).cases) <= len(events)


@given(st.binary(max_size=300))
def test_no_bytes_break_the_reader(content: bytes) -> None:
    """Bytes that are no report of ours are an incomplete one."""
    assert reportlog.parse(content, source="x").incomplete != ""
