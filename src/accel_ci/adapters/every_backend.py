"""Several backends as one: to lease in whichever has the machine, or to look for machines that were leased anywhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from accel_ci.domain import accelerators, errors
from accel_ci.domain.lease import Lease, Owner
from accel_ci.domain.machine import Candidate, Capabilities, Creation, Machine, MachineSpec
from accel_ci.domain.runkey import RunKey
from accel_ci.ports.machines import Machines


class EveryBackend:
    """Leases, finds and ends machines in each of `backends`, by name; a candidate or a handle says whose it is."""

    def __init__(self, backends: Mapping[str, Machines]) -> None:
        self._backends = backends

    def capabilities(self) -> Capabilities:
        """What all of them can do."""
        each = [backend.capabilities() for backend in self._backends.values()]
        return Capabilities(
            native_lifetime_limit=all(one.native_lifetime_limit for one in each),
            zones=any(one.zones for one in each),
            extendable=all(one.extendable for one in each),
        )

    def candidates(self, spec: MachineSpec) -> Sequence[Candidate]:
        """The places of all backends that could give such a machine, in one order.

        A backend that cannot is left out, such as one that does not know an option. ConfigurationError when all are.
        """
        found: list[Candidate] = []
        refused: list[errors.ConfigurationError] = []
        for name, backend in self._backends.items():
            try:
                found += [replace(each, backend=name) for each in backend.candidates(spec)]
            # One cloud's "no" is no mistake of the user's as long as another cloud has such a machine.
            except errors.ConfigurationError as error:
                refused.append(error)
        if not found:
            raise refused[0] if refused else errors.ConfigurationError("no backend can be reached from here")
        return accelerators.ordered(found)

    def begin_create(self, spec: MachineSpec, lease: Lease, candidate: Candidate, *, public_key: str) -> Creation:
        return self._backends[candidate.backend].begin_create(spec, lease, candidate, public_key=public_key)

    def poll(self, creation: Creation) -> Creation:
        return self._of(creation.handle).poll(creation)

    def find(self, key: RunKey, zones: Sequence[str]) -> list[Machine]:
        return self._gathered(lambda backend: backend.find(key, zones))

    def list_owned(self, owner: Owner) -> list[Machine]:
        return self._gathered(lambda backend: backend.list_owned(owner))

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

    def _gathered(self, look: Callable[[Machines], list[Machine]]) -> list[Machine]:
        """What all backends have. Whoever may not even look into one cloud leased nothing there: that cloud is left out.

        AccessError when no cloud lets us look.
        """
        found: list[Machine] = []
        closed: list[errors.AccessError] = []
        for backend in self._backends.values():
            try:
                found += look(backend)
            except errors.AccessError as error:
                closed.append(error)
        # A backend without zones is this computer: that it may be looked at says nothing about the clouds.
        if closed and len(closed) == sum(each.capabilities().zones for each in self._backends.values()):
            raise closed[0]
        return found

    def _of(self, handle: str) -> Machines:
        scheme = handle.partition("://")[0]
        if scheme not in self._backends:
            raise errors.ConfigurationError(
                f"nothing here can work on {handle!r}", what_to_do=f"set `backend` to {scheme}, and sign in to it"
            )
        return self._backends[scheme]
