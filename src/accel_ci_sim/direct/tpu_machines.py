"""Our own `tpu` backend in a world: the real adapter, with every call to the API behind a fate."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from typing import Any

from accel_ci.adapters.tpu import TpuMachines
from accel_ci.domain import errors
from accel_ci.domain.lease import Owner
from accel_ci.domain.machine import Machine
from accel_ci_sim.direct import guard
from accel_ci_sim.direct.process import Process
from accel_ci_sim.direct.tpu_api import SimulatedTpuApi
from accel_ci_sim.world.tpu_sky import TpuSky


class _OneAfterTheOther(Executor):
    """What the adapter does in threads, in order: only then is the world the seed's alone."""

    def __init__(self, at_once: int) -> None:
        del at_once

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """The call's future, over already; the end of the process is the end of its threads."""
        done: Future[Any] = Future()
        try:
            done.set_result(fn(*args, **kwargs))
        except errors.CancelledError:
            raise
        except errors.AccelError as error:
            done.set_exception(error)
        return done


class _Watched(TpuMachines):
    """Notes what the process saw in listings, for the judge."""

    process: Process

    def list_owned(self, owner: Owner) -> Iterator[Machine]:
        """See ports.machines.Machines."""
        if self.process.listed_at is None and owner.run_id is not None:
            self.process.listed_at = self.process.scene.schedule.now
        for each in super().list_owned(owner):
            if owner.run_id is not None:
                self.process.listed.add(each.handle)
            yield each


def over(process: Process, sky: TpuSky) -> TpuMachines:
    """The backend of one process."""
    api = SimulatedTpuApi(process, sky)
    guard.intercept(process, "tpu", api)
    backend = _Watched({}, api=api, threads=_OneAfterTheOther)
    backend.process = process
    return backend
