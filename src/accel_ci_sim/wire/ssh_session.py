"""Both ends of a session over ssh: what the client sends, signals among it, and how it hears of the end."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress

import asyncssh

BUFFER = 256 * 1024


def tell(session: asyncssh.SSHServerProcess[bytes], status: int) -> None:
    """Tell the client the exit status, or the signal that ended the command."""
    if status < 0:
        # A client shows 128 + n for it; `exit` could not tell it from a plain status.
        session.exit_with_signal(signal.Signals(-status).name.removeprefix("SIG"))
    else:
        session.exit(status)


async def received(
    session: asyncssh.SSHServerProcess[bytes], group: int, *, resize: Callable[[int, int], None] | None = None
) -> bytes:
    """The next bytes from the client, empty at the end; signals go to the process group on the way."""
    while True:
        try:
            return await session.stdin.read(BUFFER)
        except asyncssh.SignalReceived as received_signal:
            # It may be over already, and clients may send signals that we do not know.
            with suppress(ProcessLookupError, KeyError):
                os.killpg(group, signal.Signals[f"SIG{received_signal.signal}"])
        except asyncssh.TerminalSizeChanged as changed:
            if resize is not None:
                resize(changed.width, changed.height)
        except asyncssh.BreakReceived:
            pass
