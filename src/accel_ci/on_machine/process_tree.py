"""All the processes that come from one: who they are, and how they are ended. Part of supervisor.py.

Complete on Linux. Elsewhere (a laptop, to try things) orphans that left their parents are not found again.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import subprocess
import sys
import time
from contextlib import suppress
from typing import Callable, Dict, Iterator, NamedTuple, Optional, Set

PROC = "/proc"
TICK_S = 0.1
LAST_CALL_S = 2.0
KILL_S = 30.0
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER = 1, 4, 36

Turn = Callable[[float], bool]


class Process(NamedTuple):
    """What the system says of a process; it is dead when only its exit status is left."""

    pid: int
    parent: int
    group: int
    dead: bool
    rss_bytes: int


class Tree:
    """The descendants of this process. Orphans among them have to become our children: see `adopt_orphans`."""

    def __init__(self) -> None:
        self.command = 0
        self.status: Optional[int] = None

    def reap(self) -> bool:
        """Collect the dead, and with them the command's status; False when no descendant is left at all."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            if pid == self.command:
                self.status = status

    def members(self) -> Dict[int, Process]:
        """The descendants that live now, by pid."""
        children: Dict[int, Dict[int, Process]] = {}
        for process in processes():
            children.setdefault(process.parent, {})[process.pid] = process
        found: Dict[int, Process] = {}
        todo = [os.getpid()]
        while todo:
            these = children.pop(todo.pop(), {})
            todo += these
            found.update(these)
        return {pid: process for pid, process in found.items() if not process.dead}

    def end(self, grace_s: float, turn: Turn) -> bool:
        """TERM to everybody, the grace, KILL to who is left. False when even that did not help in KILL_S.

        `turn(seconds)` waits, does what else is to be done, and returns what `reap` says.
        """
        told: Set[int] = set()
        for wait_s in (grace_s, LAST_CALL_S):  # the second time for those born meanwhile: nobody is killed unasked
            fresh = self.members().keys() - told
            for pid in fresh:
                send(pid, signal.SIGTERM)
                send(pid, signal.SIGCONT)
            told |= fresh
            if gone_within(wait_s if fresh else TICK_S, turn):
                return True
        deadline = time.monotonic() + KILL_S
        while turn(0.001):
            if time.monotonic() > deadline:
                return False
            self.kill()
        return True

    def kill(self) -> None:
        """KILL to all of them, by group first: no fork can slip through that, while one by one it can."""
        members = self.members()
        for group in {process.group for process in members.values()} - {os.getpgrp()}:
            send(-group, signal.SIGKILL)
        for pid in members:
            send(pid, signal.SIGKILL)


def processes() -> Iterator[Process]:
    """Every process of this machine."""
    return from_proc() if os.path.isdir(PROC) else from_ps()


def from_proc() -> Iterator[Process]:
    """Every process, from /proc/<pid>/stat."""
    for name in filter(str.isdigit, os.listdir(PROC)):
        try:
            with open("%s/%s/stat" % (PROC, name), "rb", buffering=0) as file:
                fields = file.read().rpartition(b")")[2].split()
        except OSError:  # it ended meanwhile
            continue
        dead = fields[0] in b"ZX" and int(fields[17]) <= 1  # threads may outlive the first one
        rss_bytes = int(fields[21]) * resource.getpagesize()
        yield Process(int(name), parent=int(fields[1]), group=int(fields[2]), dead=dead, rss_bytes=rss_bytes)


def from_ps() -> Iterator[Process]:
    """Every process but ps itself, where there is no /proc."""
    with subprocess.Popen(["ps", "-A", "-o", "pid=,ppid=,pgid=,rss=,stat="], stdout=subprocess.PIPE) as ps:
        lines = ps.communicate()[0].splitlines()
    for *numbers, state in map(bytes.split, lines):
        pid, parent, group, kibibytes = map(int, numbers)
        if pid != ps.pid:
            yield Process(pid, parent, group=group, dead=state.startswith(b"Z"), rss_bytes=kibibytes * 1024)


def largest_of_the_dead() -> int:
    """The peak memory, in bytes, of the largest single descendant that was reaped."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit


def send(pid: int, number: int) -> None:
    """Signal a process, or with -pid a group, that may be gone by now."""
    with suppress(OSError):
        os.kill(pid, number)


def gone_within(seconds: float, turn: Turn) -> bool:
    """True as soon as `turn` says that nothing is left, False when that takes longer."""
    deadline, wait_s = time.monotonic() + seconds, 0.0
    while turn(wait_s):
        wait_s = min(TICK_S, deadline - time.monotonic())
        if wait_s <= 0:
            return False
    return True


def adopt_orphans() -> None:
    """From now on the orphans among our descendants become our children. A fork does not inherit this."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


def hide_memory() -> None:
    """Nobody but root may read this process's memory from now on, nor that of its forks until they exec."""
    _prctl(PR_SET_DUMPABLE, 0)


def die_with_parent() -> None:
    """TERM comes when the parent ends, however it ends."""
    _prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _prctl(option: int, value: int) -> None:
    with suppress(AttributeError):  # only Linux has it
        ctypes.CDLL(None).prctl(option, ctypes.c_ulong(value), 0, 0, 0)
