"""What Google's two backends do alike: ask for one name in many zones at once, and tell our own machine from another's."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from typing import TypeVar

from accel_ci.domain.errors import ConfigurationError, TransientError
from accel_ci.domain.lease import Lease
from accel_ci.domain.machine import Machine, State
from accel_ci.domain.runkey import RunKey

Place = TypeVar("Place")

AT_ONCE = 8  # look-ups at the same time; the library keeps ten connections


def looked_up(
    key: RunKey, places: Iterable[Place], *, look: Callable[[Place], Machine | None], threads: Callable[[int], Executor]
) -> tuple[list[Machine], list[BaseException]]:
    """The key's machines in these places, and what came instead of an answer where there was none."""
    pool = threads(AT_ONCE)
    try:
        looks = [pool.submit(look, place) for place in places]
        silent = [error for each in looks if (error := each.exception())]
    finally:
        # A cancelled job has seconds left: no look-up is waited for that nobody will read.
        pool.shutdown(wait=False, cancel_futures=True)
    found = [machine for each in looks if not each.exception() and (machine := each.result())]
    # Labels may be lost: without the key's a machine is ours by its name, with another key's it is not.
    return [each for each in found if each.labels.get("accel-ci-key", key.digest) == key.digest], silent


def check_adoption(there: Machine | None, lease: Lease, *, handle: str, release_command: str) -> None:
    """The machine that has our name already is ours when it has our labels, unless it is ending."""
    if there is None or there.state is State.RELEASING:
        raise TransientError(f"an earlier {handle} is still ending", what_to_do="ask again in a few seconds")
    if not lease.labels().items() <= there.labels.items():
        raise ConfigurationError(
            f"{handle} exists and belongs to another lease", what_to_do=f"end it first: {release_command}"
        )
