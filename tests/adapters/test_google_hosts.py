"""What hosts of both Google backends tell of their accelerators, and what becomes of a machine that is not well."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from accel_ci.adapters import google_hosts
from accel_ci.adapters.tpu import TpuMachines
from accel_ci.domain.errors import ConfigurationError, UnhealthyError
from accel_ci.domain.machine import Candidate, MachineSpec
from accel_ci.domain.machine_types import Kind
from accel_ci.domain.record import RunRecord
from accel_ci.domain.verdict import Verdict
from accel_ci.operations import records
from accel_ci.operations.acquire import Order
from accel_ci.usecases import provision
from tests.adapters.gce_world import GceWorld
from tests.adapters.gce_world import world as gce_world
from tests.adapters.tpu_world import LEASE, ZONE, TpuWorld
from tests.adapters.tpu_world import world as tpu_world
from tests.servers import gce_over_http, tpu_over_http
from tests.servers.simulator import SimulatorProcess
from tests.usecases import worlds
from tests.usecases.worlds import KEY, Fakes

__all__ = ["gce_world", "tpu_world"]
L4 = MachineSpec(backend="gce", accelerator="l4-1", zones=("us-central1-a",))
SLICE = MachineSpec(backend="tpu", accelerator="v6e-16", workers=4)
ONE = MachineSpec(backend="tpu", accelerator="v6e-4", zones=(ZONE,))
LOST = "3 of 4 tpu(s) found"
SICK = {**tpu_over_http.HEALTH, "devices": 3, "problems": [LOST]}


@pytest.mark.parametrize(
    ("accelerator", "health", "expected"),
    [
        ("v6e-1", "", "tpu 1"),
        ("v6e-8", "devices", "tpu 8"),
        ("v6e-16", "", "tpu 4"),
        ("v5p-16", "jax", "tpu 4 jax"),
        ("v2-8", "", "tpu 4"),
    ],
)
def test_each_host_of_a_tpu_looks_for_its_own_chips(
    tpu_world: TpuWorld, accelerator: str, health: str, expected: str
) -> None:
    """The probe travels in the node's metadata, with what one host of the type is to have."""
    options = {"health": health} if health else {}
    tpu_world.begin(MachineSpec(backend="tpu", accelerator=accelerator, options=options))
    (body,) = tpu_world.asked("POST /nodes")
    assert body["metadata"]["accel-ci-expects"] == expected
    assert body["metadata"]["accel-ci-probe"] == google_hosts.PROBE.read_text()


def test_no_probe_for_who_wants_none(tpu_world: TpuWorld) -> None:
    """`health=off` sends nothing to run, and reads nothing of what such a node tells."""
    tpu_world.cloud.health = [SICK]
    machine = tpu_world.ready(MachineSpec(backend="tpu", accelerator="v6e-4", options={"health": "off"}))
    (body,) = tpu_world.asked("POST /nodes")
    assert machine.hardware == {} and not {"accel-ci-probe", "accel-ci-expects"} & set(body["metadata"])


def test_a_probe_that_no_tpu_can_answer_is_refused(tpu_world: TpuWorld) -> None:
    """PyTorch counts CUDA devices: on a TPU the question makes no sense, and is refused before any call."""
    with pytest.raises(ConfigurationError) as error:
        tpu_world.begin(MachineSpec(backend="tpu", accelerator="v6e-1", options={"health": "torch"}))
    assert "one of devices, jax, off" in str(error.value.mistakes[0]) and tpu_world.cloud.requests == []


def test_the_same_on_compute_engine(gce_world: GceWorld) -> None:
    """There, too, `health=torch` is for GPUs."""
    with pytest.raises(ConfigurationError) as error:
        gce_world.begin(MachineSpec(backend="gce", accelerator="v6e-1", options={"health": "torch"}))
    assert "`health=torch` counts GPUs" in str(error.value.mistakes[0])


def test_a_slice_is_its_hosts_together(tpu_world: TpuWorld) -> None:
    """Devices are counted over all hosts; the rest is what the first one says."""
    assert tpu_world.ready(SLICE).hardware == {"name": "TPU", "devices": "16", "driver": "vfio"}


def test_one_sick_host_is_a_sick_slice(tpu_world: TpuWorld) -> None:
    """What is wrong is told with the worker that it is wrong on."""
    tpu_world.cloud.health = [tpu_over_http.HEALTH, tpu_over_http.HEALTH, SICK, tpu_over_http.HEALTH]
    with pytest.raises(UnhealthyError, match=f"w2: {LOST}".replace("(", r"\(").replace(")", r"\)")):
        tpu_world.ready(SLICE)


def _tpus_after(bad: int) -> Callable[[TpuWorld], None]:
    def script(world: TpuWorld) -> None:
        boots, boot = iter(range(100)), world.cloud.boot

        def next_boot(node: Any) -> Any:
            world.cloud.health = [SICK if next(boots) < bad else tpu_over_http.HEALTH]
            return boot(node)

        world.cloud.boot = next_boot

    return script


def _gpus_after(world: GceWorld, *, bad: int) -> None:
    boots, boot = iter(range(100)), world.cloud.boot

    def next_boot(instance: Any) -> Any:
        problems = ["Xid 79 on PCI:0000:00:04: GPU has fallen off the bus"] if next(boots) < bad else []
        told = {**gce_over_http.HEALTH, "problems": problems}
        world.cloud.told = {"accel-ci/stage": "ready", "accel-ci/health": json.dumps(told)}
        return boot(instance)

    world.cloud.boot = next_boot


def _provision(machines: Any, spec: MachineSpec) -> tuple[RunRecord, Fakes]:
    fakes = Fakes()
    world = replace(fakes.world, machines=machines)
    return provision.provision(world, worlds.record(), KEY, order=Order(spec=spec, ttl_s=3600.0)), fakes


def test_a_sick_gpu_machine_is_replaced_once(gce_world: GceWorld) -> None:
    """boot-failed, the console's last lines in the log, the machine ended, and another one in the only zone there is."""
    gce_world.cloud.console = "NVRM: Xid (PCI:0000:00:04): 79\n"
    _gpus_after(gce_world, bad=1)
    record, fakes = _provision(gce_world.machines, L4)
    assert [each.outcome for each in record.tries] == ["boot-failed", "ready"]
    assert "console: NVRM: Xid (PCI:0000:00:04): 79" in fakes.job.of_kind("log")
    assert record.machine is not None and record.machine.hardware["name"] == "NVIDIA L4"
    assert [name.rpartition("/")[2] for name in gce_world.cloud.instances] == [record.tries[1].name]


def test_a_sick_tpu_is_replaced_once(tpu_world: TpuWorld) -> None:
    """The same through the Cloud TPU API, which shows no console."""
    _tpus_after(1)(tpu_world)
    record, _ = _provision(tpu_world.machines, ONE)
    assert [(each.outcome, LOST in each.message) for each in record.tries] == [("boot-failed", True), ("ready", False)]
    assert record.machine is not None and record.machine.hardware["devices"] == "4"
    assert [name.rpartition("/")[2] for name in tpu_world.cloud.nodes] == [record.tries[1].name]


def test_a_second_sick_machine_is_the_end(tpu_world: TpuWorld) -> None:
    """Two in a row are no accident: boot-failed, and nothing is left."""
    _tpus_after(9)(tpu_world)
    fakes = Fakes()
    order = Order(spec=ONE, ttl_s=3600.0)
    with pytest.raises(UnhealthyError):
        provision.provision(replace(fakes.world, machines=tpu_world.machines), worlds.record(), KEY, order=order)
    kept = records.load(fakes.files, "")
    assert (len(kept.tries), kept.verdict, tpu_world.cloud.nodes) == (2, Verdict.BOOT_FAILED, {})


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    """The simulated cloud, where the boot script and the probe are real processes on each host."""
    running = SimulatorProcess(tmp_path_factory.mktemp("sim"))
    yield running
    running.close()


@pytest.mark.judge("curl")
@pytest.mark.parametrize(
    ("accelerator", "zone", "devices", "driver"),
    [
        ("v2-8", "us-central1-b", "4", "accel"),
        ("v5litepod-8", "us-central1-a", "8", "vfio"),
        ("v5p-16", "us-east5-a", "8", "vfio"),
    ],
)
def test_the_probe_runs_on_every_host(
    simulator: SimulatorProcess, accelerator: str, zone: str, devices: str, driver: str
) -> None:
    """boot.sh fetches it from the metadata, and what it counts below /dev comes back as a guest attribute."""
    machines = TpuMachines(simulator.exports)
    spec = MachineSpec(backend="tpu", accelerator=accelerator, options={"sudo": "true"})
    lease = replace(LEASE, key=replace(LEASE.key, job=f"job-{accelerator}"))
    creation = machines.begin_create(spec, lease, Candidate(zone=zone, spot=True), public_key="ssh-ed25519 AAAA")
    deadline = time.monotonic() + 60
    while creation.machine is None and time.monotonic() < deadline:
        time.sleep(0.1)
        creation = machines.poll(creation)
    assert creation.machine is not None, creation.stage
    machines.release(creation.handle)
    assert creation.machine.hardware == {"name": "TPU", "devices": devices, "driver": driver}


@pytest.mark.parametrize("option", ["devices", "jax", "torch", "off"])
def test_what_a_host_is_given_is_nothing_secret(option: str) -> None:
    """Every process on the machine can read it: scripts, a public key, and switches."""
    expected = google_hosts.probe(Kind.GPU, 1, option)
    given = google_hosts.metadata(public_key="ssh-ed25519 AAAA", sudo=False, expected=expected)
    probe = set() if option == "off" else {"accel-ci-expects", "accel-ci-probe"}
    always = {
        "enable-guest-attributes",
        "block-project-ssh-keys",
        "enable-oslogin",
        "startup-script",
        "ssh-keys",
        "accel-ci-excerpt",
    }
    assert set(given) == always | probe
