"""An ssh server that is not OpenSSH (asyncssh), with real processes behind it."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import asyncssh

from tests.servers.proxy import Serving

BUFFER = 256 * 1024


class PythonSshServer:
    """Listens on `port` of 127.0.0.1 with a home directory of its own."""

    def __init__(self, serving: Serving, home: Path, *, public_key: str) -> None:
        self._serving = serving
        self._home = home
        key = asyncssh.generate_private_key("ssh-ed25519")
        self.host_key = key.export_public_key().decode().strip()
        self._acceptor = serving.run(self._listen(key, public_key))
        self.port = self._acceptor.get_port()

    def close(self) -> None:
        """Stop listening and end the connections; what users started goes on."""
        self._serving.run(self._shut())

    async def _listen(self, key: asyncssh.SSHKey, public_key: str) -> asyncssh.SSHAcceptor:
        return await asyncssh.listen(
            "127.0.0.1",
            0,
            server_host_keys=[key],
            authorized_client_keys=asyncssh.import_authorized_keys(public_key),
            process_factory=self._run,
            encoding=None,
        )

    async def _run(self, session: asyncssh.SSHServerProcess[bytes]) -> None:
        process = await asyncio.create_subprocess_exec(
            "/bin/sh",
            "-c",
            session.command or "",
            cwd=self._home,
            env={"HOME": str(self._home), "PATH": os.environ["PATH"]},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        assert process.stdin and process.stdout and process.stderr
        feeding = asyncio.create_task(_feed(session.stdin, process.stdin))
        try:
            await asyncio.gather(_drain(process.stdout, session.stdout), _drain(process.stderr, session.stderr))
            session.exit(await process.wait())
        except (ConnectionError, asyncssh.Error):
            pass
        finally:
            feeding.cancel()
            process._transport.close()  # type: ignore[attr-defined]  # kills, and frees the pipes
            await process.wait()

    async def _shut(self) -> None:
        self._acceptor.close()
        await self._acceptor.wait_closed()


async def _feed(source: asyncssh.SSHReader[bytes], sink: asyncio.StreamWriter) -> None:
    try:
        while data := await source.read(BUFFER):
            sink.write(data)
            await sink.drain()
    except (ConnectionError, asyncssh.Error):
        pass
    finally:
        sink.close()


async def _drain(source: asyncio.StreamReader, sink: asyncssh.SSHWriter[bytes]) -> None:
    while data := await source.read(BUFFER):
        sink.write(data)
        await sink.drain()
