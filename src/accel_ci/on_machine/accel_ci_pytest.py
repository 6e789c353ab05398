"""A pytest plugin that writes what happens to $ACCEL_CI_RESULTS/pytest-<pid>.jsonl, while it happens.

One JSON object a line, each written by one unbuffered write, so that a killed process loses the test under way only:
  {"event": "start", "version": 1, "pytest": "9.2.0", "rootdir": "" or where node ids begin, below the source}
  {"event": "begin", "name": node id}
  {"event": "case", "name", "outcome", "when", "duration_s", "message", "part_of": node id of a subtest's test}
  {"event": "end", "exit_status", "counts": pytest's own summary, "unrun": collected tests without outcome, "lost"}

It changes nothing about the run; what goes wrong in here costs a line, and one warning at the end.
PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from types import TracebackType

VERSION = 1
RECORDER = "accel_ci_recorder"
# Set while a session is recorded: pytest runs started by tests, in this process or another, are not the user's tests.
ACTIVE = "ACCEL_CI_PYTEST_ACTIVE"
OUTCOMES = frozenset(("passed", "failed", "error", "skipped", "xfailed", "xpassed", "rerun"))
MAX_MESSAGE = 64 * 1024
MAX_NAME = 4000


def pytest_configure(config: pytest.Config) -> None:
    """Register the recorder in the outermost pytest process of a phase; do nothing anywhere else."""
    directory = os.environ.get("ACCEL_CI_RESULTS")
    # Workers of pytest-xdist have their reports counted by their controller.
    if directory and ACTIVE not in os.environ and not hasattr(config, "workerinput"):
        os.environ[ACTIVE] = str(os.getpid())
        config.pluginmanager.register(Recorder(config, directory), RECORDER)


class Recorder:
    """Writes one session. It keeps its own references to what tests like to replace (os, json, time)."""

    def __init__(self, config: pytest.Config, directory: str) -> None:
        self.config = config
        self.directory = os.path.abspath(directory)
        self.getpid = os.getpid
        self.pid = os.getpid()
        self.encode = json.JSONEncoder(separators=(",", ":")).encode
        self.survive = _Survive()
        self.file: Any = None
        self.session: Any = None
        self.setup_s: dict[str, float] = {}
        self.told: set[str] = set()

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Open the file."""
        with self.survive:
            self.file = _new_file(self.directory, self.pid)
            self.session = session
            self.write(event="start", version=VERSION, pytest=pytest.__version__, rootdir=self.rootdir())

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Say which test is under way, for the case that nothing more is heard of it."""
        with self.survive:
            self.write(event="begin", name=nodeid[:MAX_NAME])

    @pytest.hookimpl(trylast=True)  # after plugins that change a report's outcome
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Write the outcome of a test's phase, if it has one of its own in pytest's summary."""
        with self.survive:
            # A set-up or teardown that passed is in no category; asking every plugin about it would double our cost.
            if report.outcome == "passed" and report.when == "setup":
                self.setup_s[report.nodeid] = report.duration
            elif report.outcome != "passed" or report.when == "call":
                outcome = self.outcome(report)
                if outcome:
                    self.case(report, outcome, duration_s=report.duration + self.setup_s.pop(report.nodeid, 0.0))

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Write what could not be collected, as pytest counts it: an error, or a skipped module."""
        with self.survive:
            if report.outcome != "passed":
                self.case(report, "error" if report.failed else "skipped", duration_s=0.0)

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        """Write the end: the exit status is final only now."""
        if self.getpid() != self.pid:
            return
        os.environ.pop(ACTIVE, None)
        with self.survive:
            if self.session is not None:
                self.end(self.session)
        if self.file is not None:
            self.file.close()
        if self.survive.lost:
            print(f"accel-ci: {self.survive.lost} test events were not recorded: {self.survive.why}", file=sys.stderr)

    def end(self, session: pytest.Session) -> None:
        """Write the last line."""
        self.write(
            event="end",
            exit_status=int(getattr(session, "exitstatus", -1)),
            counts=self.summary(),
            unrun=max(0, session.testscollected - len(self.told)),
            lost=self.survive.lost,
        )

    def outcome(self, report: pytest.TestReport) -> str:
        """The category under which pytest's summary counts this report; "" when it is in none."""
        status = self.config.hook.pytest_report_teststatus(report=report, config=self.config)
        category = status[0] if status else report.outcome  # no plugin answers for a call under -p no:terminal
        if not category or category.startswith("subtests "):
            return ""  # parts that passed: pytest counts them apart from its tests
        if category in OUTCOMES:
            return str(category)
        # A category that some plugin made up: the exit status goes by the report's own outcome.
        return "error" if report.failed and report.when != "call" else str(report.outcome)

    def case(self, report: Any, outcome: str, *, duration_s: float) -> None:
        """Write one counted outcome."""
        name = report.nodeid[:MAX_NAME] or "(collection)"
        fields = {"name": name, "outcome": outcome, "when": report.when, "duration_s": round(duration_s, 6)}
        describe = getattr(report, "_sub_test_description", None) or getattr(report, "sub_test_description", None)
        if describe is not None:
            fields.update(name=f"{name} {describe()}"[:MAX_NAME], part_of=name)
        elif report.when != "collect" and outcome != "rerun":  # neither is the end of a collected test
            self.told.add(report.nodeid)
        if outcome != "passed":
            fields["message"] = _clipped(_message(report))
        self.write(event="case", **fields)

    def write(self, **event: object) -> None:
        """Write one line; a forked child that goes on like its parent writes nothing."""
        if self.file is None or self.getpid() != self.pid:
            return
        # The line before a lost one may have been written in part.
        line = (b"\n" if self.survive.lost else b"") + self.encode(event).encode() + b"\n"
        if self.file.write(line) != len(line):
            raise OSError("the disk is full")

    def summary(self) -> dict[str, int]:
        """The numbers of pytest's own summary line; empty without a terminal reporter."""
        reporter = self.config.pluginmanager.get_plugin("terminalreporter")
        stats = reporter.stats if reporter is not None else {}
        return {
            category: sum(bool(getattr(report, "count_towards_summary", True)) for report in stats[category])
            for category in sorted(OUTCOMES & set(stats))
        }

    def rootdir(self) -> str:
        """pytest's root directory below the source directory; "" when it is the same or elsewhere."""
        source = os.path.join(os.path.dirname(self.directory), "source")
        rootdir = str(getattr(self.config, "rootpath", None) or self.config.rootdir)  # type: ignore[attr-defined]
        below = os.path.relpath(os.path.realpath(rootdir), os.path.realpath(source))
        return "" if below.split(os.sep)[0] in (os.curdir, os.pardir) else below


class _Survive:
    """Swallows our own failures, counts them and keeps the first one's reason."""

    # A context, not a decorator: pluggy reads the arguments that a hook wants from its signature.
    def __init__(self) -> None:
        self.lost = 0
        self.why = ""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> bool:
        if not isinstance(error, Exception):
            return False
        self.lost += 1
        self.why = self.why or f"{type(error).__name__}: {error}"
        return True


def _new_file(directory: str, pid: int) -> Any:
    """A new file for one session; a process may run several, and process ids come again."""
    os.makedirs(directory, exist_ok=True)
    number = 1
    while True:
        name = f"pytest-{pid}.jsonl" if number == 1 else f"pytest-{pid}-{number}.jsonl"
        try:
            return open(os.path.join(directory, name), "xb", buffering=0)
        except FileExistsError:
            number += 1


def _message(report: Any) -> str:
    if hasattr(report, "wasxfail"):
        return str(report.wasxfail)
    if report.skipped and isinstance(report.longrepr, tuple):
        return str(report.longrepr[-1])
    return str(report.longreprtext)


def _clipped(text: str) -> str:
    if len(text) <= MAX_MESSAGE:
        return text
    cut = len(text) - MAX_MESSAGE
    return f"{text[: MAX_MESSAGE // 4]}\n[... {cut} characters left out ...]\n{text[-MAX_MESSAGE * 3 // 4 :]}"
