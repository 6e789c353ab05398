"""A client that runs a phase and keeps its log, to be killed by a test: what it shall do comes pickled on stdin."""

from __future__ import annotations

import pickle
import sys

from accel_ci.adapters import ssh
from accel_ci.adapters.local_exec import LocalExec
from accel_ci.adapters.supervised import SupervisedRemote
from accel_ci.ports.remote import Output


def main() -> None:
    """Start the phase on worker 0 and write what it says to the log."""
    (kind, how), machine, phase, log = pickle.load(sys.stdin.buffer)  # noqa: S301
    over = LocalExec(how) if kind == "local" else ssh.Ssh(**how)
    with SupervisedRemote(over) as remote, open(log, "wb", buffering=0) as file:
        remote.start(machine, phase)
        for event in remote.attach(machine, phase, {0: 0}):
            if isinstance(event, Output):
                file.write(event.data)


if __name__ == "__main__":
    main()
