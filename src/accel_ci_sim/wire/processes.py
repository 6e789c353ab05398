"""The real processes of simulated machines: found by a mark in their environment, whatever they did to get away."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

MARK = "ACCEL_CI_SIM_WORKER"
PROC = Path("/proc")
ROUND_S = 0.003
ROUNDS = 1000


def end(directory: Path) -> None:
    """Kill every process of the machines below the directory; they are gone when this returns."""
    for _ in range(ROUNDS):
        alive = belonging(directory)
        for pid in alive:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        if not alive:
            return
        time.sleep(ROUND_S)


def belonging(directory: Path) -> set[int]:
    """The living processes that bear the mark of a machine below the directory, and their descendants."""
    parents = {pid: parent for pid, parent in _living() if pid != os.getpid()}
    found = {pid for pid in parents if _marked(pid, directory)}
    while heirs := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= heirs
    return found


def _living() -> Iterator[tuple[int, int]]:
    """Process ids with their parents'; what is dead and only waits for its parent to hear of it is left out."""
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            try:
                state, parent = (entry / "stat").read_text().rpartition(") ")[2].split(" ", 2)[:2]
            except OSError:
                continue
            if state not in "ZX":
                yield int(entry.name), int(parent)


def _marked(pid: int, directory: Path) -> bool:
    try:
        variables = (PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:  # gone, or not ours
        return False
    mark = f"{MARK}={directory}".encode()
    return any(variable == mark or variable.startswith(mark + b"/") for variable in variables)
