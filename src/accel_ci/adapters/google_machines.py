"""What Google's two backends do alike: name places, ask for one name in many zones, and tell our machine from another's."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from queue import SimpleQueue
from typing import ClassVar, Self, TypeVar

from accel_ci.adapters.google_refusals import ClosedZoneError
from accel_ci.domain import errors
from accel_ci.domain.errors import ConfigurationError, TransientError
from accel_ci.domain.lease import Lease
from accel_ci.domain.machine import Machine, State
from accel_ci.domain.runkey import RunKey

AT_ONCE = 8  # look-ups at the same time; the libraries keep ten connections
ANNOTATION_S = 10.0
ANNOTATION_PAUSE_S = 0.1
_HANDLE = re.compile(r"([a-z]+)://([a-z0-9.:-]{1,100})/([a-z0-9-]{1,63})/([a-z][a-z0-9-]{0,62})")


@dataclass(frozen=True, slots=True)
class GooglePlace:
    """Where a machine is, or would be."""

    project: str
    zone: str
    name: str
    SCHEME: ClassVar[str] = ""

    @property
    def handle(self) -> str:
        """<scheme>://<project>/<zone>/<name>."""
        return f"{self.SCHEME}://{self.project}/{self.zone}/{self.name}"

    @classmethod
    def of(cls, handle: str) -> Self:
        """The place of a handle; ConfigurationError for any other text."""
        match = _HANDLE.fullmatch(handle)
        if match is None or match[1] != cls.SCHEME:
            raise errors.ConfigurationError(
                f"not a handle of backend `{cls.SCHEME}`: {handle!r}",
                what_to_do=f"use {cls.SCHEME}://<project>/<zone>/<name>",
            )
        return cls(*match.groups()[1:])


Place = TypeVar("Place", bound=GooglePlace)


def project_of(handle: str) -> str:
    """The project that a handle names; "" for any other text."""
    match = _HANDLE.fullmatch(handle)
    return match[2] if match else ""


def request_id(lease: Lease, zone: str) -> str:
    """The id that makes a second request of this lease the first one."""
    # Google remembers ids for an hour: another lease of a name that is free again has to have another one. So has that of
    # another job which asks for the run's machine in the same second: it would take the first one's for its own.
    return str(uuid.uuid5(lease.key.request_id(zone), f"{lease.expires_at} {lease.nonce}"))


def found(
    key: RunKey,
    places: Iterable[Place],
    *,
    look: Callable[[Place], Machine | None],
    threads: Callable[[int], Executor],
    empty: Callable[[BaseException], bool] = lambda error: False,
) -> Iterator[Machine]:
    """The key's machines in these places, as they are found. Where an error is not as good as `empty`, it is raised:

    at the end, and only when nothing was found, for a key has one machine at most. A zone that is closed to the project
    is empty.
    """
    pool, answered = threads(AT_ONCE), SimpleQueue[Future[Machine | None]]()
    silent: list[BaseException] = []
    known = 0
    try:
        looks = [pool.submit(look, place) for place in places]
        for each in looks:
            each.add_done_callback(answered.put)
        for _ in looks:
            done = answered.get()
            if error := done.exception():
                silent.append(error)
            elif (machine := done.result()) is not None and _ours(machine, key):
                known += 1
                yield machine
    finally:
        # A cancelled job has seconds left: no look-up is waited for that nobody will read.
        pool.shutdown(wait=False, cancel_futures=True)
    for error in silent:
        if not known and not isinstance(error, ClosedZoneError) and not empty(error):
            raise error


def _ours(machine: Machine, key: RunKey) -> bool:
    # Labels may be lost: without the key's a machine is ours by its name, with another key's it is not.
    return machine.labels.get("accel-ci-key", key.digest) == key.digest


def check_adoption(there: Machine | None, lease: Lease, *, handle: str, release_command: str) -> None:
    """The machine that has our name already is ours when it has our labels, unless it is ending."""
    if there is None or there.state is State.RELEASING:
        raise TransientError(f"an earlier {handle} is still ending", what_to_do="ask again in a few seconds")
    if not lease.labels().items() <= there.labels.items():
        raise ConfigurationError(
            f"{handle} exists and belongs to another lease", what_to_do=f"end it first: {release_command}"
        )


def await_annotation(operating: Callable[[], bool], *, handle: str) -> None:
    """Return once the operation that sets a label is over; TransientError after ten seconds."""
    deadline = time.monotonic() + ANNOTATION_S
    while operating():
        if time.monotonic() >= deadline:
            raise TransientError(f"the label of {handle} was not set in {ANNOTATION_S:.0f} s")
        time.sleep(ANNOTATION_PAUSE_S)
