"""The transport to this computer: a worker is a directory here, and a command is run in it."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence

from accel_ci.adapters import transport
from accel_ci.adapters.transport import Invocation, Session, Stdin
from accel_ci.domain.machine import Machine, Worker


class LocalExec:
    """Runs commands with `environment` and nothing else of ours, marked so that the machine's end finds them."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    async def open(self, machine: Machine, worker: Worker, argv: Sequence[str], *, stdin: Stdin) -> Session:
        """The command in the worker's directory; `python3` is the Python that runs us."""
        # What PATH calls python3 may be a version manager's script, and slow.
        program = sys.executable if argv[0] == "python3" else argv[0]
        _check(worker)
        return await transport.spawn(
            (program, *argv[1:]), stdin=stdin, cwd=worker.address, env=self._marked(machine, worker)
        )

    def shell(self, machine: Machine, worker: Worker, text: str, *, on_terminal: bool) -> Invocation:
        """A child of ours, in the worker's directory; the machine's end ends it too."""
        _check(worker)
        return Invocation(argv=("sh", "-c", text), cwd=worker.address, environment=self._marked(machine, worker))

    async def close(self) -> None:
        """Nothing stays open between commands."""

    def public_key(self) -> str:
        """None is needed."""
        return ""

    def _marked(self, machine: Machine, worker: Worker) -> dict[str, str]:
        marks = {"ACCEL_CI_MACHINE": machine.name, "ACCEL_CI_RESULTS": os.path.join(worker.address, "results")}
        return {**self._environment, **marks}


def _check(worker: Worker) -> None:
    # Made with the machine, and gone with it: never brought back.
    if not os.path.isdir(worker.address):
        raise transport.lost(worker, "its directory is gone")
