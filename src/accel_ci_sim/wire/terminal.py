"""Interactive sessions: the process has a terminal, as with `ssh -t`."""

from __future__ import annotations

import asyncio
import fcntl
import os
import struct
import sys
import termios
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import asyncssh

from accel_ci_sim.wire import ssh_session

BUFFER = 64 * 1024
# Runs in the child: a terminal can become the controlling one only from inside of the new session.
LOGIN = "import os, sys; os.login_tty(0); os.execvp(sys.argv[1], sys.argv[1:])"


async def run(
    session: asyncssh.SSHServerProcess[bytes], argv: Sequence[str], *, cwd: Path, environment: Mapping[str, str]
) -> None:
    """Run the command on a terminal of its own and tell how it ended."""
    ours, theirs = os.openpty()
    resize(ours, *session.term_size[:2])
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-Sc", LOGIN, *argv, cwd=cwd, env=environment, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    typing = asyncio.create_task(_type(session, ours, process.pid))
    try:
        await _show(session, ours)
        ssh_session.tell(session, await process.wait())
    finally:
        typing.cancel()
        os.close(ours)


def resize(terminal: int, columns: int, rows: int) -> None:
    """Tell the terminal its size."""
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


async def _show(session: asyncssh.SSHServerProcess[bytes], ours: int) -> None:
    while data := await _read(ours):
        session.stdout.write(data)
        await session.stdout.drain()


async def _type(session: asyncssh.SSHServerProcess[bytes], ours: int, group: int) -> None:
    with suppress(OSError, asyncssh.Error):
        while data := await ssh_session.received(session, group, resize=lambda *size: resize(ours, *size)):
            await asyncio.to_thread(os.write, ours, data)


async def _read(ours: int) -> bytes:
    """What was shown next; empty once the last process has let go of the terminal."""
    loop, ready = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(ours, ready.set)
    try:
        await ready.wait()
        return os.read(ours, BUFFER)
    except OSError:  # EIO
        return b""
    finally:
        loop.remove_reader(ours)
