"""One simulator for the whole session, put back to rest for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.servers.simulator import SimulatorProcess
from tests.wire import compute_rest
from tests.wire.compute_rest import ComputeZone
from tests.wire.rest import Zone


@pytest.fixture(scope="session")
def _simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    running = SimulatorProcess(tmp_path_factory.mktemp("sim"), "--project", "p")
    try:
        yield running
    finally:
        running.close()


@pytest.fixture
def simulator(_simulator: SimulatorProcess) -> Iterator[SimulatorProcess]:
    """The running simulator with all knobs at rest; whatever the test left in it is removed afterwards."""
    _simulator.turn()
    yield _simulator
    _simulator.turn()
    Zone(_simulator, "-").clear()
    compute_rest.clear(_simulator)


@pytest.fixture
def zone(simulator: SimulatorProcess) -> Zone:
    """us-central1-b of the running simulator."""
    return Zone(simulator, "us-central1-b")


@pytest.fixture
def compute(simulator: SimulatorProcess) -> ComputeZone:
    """The same zone of Compute Engine."""
    return ComputeZone(simulator)
