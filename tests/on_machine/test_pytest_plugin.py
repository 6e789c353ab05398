"""The plugin survives what happens to test runs, and nobody's tests notice it."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import pytest

from accel_ci.domain.results import Outcome
from tests.on_machine.projects import Project

PASSING = "def test_one(): pass\ndef test_two(): pass\n"
NESTED = """
    pytest_plugins = "pytester"

    def test_in_this_process(pytester):
        pytester.makepyfile("def test_inner(): assert 0")
        pytester.runpytest_inprocess().assert_outcomes(failed=1)

    def test_in_another_process(pytester):
        pytester.makepyfile("def test_inner(): assert 0")
        pytester.runpytest_subprocess().assert_outcomes(failed=1)

    def test_without_our_path(pytester, monkeypatch):
        monkeypatch.delenv("PYTHONPATH")
        pytester.makepyfile("def test_inner(): pass")
        pytester.runpytest_subprocess().assert_outcomes(passed=1)
"""
KILLED = """
    import os, signal

    def test_one(): pass
    def test_two(): assert 0, "before the end"
    def test_three(): os.kill(os.getpid(), signal.SIGKILL)
    def test_four(): pass
"""
FORKED = """
    import os, time

    def test_one(): pass

    def test_forks():
        child = os.fork()
        if child:
            os.waitpid(child, 0)

    def test_three(): pass
"""
REPLACED = """
    import builtins, json, os, time
    import pytest

    def nothing(*args, **kwargs):
        raise AssertionError("not to be called")

    @pytest.fixture
    def without_a_world(monkeypatch):
        for module, name in ((json, "dumps"), (json, "JSONEncoder"), (os, "write"), (builtins, "open"), (os, "getpid")):
            monkeypatch.setattr(module, name, nothing)

    def test_one(without_a_world): pass
    def test_two(without_a_world): assert 0
"""


def test_a_killed_process_loses_the_test_under_way_only(tmp_path: Path) -> None:
    """After SIGKILL all earlier outcomes are there, and the report says which test was under way."""
    ran = Project(tmp_path).write(test_killed=KILLED).pytest()
    assert ran.code == -9
    assert [(case.name, case.outcome) for case in ran.report.cases] == [
        ("test_killed.py::test_one", Outcome.PASSED),
        ("test_killed.py::test_two", Outcome.FAILED),
    ]
    assert ran.report.incomplete == ("the test process ended before its summary; under way: test_killed.py::test_three")


def test_pytest_runs_inside_of_tests_are_not_the_users_tests(tmp_path: Path) -> None:
    """Runs by pytester, in the process and outside, write nothing and find what they expect."""
    ran = Project(tmp_path).write(test_nested=NESTED).pytest()
    assert ran.counts == ran.summary == {"passed": 3}, ran.output


def test_runs_in_a_row_each_write_a_report(tmp_path: Path) -> None:
    """Two processes started by one shell, and two sessions in one process, are all counted."""
    project = Project(tmp_path).write(test_a=PASSING, twice="import pytest\npytest.main()\npytest.main()\n")
    shell = f"{sys.executable} -m pytest -q; {sys.executable} -m pytest -q; {sys.executable} twice.py"
    ran = project.run(["bash", "-c", shell])
    assert [len(report.cases) for report in ran.reports] == [2, 2, 2, 2]
    assert {report.incomplete for report in ran.reports} == {""}


@pytest.mark.parametrize(
    ("options", "environment"),
    [((), {"ACCEL_CI_RESULTS": ""}), (("-p", "no:accel_ci_pytest"), {}), ((), {"PYTHONPATH": "elsewhere"})],
    ids=["no results directory", "switched off", "PYTHONPATH replaced"],
)
def test_where_it_is_not_wanted_it_does_nothing(
    tmp_path: Path, options: tuple[str, ...], environment: dict[str, str]
) -> None:
    """pytest runs as ever, and no file is written."""
    ran = Project(tmp_path).write(test_a=PASSING).pytest(*options, **environment)
    assert (ran.code, ran.reports, ran.errors) == (0, [], "")


def test_it_can_be_named_as_a_plugin_as_well(tmp_path: Path) -> None:
    """PYTEST_PLUGINS and `-p` beside the entry point neither break the run nor count twice."""
    ran = Project(tmp_path).write(test_a=PASSING).pytest("-p", "accel_ci_pytest", PYTEST_PLUGINS="accel_ci_pytest")
    assert (ran.code, ran.counts) == (0, {"passed": 2})


def test_a_results_directory_that_cannot_be_written_costs_one_warning(tmp_path: Path) -> None:
    """The run passes as it would have, with one line on stderr, even where warnings are errors."""
    project = Project(tmp_path).write(test_a=PASSING)
    project.results.write_text("a file is in the way")
    ran = project.pytest("-W", "error")
    assert (ran.code, ran.summary) == (0, {"passed": 2})
    assert ran.errors.startswith("accel-ci: 1 test events were not recorded: FileExistsError")
    assert ran.errors.count("\n") == 1


def test_a_full_disk_makes_the_report_incomplete(tmp_path: Path) -> None:
    """Events that could not be written are not silently missing; the run itself goes on."""
    project = Project(tmp_path).write(
        test_a="import pytest\n@pytest.mark.parametrize('n', range(50))\ndef test(n): pass"
    )

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))

    ran = project.run([sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q"], limit=limit)
    assert (ran.code, ran.summary) == (0, {"passed": 50})
    assert 0 < len(ran.report.cases) < 50
    assert ran.report.incomplete.startswith("the test process ended before its summary")
    assert "were not recorded" in ran.errors


def test_a_forked_child_that_goes_on_writes_nothing(tmp_path: Path) -> None:
    """Both processes run the rest of the tests; only the first one's count."""
    ran = Project(tmp_path).write(test_forked=FORKED).pytest("-p", "no:terminal", "-s")
    assert (ran.counts, ran.report.incomplete) == ({"passed": 3}, "")


def test_tests_that_replace_what_it_uses_do_not_hurt_it(tmp_path: Path) -> None:
    """json, os and open may be replaced while an outcome is written."""
    ran = Project(tmp_path).write(test_replaced=REPLACED).pytest("-p", "no:terminal")
    assert (ran.counts, ran.report.incomplete, ran.errors) == ({"passed": 1, "failed": 1}, "", "")


def test_long_failures_are_cut_in_the_middle(tmp_path: Path) -> None:
    """One failure writes at most 64 Ki characters of text, with its beginning and its end."""
    text = "def test_long():\n    print('x')\n    raise ValueError('begin ' + 'x' * 10**6 + ' end')"
    project = Project(tmp_path).write(test_long=text)
    ran = project.pytest()
    (file,) = project.results.iterdir()
    assert 64 * 1024 < file.stat().st_size < 67 * 1024
    assert "characters left out" in ran.report.cases[0].message
    assert "test_long.py:3: ValueError" in ran.report.cases[0].message


def test_names_begin_at_the_source_directory(tmp_path: Path) -> None:
    """Two packages with a root directory each have the same node ids; their directories tell them apart."""
    project = Project(tmp_path)
    for package in ("left", "right"):
        (project.source / package).mkdir()
        (project.source / package / "pytest.ini").write_text("[pytest]\n")
        (project.source / package / "test_a.py").write_text("def test_one(): pass\n")
        ran = project.pytest(directory=package)
    assert sorted(case.name for report in ran.reports for case in report.cases) == [
        "left/test_a.py::test_one",
        "right/test_a.py::test_one",
    ]


def test_an_interrupted_run_is_incomplete(tmp_path: Path) -> None:
    """Ctrl-C ends pytest with a summary of what ran so far, which is not all."""
    text = "import os, signal\ndef test_one(): pass\ndef test_two(): os.kill(os.getpid(), signal.SIGINT)"
    ran = Project(tmp_path).write(test_a=text).pytest()
    assert (ran.code, ran.counts, ran.report.incomplete) == (2, {"passed": 1}, "pytest was interrupted")


def test_an_early_exit_with_code_0_is_told(tmp_path: Path) -> None:
    """`pytest.exit(returncode=0)` looks like success; the tests that never ran are warned of."""
    text = "import pytest\ndef test_one(): pytest.exit('enough', returncode=0)\ndef test_two(): pass"
    ran = Project(tmp_path).write(test_a=text).pytest()
    assert (ran.code, ran.report.warnings) == (0, ("2 collected tests did not run",))


def test_a_broken_conftest_hook_is_an_internal_error(tmp_path: Path) -> None:
    """pytest's own failure leaves an incomplete report, not an empty good one."""
    conftest = "def pytest_runtest_call(item):\n    pass\ndef pytest_runtest_logfinish(): raise RuntimeError('hook')"
    ran = Project(tmp_path).write(conftest=conftest, test_a=PASSING).pytest()
    assert (ran.code, ran.report.incomplete) == (3, "pytest stopped with an internal error")
