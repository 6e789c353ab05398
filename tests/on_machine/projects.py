"""Small pytest projects, run by a real pytest in a process of its own, with our plugin on its path."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from accel_ci.domain import results
from accel_ci.domain.results import Report
from accel_ci.formats import reportlog

PLUGIN = Path(__file__).parents[2] / "src/accel_ci/on_machine"
SUMMARY = re.compile(r"(\d+) (passed|failed|error|skipped|xfailed|xpassed)")


@dataclass(frozen=True)
class Ran:
    """What a pytest process left: its exit code, what it printed, and what the plugin wrote."""

    code: int
    output: str
    errors: str
    reports: list[Report]

    @property
    def report(self) -> Report:
        """The one report there is."""
        (only,) = self.reports
        return only

    @property
    def counts(self) -> dict[str, int]:
        """Outcomes counted from the recorded cases."""
        return results.merge(self.reports).counts

    @property
    def summary(self) -> dict[str, int]:
        """Outcomes by pytest's own last line."""
        last = [line for line in self.output.splitlines() if SUMMARY.search(line)][-1]
        return {name: int(number) for number, name in SUMMARY.findall(last)}

    def outcome(self, test: str) -> str:
        """How the only case whose name ends in `test` ended."""
        (case,) = [case for case in self.report.cases if case.name.endswith(test)]
        return case.outcome.value


class Project:
    """A directory laid out as on a machine: source/ beside results/."""

    def __init__(self, root: Path) -> None:
        self.source = root / "source"
        self.results = root / "results"
        self.source.mkdir()

    def write(self, **files: str) -> Project:
        """Add modules, by name without `.py`."""
        for name, text in files.items():
            (self.source / f"{name}.py").write_text(textwrap.dedent(text))
        return self

    def environment(self) -> dict[str, str]:
        """As the supervisor sets it, with nothing of the pytest that we are in."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("ACCEL_CI", "PYTEST"))}
        ours = {"ACCEL_CI_RESULTS": str(self.results), "PYTHONPATH": str(PLUGIN), "PYTHONDONTWRITEBYTECODE": "1"}
        return {**kept, **ours}

    def pytest(self, *options: str, directory: str = ".", **environment: str) -> Ran:
        """Run pytest."""
        return self.run(
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:hypothesispytest", *options],
            directory=directory,
            environment=environment,
        )

    def run(
        self,
        command: list[str],
        *,
        directory: str = ".",
        limit: Callable[[], None] | None = None,
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> Ran:
        """Run a command in the source directory; variables given as "" are taken away."""
        given = {name: value for name, value in {**self.environment(), **environment}.items() if value}
        done = subprocess.run(
            command,
            cwd=self.source / directory,
            env=given,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            preexec_fn=limit,
        )
        files = sorted(self.results.glob("pytest-*.jsonl"), key=lambda path: path.stat().st_mtime_ns)
        reports = [reportlog.parse(path.read_bytes(), source=path.name) for path in files]
        return Ran(code=done.returncode, output=done.stdout, errors=done.stderr, reports=reports)
