"""Every backend that the contract of ports.machines is tested on. A new one is one line in BACKENDS."""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from accel_ci.adapters import gce_instances
from accel_ci.adapters.gce import GceMachines
from accel_ci.adapters.local import LocalMachines
from accel_ci.adapters.system_clock import SystemClock
from accel_ci.adapters.tpu import TpuMachines
from accel_ci.domain.errors import CloudError
from accel_ci.domain.lease import Owner
from accel_ci.domain.machine import MachineSpec
from accel_ci.ports.clock import Clock
from accel_ci.ports.machines import Machines
from tests.fakes.clock import FakeClock
from tests.fakes.machines import FakeMachines, Script
from tests.servers.gce_over_http import GceServer
from tests.servers.simulator import SimulatorProcess
from tests.servers.tpu_over_http import TpuServer
from tests.wire.rest import Zone

REPOSITORY, OTHER_REPOSITORY = 4711, 815
_NUMBERS = itertools.count(1)


@dataclass(frozen=True, kw_only=True)
class Backend:
    """A backend under test, its clock, what to ask it for, the shortest lease that a machine is ready in (seconds),

    and a way to destroy a machine's labels behind the backend's back.
    """

    machines: Machines
    clock: Clock
    spec: MachineSpec
    short_lease_s: float
    lose_labels: Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Kind:
    """How to open a backend in an empty directory, and which capabilities choose its cases.

    One that lives on the simulator is opened with the running one as well.
    """

    open: Callable[..., AbstractContextManager[Backend]]
    native_lifetime_limit: bool
    zones: bool
    extendable: bool = True
    on_simulator: bool = False


@contextlib.contextmanager
def fake(directory: Path) -> Iterator[Backend]:
    """The fake with two zones, where booting and ending take a while."""
    clock = FakeClock()
    machines = FakeMachines(clock, {zone: Script(boot_s=20, release_s=5) for zone in ("zone-a", "zone-b")})
    spec = MachineSpec(backend="fake", accelerator="v6e-8", workers=2)
    yield Backend(machines=machines, clock=clock, spec=spec, short_lease_s=30, lose_labels=machines.lose_labels)


@contextlib.contextmanager
def local(directory: Path) -> Iterator[Backend]:
    """This computer; whatever a failed test leaves is ended."""
    machines = LocalMachines(str(directory))

    def lose_labels(handle: str) -> None:
        document = directory / "machines" / handle.removeprefix("local://") / "machine.json"
        document.write_text(json.dumps({**json.loads(document.read_text()), "labels": {}}))

    spec = MachineSpec(backend="local", accelerator="local-2", workers=2)
    yield Backend(machines=machines, clock=SystemClock(), spec=spec, short_lease_s=2, lose_labels=lose_labels)
    for repository in (REPOSITORY, OTHER_REPOSITORY):
        for machine in machines.list_owned(Owner(repository_id=repository, run_prefix="accel-")):
            with contextlib.suppress(CloudError):
                machines.release(machine.handle)


@contextlib.contextmanager
def tpu(directory: Path, *, queued: str = "false") -> Iterator[Backend]:
    """The Cloud TPU API on this computer, with a slice of two hosts."""
    with TpuServer() as server:
        (directory.parent / "token").write_text("secret")
        cloud = server.environment(str(directory.parent / "token"))
        machines = TpuMachines(cloud)

        def lose_labels(handle: str) -> None:
            server.cloud.lose_labels(handle.rpartition("/")[2])

        spec = MachineSpec(backend="tpu", accelerator="v5p-16", workers=2, options={"queued": queued})
        yield Backend(machines=machines, clock=SystemClock(), spec=spec, short_lease_s=2, lose_labels=lose_labels)


@contextlib.contextmanager
def tpu_on_simulator(directory: Path, simulator: SimulatorProcess, *, queued: str = "false") -> Iterator[Backend]:
    """The simulated cloud over the wire, where hosts are real ssh servers and the startup script really runs."""
    project = f"project-{next(_NUMBERS)}"

    def lose_labels(handle: str) -> None:
        _, _, project, place, name = handle.split("/")
        node = f"/v2/projects/{project}/locations/{place}/nodes/{name}?updateMask=labels"
        status, document = simulator.call("PATCH", node, {"labels": {}})
        assert status == 200, document

    spec = MachineSpec(backend="tpu", accelerator="v5p-16", workers=2, options={"queued": queued})
    machines = TpuMachines(simulator.exports, project=project)
    yield Backend(machines=machines, clock=SystemClock(), spec=spec, short_lease_s=2, lose_labels=lose_labels)
    Zone(simulator, "-", project=project).clear()


@contextlib.contextmanager
def gce(directory: Path) -> Iterator[Backend]:
    """Compute Engine on this computer, with a plain machine. The shortest lifetime limit there is is 30 s: ours is shorter."""
    with GceServer() as server, shortest_limit(1):
        (directory.parent / "token").write_text("secret")
        machines = GceMachines(server.environment(str(directory.parent / "token")))

        def lose_labels(handle: str) -> None:
            server.cloud.instance(handle.rpartition("/")[2])["labels"] = {}

        spec = MachineSpec(backend="gce", accelerator="e2-standard-4")
        yield Backend(machines=machines, clock=SystemClock(), spec=spec, short_lease_s=2, lose_labels=lose_labels)


@contextlib.contextmanager
def gce_on_simulator(directory: Path, simulator: SimulatorProcess) -> Iterator[Backend]:
    """The simulated cloud over the wire: a GPU machine whose driver is installed while it boots."""
    base = f"/compute/v1/projects/project-{next(_NUMBERS)}"
    machines = GceMachines(simulator.exports, project=base.rpartition("/")[2])

    def lose_labels(handle: str) -> None:
        instance = f"{base}/zones/{'/instances/'.join(handle.split('/')[-2:])}"
        fingerprint = simulator.call("GET", instance)[1]["labelFingerprint"]
        status, document = simulator.call(
            "POST", f"{instance}/setLabels", {"labels": {}, "labelFingerprint": fingerprint}
        )
        assert status == 200, document

    spec = MachineSpec(backend="gce", accelerator="l4-1")
    yield Backend(machines=machines, clock=SystemClock(), spec=spec, short_lease_s=30, lose_labels=lose_labels)
    for zone in simulator.call("GET", f"{base}/aggregated/instances")[1].get("items", {}).values():
        for left in zone.get("instances", ()):
            simulator.call("DELETE", f"{base}/zones/{left['zone'].rpartition('/')[2]}/instances/{left['name']}")


@contextlib.contextmanager
def shortest_limit(seconds: int) -> Iterator[None]:
    """Ask for limits as short as this."""
    usual, gce_instances.SHORTEST_S = gce_instances.SHORTEST_S, seconds
    try:
        yield
    finally:
        gce_instances.SHORTEST_S = usual


BACKENDS = {
    "fake": Kind(open=fake, native_lifetime_limit=True, zones=True),
    "gce": Kind(open=gce, native_lifetime_limit=True, zones=True, extendable=False),
    "gce-simulator": Kind(
        open=gce_on_simulator, native_lifetime_limit=True, zones=True, extendable=False, on_simulator=True
    ),
    "local": Kind(open=local, native_lifetime_limit=True, zones=False),
    "tpu": Kind(open=tpu, native_lifetime_limit=False, zones=True),
    "tpu-queued": Kind(open=partial(tpu, queued="true"), native_lifetime_limit=False, zones=True),
    "tpu-simulator": Kind(open=tpu_on_simulator, native_lifetime_limit=False, zones=True, on_simulator=True),
    "tpu-queued-simulator": Kind(
        open=partial(tpu_on_simulator, queued="true"), native_lifetime_limit=False, zones=True, on_simulator=True
    ),
}
