"""JUnit XML in the style of many writers, counted from its cases; and what attackers and crashes make of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accel_ci.domain.results import Kind, Outcome, Report
from accel_ci.formats import junit
from accel_ci.formats.limits import Limits

SAMPLES = Path(__file__).parent / "junit"
BARE = """<testsuite><testcase/><testcase><skipped/></testcase></testsuite>"""
COUNTS = {
    "pytest": {"passed": 2, "failed": 1, "error": 1, "skipped": 1},
    "surefire": {"passed": 2, "failed": 1, "skipped": 1},
    "go-junit-report": {"passed": 1, "failed": 1, "skipped": 1},
    "gtest": {"passed": 2, "failed": 1},
    "jest": {"passed": 1, "error": 1},
    "nextest": {"passed": 1, "failed": 1},
    "nested-suites": {"passed": 2, "failed": 1},
    "namespaced": {"passed": 1, "failed": 1},
}


def _parse(text: str | bytes, limit: Limits | None = None) -> Report:
    content = text.encode() if isinstance(text, str) else text
    return junit.parse(content, source="junit.xml", limit=limit or Limits())


def _sample(writer: str) -> Report:
    """A document of ours in the style of this writer."""
    return _parse((SAMPLES / f"{writer}.xml").read_bytes())


def _counts(report: Report) -> dict[str, int]:
    outcomes = [case.outcome.value for case in report.cases]
    return {outcome: outcomes.count(outcome) for outcome in set(outcomes)}


@pytest.mark.parametrize("writer", COUNTS)
def test_cases_are_counted_from_their_own_children(writer: str) -> None:
    """At any depth, whatever the suites claim, in the style of every writer."""
    report = _sample(writer)
    assert (_counts(report), report.incomplete, report.kind) == (COUNTS[writer], "", Kind.JUNIT)


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        (BARE, {"passed": 1, "skipped": 1}),
        ("<testsuite><testcase><testcase/></testcase></testsuite>", {"passed": 2}),
        ("<testsuites/>", {}),
        ("<testcase name='alone'/>", {"passed": 1}),
    ],
)
def test_cases_are_found_wherever_they_are(text: str, counts: dict[str, int]) -> None:
    """Without names, below another case, without a suite; no case at all is no case."""
    assert (_counts(_parse(text)), _parse(text).incomplete) == (counts, "")


def test_a_case_has_a_name_seconds_and_the_whole_failure() -> None:
    """The message attribute and the text are one message; neither is said twice."""
    cases = {case.name: case for case in _sample("pytest").cases}
    large = cases["tests.test_chip::test_large[f32]"]
    assert large.duration_s == 1.25
    assert large.message == "assert 3 == 4\ndef test_large():\n>   assert 3 == 4\nE   assert 3 == 4"
    assert cases["tests.test_chip::test_later"].message == "later\nx.py:4"


def test_a_name_is_completed_from_its_suite() -> None:
    """Cases without a class name carry their suite's name; without any they are still counted."""
    assert [case.name for case in _sample("nested-suites").cases] == ["math::a", "math::b", "Io::c"]
    assert [case.name for case in _parse(BARE).cases] == ["(unnamed)", "(unnamed)"]


def test_attempts_of_surefire_and_nextest_are_kept() -> None:
    """A flaky failure is a pass after two attempts; failed re-runs add to the attempts of a failure."""
    steady, broken = _sample("surefire").cases[1:3]
    assert (steady.outcome, steady.attempts, steady.flaky, steady.message) == (Outcome.PASSED, 2, True, "late\ntrace1")
    assert (broken.outcome, broken.attempts) == (Outcome.FAILED, 3)
    assert _sample("nextest").cases[0].flaky


def test_thousands_separators_are_understood() -> None:
    """Surefire writes 1,200.5 for twenty minutes."""
    assert _sample("surefire").cases[0].duration_s == 1200.5


@pytest.mark.parametrize("seconds", ["", "-1", "nan", "inf", "1e999", "fast", "9" * 400, "0x10"])
def test_times_that_make_no_sense_are_none(seconds: str) -> None:
    """A duration is a sensible number or 0."""
    assert _parse(f"<testsuite><testcase time='{seconds}'/></testsuite>").cases[0].duration_s == 0.0


@pytest.mark.parametrize(
    ("children", "outcome"),
    [
        ("<skipped/><failure/>", Outcome.FAILED),
        ("<error/><failure/>", Outcome.FAILED),
        ("<error/><skipped/>", Outcome.ERROR),
        ("<flakyFailure/><failure/>", Outcome.FAILED),
        ("<system-out/><properties/>", Outcome.PASSED),
        ("<properties><failure/></properties>", Outcome.PASSED),
    ],
)
def test_the_worst_child_decides(children: str, outcome: Outcome) -> None:
    """A failure is never hidden by what stands beside it; only direct children count."""
    assert _parse(f"<testsuite><testcase name='a'>{children}</testcase></testsuite>").cases[0].outcome is outcome


@pytest.mark.parametrize("child", ["error", "failure"])
def test_an_error_of_a_suite_is_an_error_case(child: str) -> None:
    """A suite that broke outside of its tests cannot look green; its claims may include that or not."""
    broken = f"<{child} message='no disk'>trace</{child}>"
    report = _parse(f"<testsuite name='io' tests='1' errors='1'>{broken}<testcase name='a'/></testsuite>")
    assert [(case.name, case.outcome, case.message) for case in report.cases] == [
        ("io (outside of its tests)", Outcome.ERROR, "no disk\ntrace"),
        ("io::a", Outcome.PASSED, ""),
    ]
    assert report.warnings == ()


def test_claims_that_the_cases_contradict_are_warnings() -> None:
    """Both ways: a suite that claims no failure and shows one, and one that claims one and shows none."""
    text = """<testsuites><testsuite name="green" tests="1" failures="0"><testcase><failure/></testcase></testsuite>
    <testsuite name="red" tests="2" failures="1" errors="-4" skipped="many"><testcase/></testsuite></testsuites>"""
    assert _parse(text).warnings == (
        "suite 'green' claims failures=0, its cases show 1",
        "suite 'red' claims failures=1, its cases show 0",
        "suite 'red' claims tests=2, its cases show 1",
    )


@pytest.mark.parametrize("writer", ["pytest", "go-junit-report", "nextest", "nested-suites"])
def test_honest_claims_are_no_warnings(writer: str) -> None:
    """Claims may be of a suite alone or of everything below it."""
    assert _sample(writer).warnings == ()


def test_cases_that_say_that_they_did_not_run_are_warned_of() -> None:
    """gtest says so in an attribute only; by its children the case passed."""
    assert "1 cases count as passed, but say that they did not run" in _sample("gtest").warnings


def test_a_document_of_another_kind_has_no_cases_and_a_warning() -> None:
    """A coverage report that a glob caught is not a test report."""
    report = _parse("<coverage version='7'><packages/></coverage>")
    assert (report.cases, report.warnings) == ((), ("its root element is <coverage>, not <testsuites>",))


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("<testsuite><testcase name='a'/><testcase name='b'><failure message='m'>tex", {"passed": 1, "failed": 1}),
        ("<testsuite><testcase name='a'/><testcase name='b'>", {"passed": 1}),
        ("<testsuite><testcase name='a'/><testcase name='b", {"passed": 1}),
        ("<testsuite><testcase name='a'/></testsuite>\nBUILD SUCCESS\n", {"passed": 1}),
        ("<testsuite><testcase name='a'/></testsuite><testsuite/>", {"passed": 1}),
        ("<testsuite><testcase name='a'/><testcase name='b'>a & b</testcase></testsuite>", {"passed": 1}),
        ("<testsuite><testcase name='a'/></testcase></testsuite>", {"passed": 1}),
        ("<testsuite><error>lost connec", {"error": 1}),
        ("", {}),
        ("Traceback (most recent call last):", {}),
    ],
)
def test_a_broken_file_keeps_what_came_before_the_break(text: str, counts: dict[str, int]) -> None:
    """It is incomplete; a case that was open counts only when it was known to be bad."""
    report = _parse(text)
    assert _counts(report) == counts
    assert report.incomplete.startswith("it is not well-formed XML: ")


@pytest.mark.parametrize(
    "document",
    [
        '<!DOCTYPE lolz [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]><testsuite><testcase name="&b;"/></testsuite>',
        '<!DOCTYPE x SYSTEM "file:///etc/passwd"><testsuite/>',
        '<!DOCTYPE x [<!ENTITY % p SYSTEM "http://example.invalid/x">%p;]><testsuite/>',
        "<!DOCTYPE testsuite><testsuite/>",
    ],
)
def test_document_types_are_refused(document: str) -> None:
    """No entity is expanded and nothing outside is asked for."""
    report = _parse(document)
    assert (report.cases, report.incomplete) == ((), "it has a document type definition, which is not read")


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf<?xml version='1.0'?>" + BARE.encode(),
        b"\n\n  <?xml version='1.0' encoding='utf-8'?>\n" + BARE.encode(),
        b"<?xml version='1.1' encoding='no-such-thing'?>" + BARE.encode(),
        b"<?xml version='1.0' encoding='zip'?>" + BARE.encode(),
        b"<?xml version='1.0' encoding='ISO-8859-12'?>" + BARE.encode(),
        ("<?xml version='1.0' encoding='UTF-16'?>" + BARE).encode("utf-16"),
        BARE.encode("utf-16-le"),
        BARE.encode("utf-16-be"),
        b"\xff\xfe\0\0" + BARE.encode("utf-32-le"),
    ],
)
def test_odd_beginnings_and_encodings_are_read(content: bytes) -> None:
    """Byte order marks, blank lines, wrong declarations: the cases are the same."""
    report = _parse(content)
    assert (_counts(report), report.incomplete) == ({"passed": 1, "skipped": 1}, "")


def test_declared_single_byte_encodings_are_read() -> None:
    """A name in Latin-1 comes out as it was meant."""
    content = "<?xml version='1.0' encoding='ISO-8859-1'?><testsuite><testcase name='größe'/></testsuite>"
    assert _parse(content.encode("latin-1")).cases[0].name == "größe"


def test_characters_that_xml_forbids_do_not_break_the_file() -> None:
    """Control characters, references to them, bytes that are no UTF-8: replaced, and everything else is kept."""
    name = b"\x1b[31m&#27;&#0;&#xD800;&#xFFFF;&#x41;\xff\xef\xbf\xbf"
    text = b"<testsuite><testcase name='" + name + b"'><failure>a\x00b</failure></testcase></testsuite>"
    (case,) = _parse(text).cases
    assert (case.name, case.message) == ("?[31m????A\ufffd?", "a?b")


def test_large_outputs_are_passed_over() -> None:
    """12 MB of system-out cost no case, and none of it is kept."""
    text = "<testsuite><testcase name='a'><system-out>" + "x" * 12_000_000 + "</system-out></testcase></testsuite>"
    report = _parse(text)
    assert (len(report.cases), report.cases[0].message, report.incomplete) == (1, "", "")


def test_long_texts_are_clipped() -> None:
    """Names have at most 1,000 characters and messages 4,000."""
    text = f"<testsuite><testcase name='{'n' * 5000}'><failure>{'m' * 500_000}</failure></testcase></testsuite>"
    (case,) = _parse(text).cases
    assert (len(case.name), len(case.message)) == (1000, 4000)


@pytest.mark.parametrize(
    ("text", "limit", "incomplete"),
    [
        ("<testsuite>" * 100_000, Limits(), "its elements are nested more than 100 deep, the rest was not read"),
        ("<testsuite>" + "<testcase/>" * 9, Limits(cases=5), "it has more than 5 cases, the rest was not read"),
        (
            "<testsuite>" + "<testcase><failure/></testcase>" * 9,
            Limits(cases=5),
            "it has more than 5 cases, the rest was not read",
        ),
        (
            "<testsuite>" + "<testcase/>" * 9 + "</testsuite>",
            Limits(size=80),
            "it has more than 80 bytes, the rest was not read",
        ),
        ("<testsuite/>" + " " * 99, Limits(size=80), "it has more than 80 bytes, the rest was not read"),
        (
            "<testsuite name='" + "a" * 40_000_000,
            Limits(),
            "one of its tags has no end for 16 MiB, the rest was not read",
        ),
    ],
    ids=["depth", "cases", "failures", "size", "blanks", "tag"],
)
def test_limits_bound_what_is_read(text: str, limit: Limits, incomplete: str) -> None:
    """Whatever goes beyond a limit makes the report incomplete; the cases before it are kept."""
    report = _parse(text, limit)
    assert report.incomplete == incomplete
    assert len(report.cases) <= limit.cases


def test_warnings_are_bounded() -> None:
    """A million lying suites make twenty warnings."""
    assert len(_parse("<testsuites>" + "<testsuite tests='7'/>" * 5000 + "</testsuites>").warnings) == 20


def test_pytest_itself_writes_what_we_read(tmp_path: Path, pytester_junit: str) -> None:
    """The XML of the installed pytest has the counts that its own tests were made to have."""
    assert _counts(_parse(pytester_junit)) == {"passed": 1, "failed": 1, "error": 1, "skipped": 2}


@pytest.fixture
def pytester_junit(tmp_path: Path) -> str:
    """JUnit XML of a small project, written by the installed pytest in a process of its own."""
    from tests.on_machine.projects import Project

    text = """
        import pytest
        @pytest.fixture
        def broken(): yield; raise OSError("after")
        def test_passes(): pass
        def test_teardown(broken): pass
        def test_fails(): assert 0, "\\x1b[31m\\x00"
        def test_skips(): pytest.skip("x")
        @pytest.mark.xfail
        def test_xfails(): assert 0
    """
    project = Project(tmp_path).write(test_a=text)
    project.pytest("--junitxml=out.xml")
    return (project.source / "out.xml").read_text()


FRAGMENTS = st.sampled_from(
    [
        "<testsuite>",
        "</testsuite>",
        "<testcase name='a'>",
        "</testcase>",
        "<testcase/>",
        "<failure>",
        "</failure>",
        "<skipped/>",
        "<error/>",
        "text",
        "&#1;",
        "&",
        "<![CDATA[",
        "]]>",
        "\x00",
        "<!--",
        "-->",
        "<?x?>",
    ]
)


@given(st.lists(FRAGMENTS, max_size=30))
def test_no_mixture_of_fragments_breaks_the_reader(fragments: list[str]) -> None:
    """Whatever the document is, a report comes back with no more cases than it has tags that could be cases."""
    text = "".join(fragments)
    assert len(_parse(text).cases) <= text.count("<testcase") + text.count("<failure") + text.count("<error")


@given(st.binary(max_size=400))
def test_no_bytes_break_the_reader(content: bytes) -> None:
    """Any bytes make a report."""
    assert isinstance(_parse(content), Report)
