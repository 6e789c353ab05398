"""Our own backends for Google in a world: the real adapters, alone or as one, with every call to the APIs behind a fate."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from functools import partial
from typing import Any

from accel_ci.adapters.every_backend import EveryBackend
from accel_ci.adapters.gce import GceMachines
from accel_ci.adapters.tpu import TpuMachines
from accel_ci.domain import errors
from accel_ci.domain.lease import Owner
from accel_ci.domain.machine import Machine
from accel_ci.ports.machines import Machines
from accel_ci_sim.direct import guard
from accel_ci_sim.direct.gce_api import SimulatedGceApi
from accel_ci_sim.direct.process import Process
from accel_ci_sim.direct.tpu_api import SimulatedTpuApi
from accel_ci_sim.world.google_sky import GoogleSky

ANSWER_S = 0.1  # of as many calls as are made at once


class _OneAfterTheOther(Executor):
    """What the adapter does in threads, in order: only then is the world the seed's alone."""

    def __init__(self, process: Process, at_once: int) -> None:
        self._process = process
        self._at_once = at_once
        self._begun = 0

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """The call's future, over already; the end of the process is the end of its threads."""
        # Eight answers come in the time of one.
        if self._begun % self._at_once == 0:
            self._process.pause(ANSWER_S)
        self._begun += 1
        try:
            return _Over(fn(*args, **kwargs), None)
        # A signal is the process's, not the call's: no future may keep it.
        except errors.CancelledError:
            raise
        except errors.AccelError as error:
            return _Over(None, error)


class _Over(Future[Any]):
    """Without the locks of a real one: there are hundreds in a world, and nobody waits for any."""

    def __init__(self, value: object, error: errors.AccelError | None) -> None:
        self._value = value
        self._error = error

    def result(self, timeout: float | None = None) -> Any:
        """The call's answer."""
        return self._value

    def exception(self, timeout: float | None = None) -> errors.AccelError | None:
        """What it raised."""
        return self._error

    def add_done_callback(self, fn: Callable[[Future[Any]], object]) -> None:
        """It is done."""
        fn(self)


class _Watched:
    """The backend; notes what the process saw in listings, for the judge."""

    def __init__(self, process: Process, backend: Machines) -> None:
        self._process = process
        self._backend = backend

    def __getattr__(self, method: str) -> Any:
        return getattr(self._backend, method)

    def list_owned(self, owner: Owner) -> Iterator[Machine]:
        """See ports.machines.Machines."""
        ours = owner.run_id is not None  # what a sweep beside provision sees is not this run's to end
        if ours and self._process.listed_at is None:
            self._process.listed_at = self._process.scene.schedule.now
        for each in self._backend.list_owned(owner):
            # As they come: a listing that breaks off has shown these all the same.
            if ours:
                self._process.listed.add(each.handle)
            yield each


def over(process: Process, sky: GoogleSky) -> Any:
    """The backend that the world's runs lease from, for one process."""
    service = sky.weather.service
    if service == "auto":
        backends: dict[str, Machines] = {"gce": _gce(process, sky), "tpu": _tpu(process, sky)}
        return _Watched(process, EveryBackend(backends, threads=partial(_OneAfterTheOther, process)))
    return _Watched(process, _gce(process, sky) if service == "gce" else _tpu(process, sky))


def _gce(process: Process, sky: GoogleSky) -> GceMachines:
    api = SimulatedGceApi(process, sky.gce)
    guard.intercept(process, "gce", api)
    schedule = process.scene.schedule
    return GceMachines({}, api=api, threads=partial(_OneAfterTheOther, process), now=lambda: schedule.now)


def _tpu(process: Process, sky: GoogleSky) -> TpuMachines:
    api = SimulatedTpuApi(process, sky.tpu)
    guard.intercept(process, "tpu", api)
    return TpuMachines({}, api=api, threads=partial(_OneAfterTheOther, process))
