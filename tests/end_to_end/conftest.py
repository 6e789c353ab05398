"""A project and a home for each end-to-end test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.end_to_end import quick_uv
from tests.end_to_end import runner as runners
from tests.end_to_end.runner import Runner, git
from tests.end_to_end.terminal import Terminal
from tests.servers.simulator import SimulatorProcess

TESTS = """
import pytest

def test_pass(): pass

def test_fail(): assert 1 + 1 == 3, "arithmetic"

@pytest.mark.skip(reason="not today")
def test_skip(): pass
"""


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    """A project of three tests (pass, fail, skip) and an empty home; both paths hold a space."""
    project, home = tmp_path / "my project", tmp_path / "my home"
    project.mkdir()
    home.mkdir()
    (project / "test_three.py").write_text(TESTS)
    return Terminal(project, home)


@pytest.fixture(scope="module")
def cloud_of_all(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    """One simulated cloud for all journeys of a module."""
    with closing(SimulatorProcess(tmp_path_factory.mktemp("cloud"))) as running:
        yield running


@pytest.fixture
def cloud(cloud_of_all: SimulatorProcess) -> SimulatorProcess:
    """The simulated cloud with all knobs at rest."""
    cloud_of_all.turn()
    return cloud_of_all


@pytest.fixture
def runner(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Runner:
    """A repository with three tests (pass, fail, skip), and a runner that has what we ship."""
    runners.ship(tmp_path)
    quick_uv.install(tmp_path / "tools", store=tmp_path_factory.getbasetemp().parent / "locks")
    repository = tmp_path / "server/org/hello"
    repository.mkdir(parents=True)
    (tmp_path / "home").mkdir()
    git(repository, "init", "-q")
    (repository / "test_three.py").write_text(TESTS)
    git(repository, "add", "-A")
    git(repository, "commit", "-qm", "three tests")
    return Runner(tmp_path)
