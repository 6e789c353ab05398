"""Only one client follows a run at a time: two would write one log twice."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager

from accel_ci.domain import errors


@contextmanager
def alone(path: str) -> Iterator[None]:
    """Hold the lock file; ConfigurationError when another living process holds it. A killed one holds nothing."""
    with open(path, "w") as file:
        try:
            # flock ends with its process, whatever killed that; a file with a number in it would not.
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise errors.ConfigurationError(
                "another accel-ci process follows this run already", what_to_do="let it go on, or end it first"
            ) from error
        yield
