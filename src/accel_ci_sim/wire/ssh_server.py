"""The sshd of a simulated machine: the keys of its metadata, real processes, sftp; no forwarding of anything."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import asyncssh

from accel_ci_sim.wire import ssh_session, terminal
from accel_ci_sim.wire.outlet import Outlet

SHELL = "/bin/bash" if os.path.exists("/bin/bash") else "/bin/sh"


class Inside(Protocol):
    """The machine as its sshd knows it."""

    @property
    def home(self) -> Path:
        """Where everybody who logs in finds themselves."""

    def lets_in(self, user: str, key: tuple[str, str]) -> bool:
        """True when the public key (type, base64) opens the user's account."""

    def environment(self, user: str) -> Mapping[str, str]:
        """The variables of a command."""


class SshServer:
    """Listens on one address with the machine's own keys. Closing it breaks every connection; commands go on."""

    def __init__(self, inside: Inside) -> None:
        self._inside = inside
        self._connections: set[asyncssh.SSHServerConnection] = set()
        self._acceptor: asyncssh.SSHAcceptor | None = None

    async def listen(self, address: str, port: int, *, keys: list[asyncssh.SSHKey]) -> None:
        """Accept connections."""
        self._acceptor = await asyncssh.listen(
            address,
            port,
            server_factory=lambda: _Door(self._inside, self._connections),
            server_host_keys=keys,
            process_factory=self._serve,
            sftp_factory=lambda channel: _Sftp(channel, self._inside.home),
            agent_forwarding=False,
            compression_algs=None,
            encoding=None,
            line_editor=False,
            encryption_algs=["aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com"],
            login_timeout=30,
        )

    def close(self) -> None:
        """Refuse new connections and break the open ones."""
        if self._acceptor is not None:
            self._acceptor.close()
        for connection in list(self._connections):
            connection.abort()

    async def _serve(self, session: asyncssh.SSHServerProcess[bytes]) -> None:
        with suppress(ConnectionError, asyncssh.Error):
            user = session.get_extra_info("username")
            await run(session, cwd=self._inside.home, environment=self._inside.environment(user))


async def run(session: asyncssh.SSHServerProcess[bytes], *, cwd: Path, environment: Mapping[str, str]) -> None:
    """Run what the client asked for and tell how it ended. It lives on when the client goes, as with OpenSSH."""
    variables = {**environment, **_connection(session)}
    argv = [SHELL, "-c", session.command] if session.command is not None else [SHELL, "-l"]
    if session.term_type is not None:
        return await terminal.run(session, argv, cwd=cwd, environment={**variables, "TERM": session.term_type})
    out, err = Outlet(), Outlet()
    process = await asyncio.create_subprocess_exec(
        *argv,
        cwd=cwd,
        env=variables,
        stdin=asyncio.subprocess.PIPE,
        stdout=out.inner,
        stderr=err.inner,
        start_new_session=True,
    )
    assert process.stdin is not None
    feeding = asyncio.create_task(_feed(session, process.stdin, process.pid))
    try:
        await asyncio.gather(out.drain_to(session.stdout), err.drain_to(session.stderr))
        ssh_session.tell(session, await process.wait())
    finally:
        feeding.cancel()
        process.stdin.close()
        out.close()
        err.close()


async def _feed(session: asyncssh.SSHServerProcess[bytes], sink: asyncio.StreamWriter, group: int) -> None:
    with suppress(ConnectionError, asyncssh.Error):
        while data := await ssh_session.received(session, group):
            sink.write(data)
            await sink.drain()
    sink.close()


def _connection(session: asyncssh.SSHServerProcess[bytes]) -> dict[str, str]:
    peer, here = session.get_extra_info("peername"), session.get_extra_info("sockname")
    return {
        "SSH_CONNECTION": f"{peer[0]} {peer[1]} {here[0]} {here[1]}",
        "SSH_CLIENT": f"{peer[0]} {peer[1]} {here[1]}",
    }


class _Door(asyncssh.SSHServer):
    """Public keys only. What this class does not allow, asyncssh refuses: forwarding of ports and sockets among it."""

    def __init__(self, inside: Inside, connections: set[asyncssh.SSHServerConnection]) -> None:
        self._inside = inside
        self._connections = connections
        self._connection: asyncssh.SSHServerConnection | None = None

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._connections.add(conn)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._connection is not None:
            self._connections.discard(self._connection)

    def begin_auth(self, username: str) -> bool:
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        kind, text = key.export_public_key().decode("ascii").split()[:2]
        return self._inside.lets_in(username, (kind, text))


class _Sftp(asyncssh.SFTPServer):
    """The computer's files, where relative names begin at the machine's home directory."""

    def __init__(self, channel: asyncssh.SSHServerChannel[bytes], home: Path) -> None:
        super().__init__(channel)
        self._home = os.fsencode(home)

    def map_path(self, path: bytes) -> bytes:
        return os.path.join(self._home, path)

    def exit(self) -> None:
        with suppress(OSError):  # the client is gone already
            self.channel.exit(0)  # without it scp believes that it failed
