"""ssh: let a person look at a leased machine."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from accel_ci.domain.errors import CloudError, ConfigurationError, ConnectionLostError
from accel_ci.domain.machine import Machine, Worker
from accel_ci.formats import output
from accel_ci.operations import reach, records
from accel_ci.ports.files import Files
from accel_ci.ports.job import Job
from accel_ci.ports.machines import Machines
from accel_ci.ports.shell import BROKEN, Shell

ALL = "all"
LEASE_ONE = "lease another one: accel-ci provision, or accel-ci run"


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """Where to go and what to do there: `worker` is an index or `all`, an empty `command` means a shell."""

    machine: Machine
    worker: str
    command: str = ""


def leased(files: Files, slot: str) -> Machine:
    """The slot's machine; CloudError when we gave it back, ConfigurationError when there never was one."""
    machine, record = records.load_machine(files, slot), records.find(files, slot)
    ended = record.machine.released_at if record is not None and record.machine is not None else None
    if ended is not None:
        when = dt.datetime.fromtimestamp(ended, dt.UTC)
        raise CloudError(f"{machine.handle} was given back at {when:%Y-%m-%d %H:%M:%S} UTC", what_to_do=LEASE_ONE)
    return machine


def ssh(machines: Machines, shell: Shell, job: Job, *, visit: Visit, sanitized: bool) -> int:
    """The command's exit code, or the shell's; of several workers the first that is not 0.

    CloudError when the machine is gone. `sanitized`: what it says passes as safe lines, which only a command can.
    """
    workers = _chosen(visit)
    try:
        if visit.worker == ALL or sanitized:
            return _broadcast(shell, job, visit, workers=workers)
        code = shell.enter(visit.machine, workers[0], visit.command)
    except ConnectionLostError:
        _explain(machines, visit.machine)
        raise
    if code == BROKEN:
        _explain(machines, visit.machine)
    return code


def _chosen(visit: Visit) -> Sequence[Worker]:
    workers = visit.machine.workers
    if visit.worker == ALL:
        return workers
    chosen = [worker for worker in workers if worker.index == int(visit.worker)]
    if not chosen:
        raise ConfigurationError(
            f"{visit.machine.handle} has no worker {visit.worker}", what_to_do=f"use 0 to {len(workers) - 1}, or `all`"
        )
    return chosen


def _broadcast(shell: Shell, job: Job, visit: Visit, *, workers: Sequence[Worker]) -> int:
    if not visit.command:
        raise ConfigurationError("a shell needs one worker and a terminal", what_to_do="give a command after `--`")
    several = len(workers) > 1
    safe = {each.index: output.Sanitizer(prefix=f"[{each.name}] " if several else "") for each in workers}
    try:
        codes = shell.broadcast(
            visit.machine, workers, visit.command, deliver=lambda index, data: job.stream(safe[index].feed(data))
        )
    finally:
        for each in safe.values():
            job.stream(each.flush())
    failed = [(worker, code) for worker, code in zip(workers, codes, strict=True) if code]
    for worker, code in failed if several else ():
        job.log(f"{worker.name} ended with exit code {code}")
    return failed[0][1] if failed else 0


def _explain(machines: Machines, machine: Machine) -> None:
    """CloudError when the machine cannot be reached because it is not there any more."""
    # Where nobody can say the connection's own words stand.
    if why := reach.ended(machines, machine):
        raise CloudError(f"{machine.handle} is gone: {why}", what_to_do=LEASE_ONE)
