"""Working on a machine: nothing here is shaped like ssh, for a pod has exec and this computer has neither."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from accel_ci.domain.doors import Tried
from accel_ci.domain.machine import Machine
from accel_ci.domain.verdict import EndRecord
from accel_ci.domain.workload import Caps, Fetched, Package, Phase, Unpacked


@dataclass(frozen=True, slots=True)
class Output:
    """Bytes that a worker's command wrote, beginning at `offset` of its whole output. Hostile."""

    worker: int
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Ended:
    """A worker's phase is over and all of its output was delivered; `record` is None when the machine's is no record.

    `detail` then says why there is none, as far as we know (one cleaned line).
    """

    worker: int
    record: EndRecord | None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Lost:
    """The attachment to a worker broke; the command may go on. Attach again at the offset reached."""

    worker: int
    reason: str


@dataclass(frozen=True, slots=True)
class Beat:
    """The worker is attached and its supervisor answers; at least every few seconds when there is no output."""

    worker: int


@dataclass(frozen=True, slots=True)
class Quiet:
    """Nothing came from anybody for a moment: time to look at the clock."""


Event = Output | Ended | Lost | Beat | Quiet


class Base(StrEnum):
    """Where files are looked for on a worker: the code's directory, or where our test plugin writes."""

    SOURCE = "source"
    RESULTS = "results"


class Remote(Protocol):
    """All workers of a machine at once. Raises ConnectionLostError when a worker cannot be reached; never hangs."""

    def prepare(self, machine: Machine) -> list[Tried]:
        """Bring our own files to every worker, and try its doors; ConnectionLostError names a worker out of use, and why.

        No doors are tried, [], on this very computer. Only what is told before anything ran there can be believed.
        """

    def put(self, machine: Machine, package: Package) -> Unpacked:
        """Unpack the package as the source directory of every worker; all say the same of it, or it is an error.

        So is another sha or base than the package's. Idempotent. With an obstacle nothing was unpacked.
        """

    def start(self, machine: Machine, phase: Phase) -> None:
        """Start the phase on every worker where it was not started yet. Idempotent by the phase's name, key and nonce."""

    def attach(self, machine: Machine, phase: Phase, offsets: Mapping[int, int]) -> Generator[Event, None, None]:
        """What happens in the phase on the workers named in `offsets` (worker -> offset to go on from).

        Ends after an Ended or Lost of each of them; yields Quiet at least once a second when there is nothing else.
        Closing the generator detaches and leaves the commands running.
        """

    def stop(self, machine: Machine, phase: Phase, workers: Sequence[int]) -> None:
        """Ask these workers to end the phase politely (TERM, grace, KILL); the end is seen by attaching."""

    def get(
        self, machine: Machine, patterns: Sequence[str], *, caps: Caps, into: str, base: Base = Base.SOURCE
    ) -> list[Fetched]:
        """Bring files back by name into the directory `into` of this computer, under names of ours.

        Patterns are globs relative to `base` (`**` crosses directories). Only regular files, never through links, in caps.
        """

    def public_key(self) -> str:
        """The public key that machines must accept so that we can reach them; "" where the transport needs none."""
