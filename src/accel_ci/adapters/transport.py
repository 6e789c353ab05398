"""What every transport gives: a command that runs on a worker and is, on this computer, a process with three pipes."""

from __future__ import annotations

import asyncio
import os
import signal
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import IO, Protocol

from accel_ci.domain.errors import ConfigurationError, ConnectionLostError
from accel_ci.domain.machine import Machine, Worker
from accel_ci.formats import output

BUFFER = 256 * 1024
# As much of stderr as a message can bear.
LAST_WORDS = 400
FAREWELL_S = 2.0

Stdin = int | IO[bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """A program of this computer to be run on our own stdin, stdout and stderr; None: our directory, our environment."""

    argv: tuple[str, ...]
    cwd: str | None = None
    environment: Mapping[str, str] | None = None


class Transport(Protocol):
    """A way to a worker. Its commands run in our directory of the worker, which is made when it is missing."""

    async def open(self, machine: Machine, worker: Worker, argv: Sequence[str], *, stdin: Stdin) -> Session:
        """Run exactly `argv` over there, connecting when needed; ConnectionLostError names a worker out of reach."""

    def shell(self, machine: Machine, worker: Worker, text: str, *, on_terminal: bool) -> Invocation:
        """What runs the shell text there for a person; ConnectionLostError for a worker that cannot be reached at all."""

    async def close(self) -> None:
        """End every connection; no process and no file of the transport is left."""

    def public_key(self) -> str:
        """What machines must accept so that we can reach them; "" where nothing is needed."""


class Session:
    """A running command: what it answers, how it ended, and the last words of its stderr (hostile, cleaned)."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self._last_words = bytearray()
        self._listener = asyncio.create_task(self._listen())

    @property
    def stdout(self) -> asyncio.StreamReader:
        """The command's output."""
        assert self.process.stdout is not None
        return self.process.stdout

    async def send(self, data: bytes) -> None:
        """Give the command all of its stdin, where that is no file; a command that is gone shows in its answer."""
        if self.process.stdin is not None:
            with suppress(ConnectionError):
                self.process.stdin.write(data)
                await self.process.stdin.drain()
            self.process.stdin.close()

    async def answer(self, limit: int) -> bytes:
        """The output up to its end; ValueError when it is longer than `limit` bytes."""
        received = bytearray()
        while chunk := await self.stdout.read(BUFFER):
            received += chunk
            if len(received) > limit:
                raise ValueError(f"an answer of more than {limit} bytes")
        return bytes(received)

    async def why(self) -> str:
        """How the command ended: its last words on stderr, or at least its exit code."""
        with suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL_S):
                await self.process.wait()
                # Only the wait is limited: the listener goes on, and ends with the process.
                await asyncio.shield(self._listener)
        return plain(bytes(self._last_words)) or f"it ended with exit code {self.process.returncode}"

    async def end(self) -> None:
        """Detach: the process on this computer is gone afterwards, what it started elsewhere goes on."""
        await asyncio.shield(self._end())  # cancelled half-way it would leave the process

    async def _end(self) -> None:
        if self.process.stdin is not None and self.process.stdin.transport.get_write_buffer_size():
            self.process.stdin.transport.abort()  # what nobody read would hold up the end
        # Process.kill() looks whether the process lives, and so takes its exit status away from asyncio's own watcher.
        while self.process.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.process.pid, signal.SIGKILL)
            await asyncio.sleep(0.002)
        self.process._transport.close()  # type: ignore[attr-defined]  # else a pipe would stay until it was read
        await self.process.wait()
        await self._listener

    async def _listen(self) -> None:
        assert self.process.stderr is not None
        while chunk := await self.process.stderr.read(BUFFER):
            self._last_words += chunk
            del self._last_words[:-LAST_WORDS]


@asynccontextmanager
async def session(
    over: Transport, machine: Machine, worker: Worker, *, argv: Sequence[str], stdin: Stdin = PIPE
) -> AsyncIterator[Session]:
    """The command as a Session that is ended when the block is left."""
    opened = await over.open(machine, worker, argv, stdin=stdin)
    try:
        yield opened
    finally:
        await opened.end()


@asynccontextmanager
async def conversation(
    over: Transport, machine: Machine, worker: Worker, *, argv: Sequence[str], stdin: Stdin = PIPE, limit_s: float
) -> AsyncIterator[Session]:
    """A session with a deadline; whatever goes wrong with what it sends is a ConnectionLostError naming the worker."""
    try:
        async with asyncio.timeout(limit_s), session(over, machine, worker, argv=argv, stdin=stdin) as opened:
            try:
                yield opened
            except EOFError as error:
                raise lost(worker, await opened.why()) from error
            except ValueError as error:
                raise lost(worker, unacceptable(error)) from error
    except TimeoutError as error:
        raise lost(worker, f"no answer within {limit_s:g} s") from error


async def spawn(
    argv: Sequence[str], *, stdin: Stdin, cwd: str | None = None, env: Mapping[str, str] | None = None
) -> Session:
    """A process of this computer that a Ctrl-C meant for us does not reach."""
    try:
        process = await asyncio.create_subprocess_exec(
            *argv, stdin=stdin, stdout=PIPE, stderr=PIPE, limit=BUFFER, cwd=cwd, env=env, start_new_session=True
        )
    except FileNotFoundError as error:
        raise ConfigurationError(f"the program {argv[0]} was not found", what_to_do=f"Install {argv[0]}.") from error
    return Session(process)


def plain(data: bytes) -> str:
    """The end of a hostile text as one safe line."""
    return output.one_line(data[-LAST_WORDS:].decode("utf-8", "replace"), limit=2 * LAST_WORDS)


def unacceptable(error: ValueError) -> str:
    """What to say about an answer that is none of ours; the error may quote it."""
    return f"it sent what we cannot accept: {plain(str(error).encode())}"


def lost(worker: Worker, why: str) -> ConnectionLostError:
    """The error that names the worker and where it was thought to be."""
    return ConnectionLostError(
        f"worker {worker.name} ({worker.address}): {why}",
        what_to_do="See whether the machine is up and reachable, then run again.",
    )
