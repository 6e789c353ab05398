"""Tries from inside what must not work for a stranger's code: becoming root, being the machine, reading others.

Runs as the user of the tests, before anything of theirs is there. `python3 doors.py` prints one line of JSON: {"tried":
[name, ...], "open": {name: how it was found}}. ACCEL_CI_DOORS names the doors to try, where not all make sense (a
simulated machine, which is its user's own computer). Sent to the machine as it is: standard library only, Python >= 3.8.
"""

from __future__ import annotations

import ctypes
import glob
import json
import os
import pwd
import signal
import socket
import stat
import subprocess
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Callable, Dict, Iterator, List, Tuple

sys.path.append(os.path.dirname(os.path.abspath(__file__)))  # `python3 -I` does not look there
if TYPE_CHECKING:
    from accel_ci.on_machine import process_tree
else:
    import process_tree

PROC, DEV, ETC = "/proc", "/dev", "/etc"
SUDO_S = 10.0
# A metadata server is in the host itself: it answers within a millisecond, or not at all.
NEAR_S = 0.3
METADATA = (
    ("169.254.169.254", 80),  # every cloud
    ("169.254.169.254", 443),
    ("fd20:ce::254", 80),  # Google's and Amazon's, where there is IPv6
    ("fd00:ec2::254", 80),
)
# Where its secrets are, at Google, Amazon and Azure. What it may say without harm is another matter: see excerpt.py.
IDENTITY = ("/computeMetadata/v1/instance/", "/latest/meta-data/", "/metadata/instance")
# Whoever may speak to one of these can start a container that sees the whole disk.
SOCKETS = (
    "/var/run/docker.sock",
    "/run/docker.sock",
    "/run/containerd/containerd.sock",
    "/run/crio/crio.sock",
    "/run/podman/podman.sock",
    "/var/lib/lxd/unix.socket",
    "/var/snap/lxd/common/lxd/unix.socket",
    "/var/lib/incus/unix.socket",
)
DOCKER = ("127.0.0.1", 2375)
READABLE = ("shadow", "gshadow", "sudoers", "ssh/ssh_host_*_key")
WRITABLE = ("passwd", "group", "shadow", "sudoers", "sudoers.d", "cron.d", "ld.so.preload", "ssh", "systemd/system")
DISKS = ("sd*", "vd*", "xvd*", "nvme*", "dm-*", "mem", "kmem", "port")
AUTHORIZED = "~/.ssh/authorized_keys"
PTRACE_SEIZE = 0x4206


def root() -> str:
    """The user is root, or has a part of its power."""
    if os.geteuid() == 0:
        return "the user is root"
    with open(PROC + "/self/status") as status:
        held = [line.split()[1] for line in status if line.startswith(("CapEff:", "CapAmb:"))]
    return "the user has capabilities: %s" % held[0] if any(int(each, 16) for each in held) else ""


def sudo() -> str:
    """A program makes us root without asking."""
    for program in ("sudo", "doas"):
        with suppress(FileNotFoundError):
            done = subprocess.call(
                [program, "-n", "true"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=SUDO_S,
            )
            if done == 0:
                return "%s works without a password" % program
    return ""


def metadata() -> str:
    """The cloud's metadata server answers us: there are the machine's identity and all that it was given."""
    answered: List[Tuple[str, int]] = []

    def ask(address: Tuple[str, int]) -> None:
        if answers_at(*address):
            answered.append(address)

    threads = [threading.Thread(target=ask, args=(address,)) for address in METADATA]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = ["%s port %d" % address for address in METADATA if address in answered]
    return "somebody answers at %s" % ", ".join(found) if found else ""


def answers_at(host: str, port: int) -> bool:
    """True when somebody takes the connection, unless it is to say "404" to whatever matters."""
    for path in IDENTITY:
        try:
            client = socket.create_connection((host, port), timeout=NEAR_S)
        except OSError:
            return False
        with client:
            try:
                client.sendall(("GET %s HTTP/1.0\r\nMetadata-Flavor: Google\r\nMetadata: true\r\n\r\n" % path).encode())
                if client.recv(100).split()[1:2] != [b"404"]:
                    return True
            except OSError:
                return True
    return False


def sockets() -> str:
    """A daemon that runs containers as root obeys us."""
    for path in SOCKETS:
        with suppress(OSError), socket.socket(socket.AF_UNIX) as client:
            client.settimeout(NEAR_S)
            client.connect(path)
            return "%s takes connections" % path
    with suppress(OSError), socket.create_connection(DOCKER, timeout=NEAR_S) as client:
        client.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
        if b"OK" in client.recv(4096):
            return "docker answers at %s port %d" % DOCKER
    return ""


def processes() -> str:
    """The environment of another user's process can be read; secrets are often there."""
    for pid in filter(str.isdigit, os.listdir(PROC)):
        with suppress(OSError):
            if os.stat("%s/%s" % (PROC, pid)).st_uid == os.getuid():
                continue
            with open("%s/%s/environ" % (PROC, pid), "rb") as environ:
                environ.read(1)
            return "the environment of process %s can be read" % pid
    return ""


def memory() -> str:
    """What hides its memory, as our supervisor does, can be read all the same: so could the secret of an end record."""
    ready, told = os.pipe()
    child = os.fork()
    if child == 0:
        process_tree.hide_memory()
        os.write(told, b"1")
        signal.pause()
        os._exit(0)
    os.close(told)
    try:
        os.read(ready, 1)
        return found_out(child)
    finally:
        os.close(ready)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def found_out(pid: int) -> str:
    """How the process can be looked into."""
    for name in ("mem", "environ"):
        with suppress(OSError), open("%s/%d/%s" % (PROC, pid, name), "rb"):
            return "/proc/PID/%s of a process that hides it can be opened" % name
    libc = ctypes.CDLL(None)
    return "ptrace works on a process that hides its memory" if libc.ptrace(PTRACE_SEIZE, pid, 0, 0) == 0 else ""


def files() -> str:
    """A file that makes us root, or a disk that holds one, is ours to read or to change."""
    for modes, word, names in ((os.R_OK, "read", READABLE), (os.W_OK, "changed", WRITABLE)):
        for path in found(ETC, names):
            if os.access(path, modes):
                return "%s can be %s" % (path, word)
    for path in found(DEV, DISKS):
        if os.access(path, os.R_OK) and (stat.S_ISBLK(os.stat(path).st_mode) or "/nvme" not in path):
            return "%s can be read" % path
    return ""


def found(folder: str, names: Tuple[str, ...]) -> Iterator[str]:
    """The paths below the folder that there are."""
    for name in names:
        yield from sorted(glob.glob(os.path.join(folder, name)))


def logins() -> str:
    """More keys than the run's own open this account: somebody else may come in while tests run."""
    with suppress(OSError), open(os.path.expanduser(AUTHORIZED), errors="replace") as authorized:
        keys = {line.strip() for line in authorized if line.strip() and not line.startswith("#")}
        if len(keys) > 1:
            return "%d keys open the account %s" % (len(keys), pwd.getpwuid(os.getuid()).pw_name)
    return ""


DOORS: Dict[str, Callable[[], str]] = {
    "memory": memory,  # first: it forks, which is better done without threads
    "sudo": sudo,
    "metadata": metadata,
    "root": root,
    "sockets": sockets,
    "processes": processes,
    "files": files,
    "logins": logins,
}


def tried(names: List[str]) -> Dict[str, object]:
    """Which of the doors were tried, and how those that stand open were found. What cannot be tried counts as open."""
    opened = {name: how for name, how in ((name, one(name)) for name in names) if how}
    return {"tried": names, "open": opened}


def one(name: str) -> str:
    """How the door stands open; "" when it is shut."""
    try:
        return DOORS[name]()
    except (OSError, ValueError, KeyError, subprocess.SubprocessError) as error:
        return "it could not be tried: %s" % type(error).__name__


def chosen() -> List[str]:
    """All doors, or those that the machine names."""
    wanted = os.environ.get("ACCEL_CI_DOORS")
    return list(DOORS) if wanted is None else [name for name in DOORS if name in wanted.split(",")]


if __name__ == "__main__":
    print(json.dumps(tried(chosen())))
