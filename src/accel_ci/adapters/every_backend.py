"""All backends as one, for whoever looks for machines without knowing where they were leased."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from accel_ci.domain import errors
from accel_ci.domain.lease import Lease, Owner
from accel_ci.domain.machine import Candidate, Capabilities, Creation, Machine, MachineSpec
from accel_ci.domain.runkey import RunKey
from accel_ci.ports.machines import Machines


class EveryBackend:
    """Finds and ends machines in each of `backends`, by name; a machine's handle says whose it is. It leases none."""

    def __init__(self, backends: Mapping[str, Machines]) -> None:
        self._backends = backends

    def capabilities(self) -> Capabilities:
        """What all of them can do."""
        each = [backend.capabilities() for backend in self._backends.values()]
        return Capabilities(
            native_lifetime_limit=all(one.native_lifetime_limit for one in each), zones=any(one.zones for one in each)
        )

    def candidates(self, spec: MachineSpec) -> Sequence[Candidate]:
        """Always ConfigurationError: a machine is leased from one backend."""
        raise errors.ConfigurationError(
            "no backend was chosen", what_to_do=f"set `backend` to one of {', '.join(self._backends)}"
        )

    def begin_create(self, spec: MachineSpec, lease: Lease, candidate: Candidate, *, public_key: str) -> Creation:
        self.candidates(spec)
        raise AssertionError("candidates always raises")

    def poll(self, creation: Creation) -> Creation:
        return self._of(creation.handle).poll(creation)

    def find(self, key: RunKey, zones: Sequence[str]) -> list[Machine]:
        return [machine for backend in self._backends.values() for machine in backend.find(key, zones)]

    def list_owned(self, owner: Owner) -> list[Machine]:
        return [machine for backend in self._backends.values() for machine in backend.list_owned(owner)]

    def release(self, handle: str) -> None:
        self._of(handle).release(handle)

    def released(self, handle: str) -> bool:
        return self._of(handle).released(handle)

    def release_command(self, handle: str) -> str:
        return self._of(handle).release_command(handle)

    def annotate(self, handle: str, name: str, value: str) -> None:
        self._of(handle).annotate(handle, name, value)

    def console_tail(self, handle: str) -> str:
        return self._of(handle).console_tail(handle)

    def interruption(self, handle: str) -> str:
        return self._of(handle).interruption(handle)

    def _of(self, handle: str) -> Machines:
        scheme = handle.partition("://")[0]
        if scheme not in self._backends:
            raise errors.ConfigurationError(
                f"nothing here can work on {handle!r}", what_to_do=f"set `backend` to {scheme}, and sign in to it"
            )
        return self._backends[scheme]
