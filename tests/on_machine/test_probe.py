"""The health probe, run by a real Python beside programs that say what nvidia-smi and the kernel would."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

PROBE = Path(__file__).parents[2] / "src/accel_ci/on_machine/probe.py"
SAMPLES = Path(__file__).parent / "nvidia_smi"
L4 = "GPU-2f0c1c9e-7a9d-4b6e-2a53-0c6b39a7d6f1, NVIDIA L4, 570.86.15, 23034, 0\n"
V100 = "GPU-9e1b66b4-0f0a-7a41-8d1b-1f8c2a7a5f7b, Tesla V100-SXM2-16GB, 570.86.15, 16384, [N/A]\n"
NVIDIA_SMI = """\
#!/bin/sh
case "$1" in
    --query-gpu=*) cat {directory}/query; exit {code} ;;
    --query-remapped-rows=*) cat {directory}/remapped ;;
    -q) cat {directory}/q ;;
esac
"""


@dataclass
class Machine:
    """A directory with an nvidia-smi that says these things, and with devices; `query` "" means no driver."""

    directory: Path
    query: str = L4
    remapped: str = "GPU-2f0c1c9e-7a9d-4b6e-2a53-0c6b39a7d6f1, 0, 0\n"
    kernel: str = (SAMPLES / "dmesg.txt").read_text()
    code: int = 0
    devices: list[str] = field(default_factory=list)
    modules: str = ""
    patience_s: float = 0.0

    def probe(self, *arguments: str) -> tuple[int, dict[str, Any]]:
        """Exit code and document of the probe."""
        programs = self.directory / "bin"
        programs.mkdir()
        for name, text in (("query", self.query), ("remapped", self.remapped), ("dmesg", self.kernel)):
            (self.directory / name).write_text(text)
        (self.directory / "q").write_text((SAMPLES / "q.txt").read_text())
        if self.query:
            self._program("nvidia-smi", NVIDIA_SMI.format(directory=self.directory, code=self.code))
        self._program("dmesg", f"#!/bin/sh\ncat {self.directory}/dmesg\n")
        for device in self.devices:
            (self.directory / "dev" / device).parent.mkdir(parents=True, exist_ok=True)
            (self.directory / "dev" / device).touch()
        environment = {"PATH": f"{programs}:/usr/bin:/bin", "ACCEL_CI_DEV": str(self.directory / "dev")}
        environment["ACCEL_CI_PATIENCE_S"] = str(self.patience_s)
        environment |= {"PYTHONPATH": self.modules} if self.modules else {}
        command = [sys.executable, "-sS", str(PROBE), *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
        assert done.stderr == "" and done.stdout.count("\n") <= 1
        return done.returncode, json.loads(done.stdout) if done.stdout else {}

    def _program(self, name: str, text: str) -> None:
        file = self.directory / "bin" / name
        file.write_text(text)
        file.chmod(0o700)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine with one healthy L4."""
    return Machine(tmp_path)


def test_a_healthy_gpu(machine: Machine) -> None:
    """Name, driver, CUDA version, memory and number; errors that programs cause (Xid 13) are none of the hardware's."""
    assert machine.probe("gpu", "1") == (
        0,
        {"devices": 1, "name": "NVIDIA L4", "driver": "570.86.15", "cuda": "12.8", "memory_mib": 23034, "problems": []},
    )


def test_gpus_without_ecc(machine: Machine) -> None:
    """What a GPU cannot tell is no error."""
    machine.query, machine.remapped = V100 * 8, ""
    code, told = machine.probe("gpu", "8")
    assert (code, told["devices"], told["problems"]) == (0, 8, [])


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("", 0),
        ("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\n", 9),
        ("No devices were found\n", 6),
        ("No devices were found\n", 0),
    ],
)
def test_a_driver_that_does_not_work_yet(machine: Machine, query: str, code: int) -> None:
    """No program, no driver, or no device: ask again, with the exit code 75 and no word."""
    machine.query, machine.code = query, code
    assert machine.probe("gpu", "1") == (75, {})


def test_fewer_gpus_than_ordered(machine: Machine) -> None:
    """A GPU that fell off the bus is not listed any more."""
    machine.query = L4 * 7
    code, told = machine.probe("gpu", "8")
    assert (code, told["devices"], told["problems"]) == (1, 7, ["7 of 8 gpu(s) found"])


def test_memory_errors(machine: Machine) -> None:
    """Uncorrectable ECC errors since the start, and rows that could not be remapped, each with its GPU."""
    machine.query = L4.replace(", 0\n", ", 3\n")
    machine.remapped = machine.remapped.replace(", 0, 0", ", 1, 0")
    code, told = machine.probe("gpu", "1")
    gpu = "GPU-2f0c1c9e-7a9d-4b6e-2a53-0c6b39a7d6f1"
    assert code == 1
    assert told["problems"] == [f"{gpu}: 3 uncorrectable ECC error(s)", f"{gpu}: row remapping pending or failed"]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (
            "NVRM: Xid (PCI:0000:00:04): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.",
            "Xid 79 on PCI:0000:00:04: GPU has fallen off the bus",
        ),
        (
            "NVRM: Xid (PCI:0000:00:04): 48, pid=1183, DBE (double bit error) ECC Error",
            "Xid 48 on PCI:0000:00:04: double bit ECC error",
        ),
        ("NVRM: Xid (0000:00:04): 119, Timeout waiting for RPC from GSP!", "Xid 119 on 0000:00:04: GSP timeout"),
    ],
)
def test_what_the_kernel_saw(machine: Machine, line: str, problem: str) -> None:
    """Hardware errors are in the kernel's log even when nvidia-smi is content."""
    machine.kernel += f"[  301.1] {line}\n"
    assert machine.probe("gpu", "1")[1]["problems"] == [problem]


@pytest.mark.parametrize(
    ("driver", "devices"),
    [
        ("vfio", ["vfio/0", "vfio/1", "vfio/2", "vfio/3", "vfio/vfio"]),
        ("accel", ["accel0", "accel1", "accel2", "accel3"]),
        ("accel", ["accel0", "accel1", "accel2", "accel3", "vfio/7"]),
    ],
)
def test_tpu_devices(machine: Machine, driver: str, devices: list[str]) -> None:
    """A VFIO group or an accel device for each chip; the VFIO control device is none, nor are groups beside accel devices."""
    machine.devices = devices
    assert machine.probe("tpu", "4") == (0, {"devices": 4, "name": "TPU", "driver": driver, "problems": []})


def test_a_device_that_comes_late(machine: Machine, tmp_path: Path) -> None:
    """The devices of a TPU come up while the machine boots: they are waited for."""
    machine.patience_s = 30.0
    (tmp_path / "dev").mkdir()
    late = threading.Timer(0.3, (tmp_path / "dev" / "accel0").touch)
    late.start()
    assert machine.probe("tpu", "1")[0] == 0
    late.join()


def test_no_tpu(machine: Machine) -> None:
    """A TPU machine without devices is not well."""
    assert machine.probe("tpu", "1") == (
        1,
        {"devices": 0, "name": "TPU", "driver": "", "problems": ["0 of 1 tpu(s) found"]},
    )


def test_a_framework_that_is_not_there(machine: Machine) -> None:
    """Whoever wants JAX to count needs an image with JAX."""
    code, told = machine.probe("gpu", "1", "jax")
    assert code == 1 and told["problems"] == ["jax does not work on this image"]


def test_a_framework_counts(machine: Machine, tmp_path: Path) -> None:
    """The framework's own number decides, for it is what tests will see."""
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "torch.py").write_text("class cuda:\n    device_count = staticmethod(lambda: 1)\n")
    machine.query, machine.modules = L4 * 2, str(tmp_path / "modules")
    code, told = machine.probe("gpu", "2", "torch")
    assert code == 1 and told["problems"] == ["torch sees 1 of 2 device(s)"]
