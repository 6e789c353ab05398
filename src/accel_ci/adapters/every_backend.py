"""Several backends as one: to lease in whichever has the machine, or to look for machines that were leased anywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import replace
from queue import SimpleQueue

from accel_ci.adapters.daemon_threads import DaemonThreads
from accel_ci.domain import accelerators, errors
from accel_ci.domain.errors import AccelError
from accel_ci.domain.lease import Lease, Owner
from accel_ci.domain.machine import Candidate, Capabilities, Creation, Machine, MachineSpec
from accel_ci.domain.runkey import RunKey
from accel_ci.ports.machines import Machines


class EveryBackend:
    """Leases, finds and ends machines in each of `backends`, by name; a candidate or a handle says whose it is."""

    def __init__(self, backends: Mapping[str, Machines], *, threads: Callable[[int], Executor] = DaemonThreads) -> None:
        self._backends = backends
        self._threads = threads

    def capabilities(self, handle: str = "") -> Capabilities:
        """What the handle's backend can do; without one, what all of them can."""
        if handle:
            return self._of(handle).capabilities()
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
        """The creation, asked for in the candidate's backend."""
        return self._backends[candidate.backend].begin_create(spec, lease, candidate, public_key=public_key)

    def poll(self, creation: Creation) -> Creation:
        """The creation as its handle's backend sees it."""
        return self._of(creation.handle).poll(creation)

    def find(self, key: RunKey, zones: Sequence[str]) -> Iterator[Machine]:
        """All are asked at once. A key has one machine at most: where it is found, another cloud's silence is no matter."""
        return self._gathered(lambda backend: backend.find(key, zones), enough=1)

    def list_owned(self, owner: Owner) -> Iterator[Machine]:
        """All are asked at once."""
        return self._gathered(lambda backend: backend.list_owned(owner))

    def release(self, handle: str) -> None:
        """Begin to end the machine in its handle's backend."""
        self._of(handle).release(handle)

    def released(self, handle: str) -> bool:
        """True once its handle's backend is certain that the machine is gone."""
        return self._of(handle).released(handle)

    def release_command(self, handle: str) -> str:
        """The command of the handle's backend."""
        return self._of(handle).release_command(handle)

    def handles(self, key: RunKey, zones: Sequence[str]) -> Sequence[str]:
        """The handles that the key's machine may have in any of the backends."""
        return [handle for backend in self._backends.values() for handle in backend.handles(key, zones)]

    def search_commands(self, owner: Owner) -> Sequence[str]:
        """The commands of all backends."""
        return [command for backend in self._backends.values() for command in backend.search_commands(owner)]

    def annotate(self, handle: str, name: str, value: str) -> None:
        """Set the label in the handle's backend."""
        self._of(handle).annotate(handle, name, value)

    def join(self, machine: Machine, *, public_key: str, root: str) -> Machine:
        """The machine as its own backend lets another job use it."""
        return self._of(machine.handle).join(machine, public_key=public_key, root=root)

    def console_tail(self, handle: str) -> str:
        """The console's last lines, from the handle's backend."""
        return self._of(handle).console_tail(handle)

    def interruption(self, handle: str) -> str:
        """Why the handle's cloud took the machine away; "" when it did not."""
        return self._of(handle).interruption(handle)

    def _gathered(
        self, look: Callable[[Machines], Iterable[Machine]], *, enough: float = float("inf")
    ) -> Iterator[Machine]:
        """What the backends have, as they tell. Whoever may not even look into one cloud leased nothing there: that cloud

        is left out. AccessError when no cloud lets us look; what else went wrong comes last, unless `enough` were found.
        """
        told = SimpleQueue[Machine | Future[None]]()
        threads, closed, silent = self._threads(len(self._backends)), list[AccelError](), list[BaseException]()
        for backend in self._backends.values():
            threads.submit(_tell, look, backend, told).add_done_callback(told.put)
        found, waiting = 0, len(self._backends)
        while waiting:
            answer = told.get()
            if isinstance(answer, Machine):
                found += 1
                yield answer
                continue
            waiting -= 1
            error = answer.exception()
            if isinstance(error, errors.AccessError):
                closed.append(error)
            elif error is not None:
                silent.append(error)
        # A backend without zones is this computer: that it may be looked at says nothing about the clouds.
        if closed and len(closed) == sum(each.capabilities().zones for each in self._backends.values()):
            raise closed[0]
        if silent and found < enough:
            raise silent[0]

    def _of(self, handle: str) -> Machines:
        scheme = handle.partition("://")[0]
        if scheme not in self._backends:
            raise errors.ConfigurationError(
                f"nothing here can work on {handle!r}", what_to_do=f"set `backend` to {scheme}, and sign in to it"
            )
        return self._backends[scheme]


def _tell(
    look: Callable[[Machines], Iterable[Machine]], backend: Machines, told: SimpleQueue[Machine | Future[None]]
) -> None:
    for machine in look(backend):
        told.put(machine)
