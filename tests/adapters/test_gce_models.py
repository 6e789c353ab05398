"""Each way to be provisioned by Compute Engine, from the request to a machine that tells who it is, on the simulated cloud."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from accel_ci.adapters.gce import GceMachines
from accel_ci.domain.errors import BootError, NoCapacityError
from accel_ci.domain.lease import Lease
from accel_ci.domain.machine import Candidate, Creation, MachineSpec
from tests.adapters.gce_world import LEASE
from tests.servers.simulator import SimulatorProcess

ZONES = ("us-central1-a",)
LIMIT_S = 60.0


@pytest.fixture(scope="module")
def simulator_of_all(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    """One simulated cloud for all tests."""
    running = SimulatorProcess(tmp_path_factory.mktemp("sim"))
    yield running
    running.close()


@pytest.fixture
def simulator(simulator_of_all: SimulatorProcess) -> SimulatorProcess:
    """The simulated cloud with all knobs at rest."""
    simulator_of_all.turn()
    return simulator_of_all


def _lease(job: str) -> Lease:
    return replace(LEASE, key=replace(LEASE.key, job=job))


def _finished(machines: GceMachines, creation: Creation) -> Creation:
    deadline = time.monotonic() + LIMIT_S
    while creation.machine is None and time.monotonic() < deadline:
        time.sleep(0.05)
        creation = machines.poll(creation)
    return creation


def _released(machines: GceMachines, handle: str) -> None:
    machines.release(handle)
    deadline = time.monotonic() + LIMIT_S
    while not machines.released(handle) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert machines.released(handle)


@pytest.mark.judge("curl")
@pytest.mark.parametrize(
    ("model", "spot", "options"),
    [
        ("SPOT", True, {}),
        ("STANDARD", False, {}),
        ("FLEX_START", True, {"provisioning": "flex-start"}),
    ],
)
def test_a_machine_of_each_model(simulator: SimulatorProcess, model: str, spot: bool, options: dict[str, str]) -> None:
    """Asked for in the first place there is, with a limit that deletes; its driver works, its host key is its own; it ends."""
    simulator.turn(driver_s=0.5)
    machines, lease = GceMachines(simulator.exports), _lease(f"model-{model.lower().replace('_', '-')}")
    spec = MachineSpec(backend="gce", accelerator="l4-1", zones=ZONES, spot=spot, options=options)
    begun = machines.begin_create(spec, lease, machines.candidates(spec)[0], public_key="ssh-ed25519 AAAA")
    machine = _finished(machines, begun).machine
    assert machine is not None
    project, zone, name = begun.handle.removeprefix("gce://").split("/")
    instance = simulator.call("GET", f"/compute/v1/projects/{project}/zones/{zone}/instances/{name}")[1]
    scheduling = instance["scheduling"]
    assert (scheduling["provisioningModel"], scheduling["instanceTerminationAction"]) == (model, "DELETE")
    assert 2600 < int(scheduling["maxRunDuration"]["seconds"]) <= 2700 and machine.spot is (model == "SPOT")
    assert machine.hardware["name"] == "NVIDIA L4"
    assert {key.split()[0] for key in machine.workers[0].host_keys} >= {"ssh-ed25519", "ecdsa-sha2-nistp256"}
    assert "startup-script" in machines.console_tail(begun.handle)
    _released(machines, begun.handle)


@pytest.mark.judge("curl")
def test_a_driver_that_never_works(simulator: SimulatorProcess) -> None:
    """RUNNING for long, and still waited for: what it waits for is told, and its console says what it did last."""
    simulator.turn(driver_s=600.0)
    machines = GceMachines(simulator.exports)
    spec = MachineSpec(backend="gce", accelerator="l4-1", zones=ZONES)
    place = Candidate(zone=ZONES[0], spot=True)
    creation = machines.begin_create(spec, _lease("driver"), place, public_key="ssh-ed25519 AAAA")
    deadline = time.monotonic() + 60
    while creation.stage != "booting: driver" and time.monotonic() < deadline:
        time.sleep(0.05)
        creation = machines.poll(creation)
    assert (creation.stage, creation.machine) == ("booting: driver", None)
    assert machines.console_tail(creation.handle)
    _released(machines, creation.handle)


def test_a_spot_machine_that_is_taken_away_while_it_boots(simulator: SimulatorProcess) -> None:
    """Told as what it is: no capacity there, and another place is worth a try."""
    simulator.turn(preempt_after_s=0.2, driver_s=600.0)
    machines = GceMachines(simulator.exports)
    spec = MachineSpec(backend="gce", accelerator="l4-1", zones=ZONES)
    place = Candidate(zone=ZONES[0], spot=True)
    creation = machines.begin_create(spec, _lease("preempted"), place, public_key="")
    with pytest.raises((NoCapacityError, BootError), match="preempted"):
        _finished(machines, creation)
    _released(machines, creation.handle)
