"""A person's own way to a leased machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from accel_ci.domain.machine import Machine, Worker

BROKEN = 255  # how ssh says that the connection failed or broke; a command may end with it too


class Shell(Protocol):
    """Commands begin where the code is, once it was sent. ConnectionLostError for a worker that cannot be reached."""

    def enter(self, machine: Machine, worker: Worker, command: str) -> int:
        """The exit code of the shell text, or of a login shell for "", with our own stdin, stdout and stderr."""

    def broadcast(
        self, machine: Machine, workers: Sequence[Worker], command: str, *, deliver: Callable[[int, bytes], None]
    ) -> list[int]:
        """The exit codes of the shell text on these workers at once; `deliver` gets a worker's index and its output."""
