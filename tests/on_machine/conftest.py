"""Worker roots for the tests of supervisor and courier; nothing may be alive when a test is over."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

import pytest

from tests.on_machine import worker_root
from tests.on_machine.worker_root import WorkerRoot


@pytest.fixture
def root(tmp_path: pathlib.Path) -> Iterator[WorkerRoot]:
    """A worker root whose path has spaces in it."""
    made = WorkerRoot(tmp_path / "worker 0 root")
    yield made
    made.clean_up()


@pytest.fixture(params=sorted(worker_root.interpreters()))
def any_root(tmp_path: pathlib.Path, request: pytest.FixtureRequest) -> Iterator[WorkerRoot]:
    """A worker root for each interpreter that is here: ours, and the oldest that machines may have."""
    made = WorkerRoot(tmp_path / "worker 0 root", worker_root.interpreters()[request.param])
    yield made
    made.clean_up()
