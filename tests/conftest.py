"""Tests that need a judge (tests/judges.py) which is not here are named in the summary."""

from __future__ import annotations

from collections.abc import Iterator

import hypothesis
import pytest

from tests import judges

# On a busy computer any example may wait for a core: how long it takes says nothing about us.
hypothesis.settings.register_profile("busy", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("busy")

NOT_RUN = pytest.StashKey[dict[str, str]]()
BY_WORKER = "accel_ci_not_run"


def pytest_configure(config: pytest.Config) -> None:
    """Know the marker."""
    config.addinivalue_line("markers", "judge(program): needs the program; named in the summary where it is missing")
    config.stash[NOT_RUN] = {}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Take out, and remember, what cannot run here; in CI everything stays and fails."""
    if judges.in_ci():
        return
    missing = {item: program for item in items for program in _missing(item)}
    config.stash[NOT_RUN].update((item.nodeid, program) for item, program in missing.items())
    items[:] = [item for item in items if item not in missing]
    config.hook.pytest_deselected(items=list(missing))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Fail what needs a judge that is not here; only in CI does such a test get this far."""
    for mark in item.iter_markers("judge"):
        for program in mark.args:
            judges.require(program)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Tell the controller of pytest-xdist, when we are one of its workers."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput[BY_WORKER] = session.config.stash[NOT_RUN]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: object, error: object) -> None:
    """Hear what a worker of pytest-xdist did not run."""
    told = getattr(node, "workeroutput", {}).get(BY_WORKER, {})
    node.config.stash[NOT_RUN].update(told)  # type: ignore[attr-defined]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Name what was not run."""
    for nodeid, program in sorted(config.stash[NOT_RUN].items()):
        terminalreporter.write_line(f"not run here: {nodeid} ({program} is not installed)", yellow=True)


def _missing(item: pytest.Item) -> Iterator[str]:
    for mark in item.iter_markers("judge"):
        yield from (program for program in mark.args if judges.find(program) is None)
