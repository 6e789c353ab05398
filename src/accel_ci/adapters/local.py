"""The `local` backend: a machine is a directory of this computer. Nothing is rented: it is for trying things."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from accel_ci.adapters.local_state import MAX_WORKERS, ZONE, LocalState
from accel_ci.domain.errors import BootError, CloudError, ConfigurationError, TransientError
from accel_ci.domain.lease import Lease, Owner
from accel_ci.domain.machine import Candidate, Capabilities, Creation, Machine, MachineSpec, State
from accel_ci.domain.runkey import RunKey

KEEPER = Path(__file__).parent.parent / "on_machine" / "keeper.py"
KEEPER_LIMIT_S = 30.0
# Not 1 or 2: Python itself ends with these.
NONE_ALIVE = 4

_ACCELERATOR = re.compile(r"local(-[1-9][0-9]?)?")


class LocalMachines:
    """Machines below the directory `state`. A keeper process per machine enforces the lease: on_machine/keeper.py.

    Should somebody kill the keeper, the machine still lists, and cleanup or the sweeper end it in the same way.
    """

    def __init__(self, state: str) -> None:
        self._state = LocalState(state)

    def capabilities(self, handle: str = "") -> Capabilities:
        """It ends machines by itself, late by the keeper's look, its grace and KILL."""
        return Capabilities(native_lifetime_limit=True, zones=False, max_lateness_s=10.0)

    def candidates(self, spec: MachineSpec) -> Sequence[Candidate]:
        """This computer, for nothing."""
        check(spec)
        return (Candidate(zone=ZONE, spot=False, dollars_per_hour=0.0),)

    def begin_create(self, spec: MachineSpec, lease: Lease, candidate: Candidate, *, public_key: str) -> Creation:
        """The creation, over already; TransientError while an earlier machine of that name is ending."""
        check(spec)
        name, labels = lease.key.name, lease.labels()
        self._state.place(name, spec, labels)
        machine = self._state.machine(name)
        if machine is None or machine.state is State.RELEASING:
            raise TransientError(f"an earlier machine {name} is still ending", what_to_do="ask again in a few seconds")
        if not labels.items() <= machine.labels.items():
            raise ConfigurationError(
                f"a machine {name} exists that belongs to another lease",
                what_to_do=f"end it first: {self.release_command(machine.handle)}",
            )
        self._keeper("keep", name)
        return self.poll(Creation(handle=machine.handle, stage="starting"))

    def poll(self, creation: Creation) -> Creation:
        """The creation with its machine; BootError when that is gone or ending already."""
        machine = self._state.machine(self._state.name(creation.handle))
        if machine is None or machine.state is not State.READY:
            why = self.interruption(creation.handle) or "somebody released it"
            raise BootError(f"{creation.handle} ended before it was used: {why}", what_to_do="ask for a longer lease")
        return Creation(handle=creation.handle, stage="ready", machine=machine)

    def find(self, key: RunKey, zones: Sequence[str]) -> list[Machine]:
        """The machine of this key, when it exists."""
        machine = self._state.machine(key.name)
        # Labels may be gone with machine.json: then the name alone says whose it is.
        if machine is None or machine.labels.get("accel-ci-key", key.digest) != key.digest:
            return []
        return [machine]

    def list_owned(self, owner: Owner) -> list[Machine]:
        """The owner's machines, sorted by name. One without its machine.json has no labels: its name tells its run."""
        machines = map(self._state.machine, self._state.names())
        return [machine for machine in machines if machine is not None and owner.owns(machine.name, machine.labels)]

    def release(self, handle: str) -> None:
        """TERM, grace and KILL for its processes, then the directory goes. Returns after a second, over or not."""
        self._keeper("end", self._state.name(handle))

    def released(self, handle: str) -> bool:
        """True when neither the directory nor a process of the machine is left."""
        name = self._state.name(handle)
        return self._state.machine(name) is None and not self._keeper("alive", name)

    def release_command(self, handle: str) -> str:
        """The keeper's own command, which needs nothing but Python."""
        directory = self._state.directory(self._state.name(handle))
        return shlex.join([sys.executable, str(KEEPER), "end", str(directory)])

    def handles(self, key: RunKey, zones: Sequence[str]) -> Sequence[str]:
        """The one that it would have here."""
        return [f"local://{key.name}"]

    def search_commands(self, owner: Owner) -> Sequence[str]:
        """Our own: what is on this computer can always be looked at from here."""
        return ["accel-ci cleanup --backend local"]

    def annotate(self, handle: str, name: str, value: str) -> None:
        """Set the label; CloudError when the machine is gone."""
        self._state.annotate(self._state.name(handle), name, value)

    def join(self, machine: Machine, *, public_key: str, root: str) -> Machine:
        """With a directory of its own on each worker; nobody logs in here."""
        places = [Path(worker.address, root) for worker in machine.workers]
        try:
            for place in places:
                place.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise BootError(f"{machine.handle} ended before it was used", what_to_do="run it again") from error
        joined = [replace(worker, address=str(place)) for worker, place in zip(machine.workers, places, strict=True)]
        return replace(machine, workers=tuple(joined), root=root)

    def console_tail(self, handle: str) -> str:
        """Nothing: the machine has no console of its own."""
        return ""

    def interruption(self, handle: str) -> str:
        """The words "lifetime limit reached" when the keeper ended the machine."""
        return self._state.tombstone(self._state.name(handle))

    def _keeper(self, verb: str, name: str) -> bool:
        """False only for `alive` when nothing lives. The keeper gets no environment: it has no use for our secrets."""
        # -I -S: nothing of the environment or of site-packages decides what runs.
        command = [sys.executable, "-I", "-S", str(KEEPER), verb, str(self._state.directory(name))]
        try:
            done = subprocess.run(
                command,
                env={},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=KEEPER_LIMIT_S,
                start_new_session=True,  # Ctrl-C is for us; a release that was begun goes on
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise TransientError(f"the keeper of {name} did not answer in {KEEPER_LIMIT_S:.0f} s") from error
        if done.returncode not in (0, NONE_ALIVE):
            last_words = done.stderr.decode(errors="replace").strip()[-300:]
            raise CloudError(f"the keeper of {name} failed: {last_words}")
        return done.returncode == 0


def check(spec: MachineSpec) -> None:
    """ConfigurationError for what this computer is not."""
    if not _ACCELERATOR.fullmatch(spec.accelerator) or not 1 <= spec.workers <= MAX_WORKERS:
        raise ConfigurationError(
            f"this computer has no accelerator {spec.accelerator!r} with {spec.workers} worker(s)",
            what_to_do=f"use local, or local-2 to local-{MAX_WORKERS} for several workers",
        )
