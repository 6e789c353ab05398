"""The keeper of a local machine, which is a directory: ends the machine's processes, then removes the directory.

`keeper.py keep DIRECTORY` watches from a process of its own and ends the machine when its lease is over.
`keeper.py end DIRECTORY` ends the machine now, from a process of its own; returns once it is gone, or after a second.
`keeper.py alive DIRECTORY` exits 0 when a process of the machine lives, 4 when none does.
A process belongs to the machine when its environment says ACCEL_CI_MACHINE=<name>, or when it descends from such a one.
"""

from __future__ import annotations

import fcntl
import glob
import itertools
import json
import os
import select
import signal
import sys
import time
from typing import Any, Callable, Iterable

GRACE_S = 3.0
KILL_S = 3.0
LOOK_S = 0.05
TICK_S = 0.5
PATIENCE_S = 1.0
ATTEMPTS = 20
TOMBSTONES = 100
LIFETIME_LIMIT = "lifetime limit reached"
NONE_ALIVE = 4
GOING_ON = "going on"

Say = Callable[[str], None]


def keep(directory: str, say: Say) -> None:
    """Watch the machine until it is gone; end it at its lease's end. Says "ok" once it, or another keeper, watches."""
    machine = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    watch = os.open(os.path.join(directory, "keeper"), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(watch, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return say("ok")
    labels = _json(os.path.join(directory, "machine.json")).get("labels")
    expires = _number(labels.get("accel-ci-expires")) if isinstance(labels, dict) else 0
    say("ok")
    attempts = 0  # bounded: what withstands for two minutes is the sweeper's and a person's to end
    while _is(machine, directory) and attempts < ATTEMPTS:
        if time.time() >= max(expires, _kept_until(directory)):
            attempts += 1
            try:
                end(directory, LIFETIME_LIMIT)
            except OSError:
                pass
        time.sleep(TICK_S)
    return None if os.path.lexists(directory) else bereave(directory)


def end(directory: str, reason: str = "") -> None:
    """End the machine politely and remove its directory. Raises OSError when a process or a file withstands."""
    try:
        machine = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return stop(directory)
    # Cleanup and the lease's end may come at the same time.
    fcntl.flock(machine, fcntl.LOCK_EX)
    if not _is(machine, directory):  # whoever had the lock ended it; what bears the name now is another machine
        return None
    _mark(directory, reason)
    stop(directory)
    clear(directory, spare=("machine.json", "ending"))  # these last: a crash before leaves a machine that still lists
    stop(directory)  # what was being started while the directory went away
    clear(directory, spare=())
    return os.rmdir(directory)


def stop(directory: str) -> None:
    """End every process of the machine: TERM, a grace, then KILL. Raises TimeoutError when one outlives that."""
    _signal(processes(directory), signal.SIGTERM)
    deadline = time.monotonic() + GRACE_S
    while True:
        left = processes(directory)
        if not left:
            return
        if time.monotonic() >= deadline + KILL_S:
            raise TimeoutError("processes outlived KILL: %s" % sorted(left))
        if time.monotonic() >= deadline:
            _signal(left, signal.SIGKILL)
        time.sleep(LOOK_S)


def bereave(directory: str) -> None:
    """End what lives on after somebody removed the directory by hand; never what a new machine of that name starts."""
    left = processes(directory)
    _signal(left, signal.SIGTERM)
    deadline = time.monotonic() + GRACE_S
    while left and time.monotonic() < deadline:
        time.sleep(LOOK_S)
        left &= processes(directory)
    _signal(left, signal.SIGKILL)


def clear(directory: str, spare: Iterable[str]) -> None:
    """Remove what is in the directory but the spared names: flat, so that neither depth nor permissions can stop it."""
    names = ("%d-%d-%d" % (os.getpid(), time.monotonic_ns(), number) for number in itertools.count())
    while True:
        entries = [entry for entry in os.scandir(directory) if entry.name not in spare]
        if not entries:
            return
        for entry in entries:
            if not entry.is_dir(follow_symlinks=False):
                os.unlink(entry.path)
                continue
            os.chmod(entry.path, 0o700)
            for child in list(os.scandir(entry.path)):
                if child.is_dir(follow_symlinks=False):
                    os.chmod(child.path, 0o700)
                    os.rename(child.path, os.path.join(directory, next(names)))
                else:
                    os.unlink(child.path)
            os.rmdir(entry.path)


def processes(directory: str) -> set[int]:
    """The living processes of the machine as what os.kill takes: pids, or negated process groups without /proc."""
    if os.path.isdir("/proc/self"):
        return marked(directory)
    return recorded(directory)


def marked(directory: str) -> set[int]:
    """The living processes that bear the machine's mark in their environment, and all their descendants, but not us."""
    parents = {pid: parent for pid, parent in map(_parent, os.listdir("/proc")) if pid}
    found = {pid for pid in parents if _is_marked(pid, directory)}
    grown = found
    while grown:
        grown = {pid for pid, parent in parents.items() if parent in found} - found
        found |= grown
    return found - {os.getpid()}


def recorded(directory: str) -> set[int]:
    """The living process groups, negated, whose leaders supervisors wrote down in their state.json."""
    found = set()
    for path in glob.glob(os.path.join(glob.escape(directory), "worker-*", "phases", "*", "state.json")):
        state = _json(path)
        found |= {pid for pid in (state.get("supervisor"), state.get("command")) if isinstance(pid, int)}
    return {-pid for pid in found if pid > 1 and _lives(-pid)}


def _parent(name: str) -> tuple[int, int]:
    """A living process's pid and its parent's; (0, 0) for a zombie and for what is no process."""
    try:
        with open("/proc/%d/stat" % int(name), "rb") as stat:
            # A program's name stands in parentheses and may hold parentheses of its own.
            state, parent = stat.read().rpartition(b")")[2].split()[:2]
    except (OSError, ValueError):
        return 0, 0
    # A zombie is over, whoever has not asked for its status.
    return (0, 0) if state in (b"Z", b"X") else (int(name), int(parent))


def _is_marked(pid: int, directory: str) -> bool:
    """By its environment. The results directory tells it from a machine of the same name in another state directory."""
    try:
        with open("/proc/%d/environ" % pid, "rb") as environ:
            entries = environ.read().split(b"\0")
    except OSError:
        return False
    place = os.fsencode(directory)
    if b"ACCEL_CI_MACHINE=" + os.path.basename(place) not in entries:
        return False
    results = [entry.partition(b"=")[2] for entry in entries if entry.startswith(b"ACCEL_CI_RESULTS=")]
    return all(result.startswith(place + b"/") for result in results)


def _lives(target: int) -> bool:
    try:
        os.kill(target, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _signal(targets: Iterable[int], number: int) -> None:
    for target in sorted(targets):  # parents first, lest a shell goes on with its next command
        try:
            os.kill(target, number)
        except (ProcessLookupError, PermissionError):
            pass


def _is(opened: int, directory: str) -> bool:
    """True while the path still leads to the directory that was opened: not gone, not another one of the same name."""
    try:
        now = os.stat(directory, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return os.path.samestat(os.fstat(opened), now)


def _mark(directory: str, reason: str) -> None:
    """Write that the machine is ending, and why. A full disk must not keep it alive."""
    try:
        os.close(os.open(os.path.join(directory, "ending"), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600))
        if reason:
            _bury(directory, reason)
    except OSError:
        pass


def _bury(directory: str, reason: str) -> None:
    machines, name = os.path.split(directory)
    tombs = os.path.join(os.path.dirname(machines), "ended")
    os.makedirs(tombs, mode=0o700, exist_ok=True)
    with open(os.path.join(tombs, name), "w") as tomb:
        tomb.write(reason)
    for entry in sorted(os.scandir(tombs), key=lambda entry: entry.stat(follow_symlinks=False).st_mtime)[:-TOMBSTONES]:
        os.unlink(entry.path)


def _kept_until(directory: str) -> int:
    try:
        with open(os.path.join(directory, "annotations", "accel-ci-keep-until")) as annotation:
            return _number(annotation.read(64))
    except (OSError, ValueError):
        return 0


def _json(path: str) -> dict[str, Any]:
    try:
        with open(path) as document:
            found = json.loads(document.read(65536))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _number(text: object) -> int:
    return int(text) if isinstance(text, str) and text.isascii() and text.isdigit() and len(text) < 16 else 0


def detached(work: Callable[[str, Say], None], directory: str) -> str:
    """Work in a process of its own. Returns what it says: "ok" or what went wrong; "going on" after a second."""
    reader, writer = os.pipe()
    if os.fork() == 0:  # twice, so that no caller is left with a child to reap
        os.setsid()
        if os.fork() == 0:
            _work(work, directory, writer)
        os._exit(0)
    os.close(writer)
    ready, _, _ = select.select([reader], [], [], PATIENCE_S)
    return os.read(reader, 4096).decode("utf-8", "replace") if ready else GOING_ON


def _work(work: Callable[[str, Say], None], directory: str, writer: int) -> None:
    def say(text: str) -> None:
        """Tell whoever waits, if somebody still does."""
        try:
            os.write(writer, text.encode("utf-8", "replace"))
        except BrokenPipeError:  # it took longer than the caller's patience
            pass

    os.chdir("/")
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    try:
        work(directory, say)
    except OSError as error:
        say(str(error))


def end_and_say(directory: str, say: Say) -> None:
    """End the machine, then say "ok"."""
    end(directory)
    say("ok")


def main(verb: str, directory: str) -> int:
    """The exit status of one verb; what went wrong is on stderr."""
    if verb == "alive":
        return 0 if processes(directory) else NONE_ALIVE
    said = detached({"keep": keep, "end": end_and_say}[verb], directory)
    if said == "ok" or (said == GOING_ON and verb == "end"):
        return 0
    sys.stderr.write(said or "the keeper ended without a word")
    return 3


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
