"""ssh: a person looks at a machine, or hears truthfully why not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from accel_ci.domain import lease
from accel_ci.domain.errors import CloudError, ConfigurationError, ConnectionLostError
from accel_ci.domain.machine import Machine, Worker
from accel_ci.operations import records
from accel_ci.ports.shell import BROKEN
from accel_ci.usecases import cleanup, provision, ssh
from accel_ci.usecases.ssh import Visit
from tests.fakes.machines import Script
from tests.usecases import worlds
from tests.usecases.worlds import KEY, Fakes


@dataclass
class FakeShell:
    """Workers that say and end as told; `lost` ones cannot be reached."""

    codes: Mapping[int, int] = field(default_factory=dict)
    says: bytes = b""
    lost: frozenset[int] = frozenset()
    entered: list[tuple[int, str]] = field(default_factory=list)

    def enter(self, machine: Machine, worker: Worker, command: str) -> int:
        self.entered.append((worker.index, command))
        return BROKEN if worker.index in self.lost else self.codes.get(worker.index, 0)

    def broadcast(
        self, machine: Machine, workers: Sequence[Worker], command: str, *, deliver: Callable[[int, bytes], None]
    ) -> list[int]:
        for worker in workers:
            deliver(worker.index, self.says)
        if lost := [worker.name for worker in workers if worker.index in self.lost]:
            raise ConnectionLostError(f"no connection to {', '.join(lost)}")
        return [self.codes.get(worker.index, 0) for worker in workers]


def leased(*, workers: int = 1, script: Script | None = None) -> tuple[Fakes, Machine]:
    fakes = Fakes(zones={"zone-a": script or Script()})
    provision.provision(fakes.world, worlds.record(), KEY, order=worlds.order(workers=workers))
    return fakes, ssh.leased(fakes.files, "")


def visit(
    fakes: Fakes, shell: FakeShell, machine: Machine, *, worker: str = "0", command: str = "true", safe: bool = False
) -> int:
    wanted = Visit(machine=machine, worker=worker, command=command)
    return ssh.ssh(fakes.machines, shell, fakes.job, visit=wanted, sanitized=safe)


def test_one_worker_gets_the_terminal_as_it_is() -> None:
    """A shell or a command on one worker: its exit code is ours, and nothing of its output passes through us."""
    fakes, machine = leased(workers=2)
    shell, before = FakeShell(codes={1: 7}), len(fakes.job.entries)
    assert visit(fakes, shell, machine, worker="1", command="") == 7
    assert visit(fakes, shell, machine) == 0
    assert shell.entered == [(1, ""), (0, "true")] and len(fakes.job.entries) == before


def test_all_workers_are_told_apart() -> None:
    """With `all` every line has its worker's name, each failing worker is named, and the first one's code is ours."""
    fakes, machine = leased(workers=3)
    assert visit(fakes, FakeShell(codes={1: 4, 2: 5}, says=b"hello\nthere"), machine, worker="all") == 4
    said = fakes.job.text
    assert all(f"[w{index}] hello\n" in said and f"[w{index}] there\n" in said for index in range(3))
    assert "w1 ended with exit code 4" in said and "w2 ended with exit code 5" in said and "w0 ended" not in said


def test_output_in_a_job_is_harmless() -> None:
    """In a CI job even one worker's output is made safe: it could command the runner otherwise."""
    fakes, machine = leased()
    shell = FakeShell(says=b"::set-output name=x::y\n")
    assert visit(fakes, shell, machine, safe=True) == 0
    assert shell.entered == [] and "\n::" not in f"\n{fakes.job.of_kind('stream')[0]}"


@pytest.mark.parametrize(("worker", "safe"), [("all", False), ("0", True)])
def test_a_shell_needs_a_terminal(worker: str, safe: bool) -> None:
    """No command where nobody can type is a mistake, told before anything is dialled."""
    fakes, machine = leased(workers=2)
    with pytest.raises(ConfigurationError, match="terminal"):
        visit(fakes, FakeShell(), machine, worker=worker, command="", safe=safe)


def test_a_worker_that_is_not_there() -> None:
    """The message says which workers there are."""
    fakes, machine = leased(workers=2)
    with pytest.raises(ConfigurationError, match="has no worker 2") as caught:
        visit(fakes, FakeShell(), machine, worker="2")
    assert "0 to 1" in caught.value.what_to_do


@pytest.mark.parametrize("worker", ["0", "all"])
def test_a_machine_that_the_cloud_took_is_said_to_be_gone(worker: str) -> None:
    """When the connection fails the cloud is asked why, and its word is the message."""
    fakes, machine = leased(script=Script(interrupted_after_s=60))
    fakes.clock.sleep(61)
    with pytest.raises(CloudError, match="is gone: preempted"):
        visit(fakes, FakeShell(lost=frozenset({0})), machine, worker=worker)


def test_a_machine_that_somebody_ended_is_said_to_be_gone() -> None:
    """A machine that was released behind our back is no lost connection either."""
    fakes, machine = leased()
    fakes.machines.release(machine.handle)
    with pytest.raises(CloudError, match="is gone: somebody ended it"):
        visit(fakes, FakeShell(lost=frozenset({0})), machine)


def test_a_lost_connection_to_a_living_machine_stays_one() -> None:
    """Where the machine lives, ssh's own exit code and words stand."""
    fakes, machine = leased()
    assert visit(fakes, FakeShell(lost=frozenset({0})), machine) == BROKEN
    with pytest.raises(ConnectionLostError, match="no connection to w0"):
        visit(fakes, FakeShell(lost=frozenset({0})), machine, worker="all")


def test_after_cleanup_nothing_is_dialled() -> None:
    """The record knows that the machine was given back, and when."""
    fakes, _ = leased()
    cleanup.cleanup(fakes.world, KEY, owner=lease.of_job(KEY))
    with pytest.raises(CloudError, match=r"was given back at \d{4}-\d\d-\d\d"):
        ssh.leased(fakes.files, "")


def test_without_a_machine_it_says_what_is_missing() -> None:
    """Nothing leased is a configuration error."""
    files = Fakes().files
    with pytest.raises(ConfigurationError):
        ssh.leased(files, "")
    assert records.slots(files) == []
