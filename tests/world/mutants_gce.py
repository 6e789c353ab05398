"""Known bugs around Compute Engine's instances, their lifetime limit and listings, and two clouds as one backend."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import pytest

from accel_ci.adapters import gce_api, gce_instances, google_machines
from accel_ci.adapters.every_backend import EveryBackend
from accel_ci.adapters.gce import GceMachines
from accel_ci.adapters.gce_instances import Place
from accel_ci.domain import errors, runkey
from accel_ci.domain.machine import Machine, State
from accel_ci.domain.runkey import RunKey
from accel_ci.ports.machines import Machines
from accel_ci_sim.direct.layers import Layer
from tests.world.known_bugs import bug


def _asked(patch: pytest.MonkeyPatch, change: Callable[[dict[str, Any]], None]) -> None:
    """Let `change` spoil the instance that is asked for."""
    honest = gce_instances.body

    def body(*given: Any, **known: Any) -> dict[str, Any]:
        instance = honest(*given, **known)
        change(instance)
        return instance

    patch.setattr(gce_instances, "body", body)


@bug("an instance is asked for without maxRunDuration", "I1", within=60, alone=Layer.NATIVE)
def _(patch: pytest.MonkeyPatch) -> None:
    def unlimited(instance: dict[str, Any]) -> None:
        instance["scheduling"].pop("max_run_duration")

    _asked(patch, unlimited)


@bug("maxRunDuration is longer than the lease", "I1", within=60, alone=Layer.NATIVE)
def _(patch: pytest.MonkeyPatch) -> None:
    def longer(instance: dict[str, Any]) -> None:
        instance["scheduling"]["max_run_duration"]["seconds"] += 120

    _asked(patch, longer)


@bug("maxRunDuration stops the instance and does not delete it", "I1", within=60, alone=Layer.NATIVE)
def _(patch: pytest.MonkeyPatch) -> None:
    _asked(patch, lambda instance: instance["scheduling"].update(instance_termination_action="STOP"))


@bug("an instance is labelled once it runs", "I1", within=20)
def _(patch: pytest.MonkeyPatch) -> None:
    _asked(patch, lambda instance: instance.update(labels={}))


@bug("instances are listed by another label than they bear", "I1", "I12", within=200, alone=Layer.SWEEPER)
def _(patch: pytest.MonkeyPatch) -> None:
    honest = GceMachines._listed

    def listed(self: GceMachines, expression: str) -> Iterator[Machine]:
        return honest(self, expression.replace("accel-ci-repository", "accel_ci_repository"))

    patch.setattr(GceMachines, "_listed", listed)


@bug("a listing that lacks a zone passes for a whole one", "I-clean", within=3000, alone=Layer.JOB)
def _(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(gce_api, "_silent", lambda page: [])


@bug("an instance that is STOPPING passes for gone", "I-clean", within=400)
def _(patch: pytest.MonkeyPatch) -> None:
    def released(self: GceMachines, handle: str) -> bool:
        there = self._seen(Place.of(handle))
        return there is None or there.state is State.RELEASING

    patch.setattr(GceMachines, "released", released)


@bug("an instance that no listing shows passes for gone", "I-clean", within=400)
def _(patch: pytest.MonkeyPatch) -> None:
    def released(self: GceMachines, handle: str) -> bool:
        return not list(self._listed(f"name={Place.of(handle).name}"))

    patch.setattr(GceMachines, "released", released)


@bug("a failed creation is believed to leave no instance", "I9", "I-clean", within=600)
def _(patch: pytest.MonkeyPatch) -> None:
    honest = GceMachines.find

    def find(self: GceMachines, key: RunKey, zones: Sequence[str]) -> Iterator[Machine]:
        return iter(()) if len(zones) == 1 else honest(self, key, zones)

    patch.setattr(GceMachines, "find", find)


@bug("an instance is looked for in the first zone only", "I-clean", within=1500)
def _(patch: pytest.MonkeyPatch) -> None:
    honest = GceMachines.find
    patch.setattr(GceMachines, "find", lambda self, key, zones: honest(self, key, (zones or ("us-central1-b",))[:1]))


@bug("409 of an instance is fatal", "I-true", within=1500)
def _(patch: pytest.MonkeyPatch) -> None:
    def fatal(self: GceMachines, place: Place, lease: Any) -> None:
        raise errors.ConfigurationError(f"409: {place.handle} exists")

    patch.setattr(GceMachines, "_check_adoption", fatal)


@bug("409 is answered with the matrix sibling's machine", "I2", "I-true", "I-pass", "I3", "I4", within=1000)
def _(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(google_machines, "check_adoption", lambda there, lease, **known: None)

    def name(self: RunKey) -> str:
        return f"{self.run_prefix}{self.attempt}-{runkey.short_digest(f'{self.job}/{self.slot}/{self.try_}')}"

    patch.setattr(RunKey, "name", property(name))


@bug("of two clouds one is listed", "I1", "I12", within=600, alone=Layer.SWEEPER)
def _(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(EveryBackend, "_gathered", lambda self, look, **known: look(self._backends["gce"]))


@bug("of two clouds the one that does not answer is left out", "I-clean", within=3000, alone=Layer.JOB)
def _(patch: pytest.MonkeyPatch) -> None:
    def gathered(self: EveryBackend, look: Callable[[Machines], Iterable[Machine]], **known: Any) -> Iterator[Machine]:
        for backend in self._backends.values():
            with contextlib.suppress(errors.TransientError):
                yield from look(backend)

    patch.setattr(EveryBackend, "_gathered", gathered)
