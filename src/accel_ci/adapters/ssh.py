"""The transport over OpenSSH: one authenticated connection per worker, which later commands share.

The connection is a process of ours and lives as long as our end of its stdin: when we die, so does it, at once.
Algorithms are preferred, not forced: on two cores 64 connections take 0.8 s with curve25519 first, 3.3 s without.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import shlex
import shutil
import subprocess
import tempfile
from asyncio.subprocess import PIPE
from collections import defaultdict
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress

from accel_ci.adapters import transport
from accel_ci.adapters.transport import Invocation, Session, Stdin
from accel_ci.domain.errors import ConfigurationError
from accel_ci.domain.machine import Machine, Worker

CONFIG = """\
BatchMode yes
StrictHostKeyChecking yes
GlobalKnownHostsFile /dev/null
UpdateHostKeys no
VerifyHostKeyDNS no
CheckHostIP no
IdentitiesOnly yes
IdentityAgent none
PreferredAuthentications publickey
ForwardAgent no
ForwardX11 no
ClearAllForwardings yes
PermitLocalCommand no
RequestTTY no
EscapeChar none
Compression no
LogLevel ERROR
KexAlgorithms ^curve25519-sha256
Ciphers ^aes128-gcm@openssh.com
ServerAliveInterval 5
ServerAliveCountMax 2
"""
GREETING = "accel-ci is connected"
HOLD = "read _"  # until we close its stdin, or are no more
HOST_KEY = re.compile(r"((?:ssh|ecdsa|sk)-[a-z0-9@.-]+) ([A-Za-z0-9+/]+={0,3})(?: .*)?")
CLOSE_S = 3.0


class Ssh:
    """Connections with one private key. Their sockets and pinned host keys lie in a new directory below `directory`,

    which has to be a short name: a socket's path may have 108 bytes.
    """

    def __init__(self, key_file: str, *, connect_s: float = 15.0, directory: str = "/tmp") -> None:
        self._connect_s = connect_s
        self._connections: dict[str, Session] = {}
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._key_file = os.path.abspath(key_file)
        self.directory = tempfile.mkdtemp(prefix="aci-", dir=directory)
        os.symlink(self._key_file, self._file("key"))
        self._write("config", f"{CONFIG}IdentityFile {self._file('key')}\n")

    def public_key(self) -> str:
        """The text that machines must accept; the key is made when it does not exist yet."""
        return public_key(self._key_file) if os.path.exists(self._key_file) else new_key(self._key_file)

    async def open(self, machine: Machine, worker: Worker, argv: Sequence[str], *, stdin: Stdin) -> Session:
        """The command in `~/<root>/` of the worker; a connection that died is made again."""
        await self.connect(machine, worker)
        command = self._ssh(connection_name(machine, worker), worker)
        return await self._greeted(worker, command, remote_text(machine.root, argv), stdin=stdin)

    def shell(self, machine: Machine, worker: Worker, text: str, *, on_terminal: bool) -> Invocation:
        """OpenSSH on a connection of its own. With a terminal `~.` breaks it; without one the bytes pass as they are."""
        if not os.path.exists(self._key_file):
            raise ConfigurationError(
                f"the key of {machine.name} is not here",
                what_to_do="go where the machine was leased: keys never leave it",
            )
        name = connection_name(machine, worker)
        self._write(name + ".hosts", known_hosts(worker))
        person = ("-tt", "-e", "~") if on_terminal else ()
        command = self._ssh(name, worker, *person, "-o", f"ConnectTimeout={self._connect_s:.0f}")
        return Invocation(argv=(*command, f"cd -- {_place(machine.root)} 2>/dev/null; {text}"))

    async def connect(self, machine: Machine, worker: Worker) -> None:
        """Make the connection that later commands share, unless it is open; a shell has run over there then."""
        name = connection_name(machine, worker)
        async with self._locks[name]:
            connection = self._connections.get(name)
            if connection is None or connection.process.returncode is not None:
                self._connections[name] = await self._connect(name, worker)

    async def close(self) -> None:
        """End all connections and remove the private directory."""
        await asyncio.gather(*map(_hang_up, self._connections.values()))
        self._connections.clear()
        shutil.rmtree(self.directory, ignore_errors=True)

    async def _connect(self, name: str, worker: Worker) -> Session:
        self._write(name + ".hosts", known_hosts(worker))
        with suppress(FileNotFoundError):  # a killed connection leaves its socket, and ssh would not replace it
            os.unlink(self._file(name))
        return await self._greeted(worker, self._ssh(name, worker, "-M"), HOLD, stdin=PIPE)

    async def _greeted(self, worker: Worker, command: Sequence[str], text: str, *, stdin: Stdin) -> Session:
        """The command once it runs over there: what the user's shell prints before that is not for us."""
        opened = await transport.spawn((*command, f"echo '{GREETING}'; {text}"), stdin=stdin)
        async with AsyncExitStack() as on_failure:
            on_failure.push_async_callback(opened.end)
            try:
                async with asyncio.timeout(self._connect_s):
                    await opened.stdout.readuntil(f"{GREETING}\n".encode())
            except TimeoutError as error:
                raise transport.lost(worker, f"no ssh connection within {self._connect_s:g} s") from error
            except (EOFError, asyncio.LimitOverrunError) as error:
                raise transport.lost(worker, f"no ssh connection: {await opened.why()}") from error
            on_failure.pop_all()
        return opened

    def _ssh(self, name: str, worker: Worker, *more: str) -> list[str]:
        user = ["-l", worker.user] if worker.user else []
        hosts = ["-o", f"HostKeyAlias={name}", "-o", f"UserKnownHostsFile={self._file(name)}.hosts"]
        place = ["-F", self._file("config"), "-S", self._file(name), "-p", str(worker.port)]
        return ["ssh", *place, *user, *hosts, *more, "--", worker.address]

    def _file(self, name: str) -> str:
        return os.path.join(self.directory, name)

    def _write(self, name: str, text: str) -> None:
        with open(self._file(name), "w", encoding="ascii") as file:
            file.write(text)


def new_key(path: str) -> str:
    """Write a new ed25519 private key to `path` (0600) and return its public key as one line of text."""
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "accel-ci", "-f", path]
    _keygen(command)
    os.unlink(path + ".pub")
    return public_key(path)


def public_key(path: str) -> str:
    """The public key that belongs to the private key in the file `path`."""
    return _keygen(["ssh-keygen", "-y", "-f", path]).strip()


def known_hosts(worker: Worker) -> str:
    """The known_hosts file that pins the worker; ConnectionLostError when nothing proves who the worker is."""
    keys = [match.group(1, 2) for match in map(HOST_KEY.fullmatch, worker.host_keys) if match]
    if not keys:
        raise transport.lost(worker, "its host key is not known, so nothing would prove that we talk to it")
    return "".join(f"* {kind} {key}\n" for kind, key in keys)


def remote_text(root: str, argv: Sequence[str]) -> str:
    """The shell text that runs exactly `argv` in our directory, which is made in the home directory when missing.

    Without SSH_CLIENT: with it, every `bash -c` in there would read the user's ~/.bashrc again, and repeat its output.
    """
    place = _place(root)
    there = f"cd -- {place} 2>/dev/null || mkdir -p -m 700 -- {place} && cd -- {place}"
    return f"unset SSH_CLIENT SSH_CONNECTION; {there} && exec {shlex.join(argv)}"


def _place(root: str) -> str:
    return shlex.quote(root) if root.startswith("/") else f"~/{shlex.quote(root)}"


def connection_name(machine: Machine, worker: Worker) -> str:
    """A short file name that stands for this machine's worker where it is now."""
    return hashlib.sha256(f"{machine.handle} {worker}".encode()).hexdigest()[:16]


async def _hang_up(connection: Session) -> None:
    assert connection.process.stdin is not None
    connection.process.stdin.close()
    with suppress(TimeoutError):
        async with asyncio.timeout(CLOSE_S):
            await connection.process.wait()
    await connection.end()


def _keygen(command: list[str]) -> str:
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False
        )
    except FileNotFoundError as error:
        raise ConfigurationError(
            "OpenSSH is not installed here: there is no ssh-keygen",
            what_to_do="install ssh and ssh-keygen, such as with `apt-get install openssh-client`",
        ) from error
    if done.returncode:
        why = transport.plain(done.stderr.encode() + done.stdout.encode())
        raise ConfigurationError(f"ssh-keygen failed: {why}", what_to_do="mend what it names, and run it again")
    return done.stdout
