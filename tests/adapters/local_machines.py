"""What the tests of the local backend start, wait for and look up on this computer."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from accel_ci.adapters.local import LocalMachines
from accel_ci.domain.errors import CloudError, ConfigurationError
from accel_ci.domain.lease import Lease, Owner
from accel_ci.domain.machine import Machine, MachineSpec
from accel_ci.domain.runkey import RunKey

KEY = RunKey(repository_id=1, repository="org/repo", run_id=42, job="local")
SPEC = MachineSpec(backend="local", accelerator="local")
ALL = Owner(repository_id=1, run_prefix=KEY.run_prefix)
HANDLE = f"local://{KEY.name}"
Start = Callable[..., subprocess.Popen[bytes]]


@contextmanager
def opened(state: Path) -> Iterator[LocalMachines]:
    """The backend on a state directory; its machines are ended afterwards."""
    local = LocalMachines(str(state))
    yield local
    for name in os.listdir(state / "machines") if (state / "machines").exists() else []:
        try:
            local.release(f"local://{name}")
        except (CloudError, ConfigurationError):
            pass


@contextmanager
def commands() -> Iterator[Start]:
    """Starts a shell script, which must say "up", as a machine's command is started; each is ended and reaped."""
    started: list[subprocess.Popen[bytes]] = []

    def start(machine: Machine, script: str, **environment: str) -> subprocess.Popen[bytes]:
        place = machine.workers[0].address
        marks = {"ACCEL_CI_MACHINE": machine.name, "ACCEL_CI_RESULTS": f"{place}/results", "PATH": os.defpath}
        process = subprocess.Popen(
            ["bash", "-c", script],
            cwd=place,
            env=marks | environment,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        return process

    yield start
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def create(machines: LocalMachines, seconds: float = 600, spec: MachineSpec = SPEC) -> Machine:
    """A new machine under a lease of that many seconds."""
    return create_until(machines, int(time.time() + seconds), spec)


def create_again(machines: LocalMachines, machine: Machine) -> Machine:
    """The machine as a repetition of its creation gives it."""
    return create_until(machines, int(machine.labels["accel-ci-expires"]))


def create_until(machines: LocalMachines, expires_at: int, spec: MachineSpec = SPEC) -> Machine:
    """The machine under a lease with exactly that end."""
    wanted = Lease(key=KEY, expires_at=expires_at)
    creation = machines.begin_create(spec, wanted, machines.candidates(spec)[0], public_key="")
    assert creation.machine is not None
    return creation.machine


def soon(true: Callable[[], bool], limit_s: float = 20.0) -> None:
    """Wait until it is true; fail when it does not become so."""
    deadline = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def keepers(directory: Path) -> list[int]:
    """The keepers that watch the machine in that directory now."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            argv = Path(f"/proc/{name}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"keep" in argv and os.fsencode(directory) in argv:
            found.append(int(name))
    return found


def lives(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def family(pid: int) -> set[int]:
    """The process and all its descendants."""
    found = {pid}
    for _ in range(5):
        for name in filter(str.isdigit, os.listdir("/proc")):
            try:
                parent = int(Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            if parent in found:
                found.add(int(name))
    return found


def where(machine: Machine) -> Path:
    """The machine's own directory."""
    return Path(machine.workers[0].address).parent
