"""The plugin counts what pytest counts, whatever the tests do: its numbers against pytest's own last line."""

from __future__ import annotations

from pathlib import Path

import pytest

from accel_ci.domain.results import Outcome
from tests.on_machine.projects import Project

MIXED = """
    import pytest, unittest

    @pytest.fixture
    def broken_setup():
        raise OSError("no device")

    @pytest.fixture
    def broken_teardown():
        yield
        raise OSError("device is gone")

    def test_passes(): pass
    def test_fails(): assert [1, 2] == [1, 3]
    def test_error_before(broken_setup): pass
    def test_error_after(broken_teardown): pass
    def test_fails_and_error_after(broken_teardown): assert 0
    def test_skips(): pytest.skip("no chip")
    def test_xfails_inside(): pytest.xfail("known")

    @pytest.mark.skipif(True, reason="never")
    def test_never(): pass

    @pytest.mark.xfail(reason="known")
    def test_xfails(): assert 0

    @pytest.mark.xfail
    def test_xpasses(): pass

    @pytest.mark.xfail(strict=True)
    def test_xpasses_strictly(): pass

    @pytest.mark.parametrize("value", ["a::b", "ü", "\\n", "\\udc80", 3.5])
    def test_odd_names(value): pass
"""
UNITTEST = """
    import unittest

    class Broken(unittest.TestCase):
        @classmethod
        def setUpClass(cls): raise OSError("no device")
        def test_one(self): pass
        def test_two(self): pass

    class Parts(unittest.TestCase):
        def test_parts(self):
            for number in range(4):
                with self.subTest(number=number):
                    self.assertNotEqual(number % 2, 1)

        def test_skips(self): self.skipTest("not today")

        @unittest.expectedFailure
        def test_expected(self): self.fail()

        @unittest.expectedFailure
        def test_unexpected(self): pass

        def tearDown(self):
            if self._testMethodName == "test_skips": raise OSError("after")
"""
SUBTESTS = """
    def test_parts(subtests):
        for number in range(4):
            with subtests.test("part", number=number):
                assert number % 2 == 0

    def test_whole(subtests):
        with subtests.test("only"):
            pass
"""
RERUN = """
    import pytest
    seen = []

    @pytest.mark.flaky(reruns=3)
    def test_second_time(): seen.append(1); assert len(seen) == 2

    @pytest.mark.flaky(reruns=2)
    def test_never(): assert 0, "always"

    @pytest.fixture
    def odd_teardown():
        yield
        seen.append(2)
        assert seen.count(2) > 1

    @pytest.mark.flaky(reruns=2)
    def test_teardown(odd_teardown): pass

    @pytest.mark.flaky(reruns=2)
    def test_parts(subtests):
        seen.append(3)
        for number in range(3):
            with subtests.test(number=number):
                assert seen.count(3) > 1
"""
SITUATIONS = {
    "everything": ({"test_mixed": MIXED}, ()),
    "everything in parallel": ({"test_mixed": MIXED, "test_unit": UNITTEST}, ("-n", "2")),
    "every worker runs all": ({"test_mixed": MIXED}, ("--dist", "each", "--tx", "2*popen")),
    "unittest": ({"test_unit": UNITTEST}, ("-v",)),
    "subtests": ({"test_sub": SUBTESTS}, ("-vv",)),
    "re-runs": ({"test_rerun": RERUN}, ()),
    "re-runs in parallel": ({"test_rerun": RERUN}, ("-n", "2")),
    "a module that cannot be imported": ({"test_a": "import nothing_such", "test_b": "def test_b(): pass"}, ()),
    "the same in parallel": (
        {"test_a": "import nothing_such", "test_b": "def test_b(): pass"},
        ("-n", "2", "--continue-on-collection-errors"),
    ),
    "a module that is skipped": (
        {"test_a": "import pytest\npytest.importorskip('nothing_such')", "test_b": "def test_b(): pass"},
        (),
    ),
    "stopped at the first failure": ({"test_mixed": MIXED}, ("-x",)),
    "imported by importlib": ({"test_mixed": MIXED}, ("--import-mode=importlib", "-q")),
    "doctests": ({"plain": '"""\n>>> 1 + 1\n2\n>>> 1 + 1\n3\n"""'}, ("--doctest-modules",)),
    "a worker that crashes": (
        {"test_crash": "import os\ndef test_crash(): os._exit(9)\ndef test_other(): pass"},
        ("-n", "1"),
    ),
    "warnings are errors": ({"test_mixed": MIXED}, ("-W", "error")),
}


@pytest.mark.parametrize("situation", SITUATIONS)
def test_counts_are_those_of_pytests_own_last_line(tmp_path: Path, situation: str) -> None:
    """Cases counted from what the plugin wrote equal the numbers that pytest prints, and the report is whole."""
    files, options = SITUATIONS[situation]
    ran = Project(tmp_path).write(**files).pytest(*options)
    assert ran.counts == ran.summary, ran.output
    assert ran.report.incomplete == ""
    assert [warning for warning in ran.report.warnings if "summary" in warning] == []


def test_a_passing_call_with_a_failing_teardown_is_one_pass_and_one_error(tmp_path: Path) -> None:
    """Both are counted, under the same name, as pytest's summary does."""
    ran = Project(tmp_path).write(test_mixed=MIXED).pytest("-k", "test_error_after")
    assert [(case.name, case.outcome) for case in ran.report.cases] == [
        ("test_mixed.py::test_error_after", Outcome.PASSED),
        ("test_mixed.py::test_error_after", Outcome.ERROR),
    ]


def test_every_attempt_of_a_test_is_kept(tmp_path: Path) -> None:
    """A test that passes when run again is flaky, with the number of its attempts and the text of its failure."""
    ran = Project(tmp_path).write(test_rerun=RERUN).pytest("-k", "second or never")
    flaky, broken = ran.report.cases
    assert (flaky.attempts, flaky.flaky, "assert 1 == 2" in flaky.message) == (2, True, True)
    assert (broken.attempts, broken.outcome, "always" in broken.message) == (3, Outcome.FAILED, True)


def test_a_failing_subtest_is_named_with_its_parameters(tmp_path: Path) -> None:
    """Each failing part is a case of its own; passing parts are not, as in pytest's summary."""
    ran = Project(tmp_path).write(test_sub=SUBTESTS).pytest()
    assert [case.name for case in ran.report.cases] == [
        "test_sub.py::test_parts [part] (number=1)",
        "test_sub.py::test_parts [part] (number=3)",
        "test_sub.py::test_parts",
        "test_sub.py::test_whole",
    ]


def test_without_a_terminal_reporter_outcomes_are_the_same(tmp_path: Path) -> None:
    """`-p no:terminal` takes away the plugin that names passed and failed; the record does not change."""
    project = Project(tmp_path).write(test_mixed=MIXED)
    usual = project.pytest().counts
    for file in project.results.iterdir():
        file.unlink()
    assert project.pytest("-p", "no:terminal").counts == usual


def test_a_run_that_only_collects_says_that_nothing_ran(tmp_path: Path) -> None:
    """There is no case, and a warning tells how many tests did not run."""
    ran = Project(tmp_path).write(test_mixed=MIXED).pytest("--collect-only", "-k", "fails")
    assert (ran.code, ran.report.cases) == (0, ())
    assert ran.report.warnings == ("4 collected tests did not run",)
