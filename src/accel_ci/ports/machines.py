"""Where machines come from: one implementation per backend."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from accel_ci.domain.lease import Lease, Owner
from accel_ci.domain.machine import Candidate, Capabilities, Creation, Machine, MachineSpec
from accel_ci.domain.runkey import RunKey


class Machines(Protocol):
    """A backend. Every method returns within seconds or raises; only the caller waits, through the clock.

    Errors: NoCapacityError, QuotaError, AccessError, BootError, TransientError (it may have worked), ConfigurationError.
    """

    def capabilities(self, handle: str = "") -> Capabilities:
        """What this backend can do; of several backends as one the one that made the handle, without one all of them."""

    def candidates(self, spec: MachineSpec) -> Sequence[Candidate]:
        """The places that could give such a machine, in the order to try them; never empty."""

    def begin_create(self, spec: MachineSpec, lease: Lease, candidate: Candidate, *, public_key: str) -> Creation:
        """Ask for the machine named `lease.key.name`. Idempotent: a machine of that name with all our labels is adopted,

        one with other labels raises ConfigurationError. Labels and expiry travel in this call, never later.
        """

    def poll(self, creation: Creation) -> Creation:
        """Where the creation is now; `machine` is set once every worker can be reached. Raises when it failed."""

    def find(self, key: RunKey, zones: Sequence[str]) -> Iterable[Machine]:
        """The machines of this very key in these zones, looked up by name; what listing may still hide is found.

        They come as they are found. Where a part of the cloud was silent the error comes last, unless one was found.
        """

    def list_owned(self, owner: Owner) -> Iterable[Machine]:
        """The machines that `owner` owns, in all zones, by label and by name prefix, in any state but gone.

        They come as they are found; where a part of the cloud was silent the error comes last.
        """

    def release(self, handle: str) -> None:
        """Begin to end the machine, in whatever state it is. Idempotent; a machine that is gone is fine."""

    def released(self, handle: str) -> bool:
        """True once the machine certainly is gone (looked up by name, never concluded from a listing)."""

    def release_command(self, handle: str) -> str:
        """The command that a person pastes to end the machine by hand."""

    def handles(self, key: RunKey, zones: Sequence[str]) -> Sequence[str]:
        """The handles that this key's machine may have in these zones, in all zones when none is named. Asks nobody."""

    def search_commands(self, owner: Owner) -> Sequence[str]:
        """The commands that a person pastes to find and end whatever the owner has, where no name of it is known."""

    def annotate(self, handle: str, name: str, value: str) -> None:
        """Set one label (such as accel-ci-keep-until) on a living machine."""

    def join(self, machine: Machine, *, public_key: str, root: str) -> Machine:
        """The ready machine as another job of its run may use it: whoever has the key of `public_key` can log in, and

        works in the directory `root`, where no other job works. Idempotent.
        """

    def console_tail(self, handle: str) -> str:
        """The last lines of the machine's console, "" where there is none. Hostile text."""

    def interruption(self, handle: str) -> str:
        """Why the cloud took the machine away (preemption, maintenance, lifetime limit); "" when it did not."""
