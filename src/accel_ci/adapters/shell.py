"""A person's way to a worker: a shell on their terminal, or one command on many workers."""

from __future__ import annotations

import subprocess
import sys

from accel_ci.adapters.transport import Invocation
from accel_ci.domain.errors import ConfigurationError

LOGIN = 'exec "${SHELL:-/bin/sh}" -l'
# ssh restores the terminal when it is ended politely.
LEAVE_S = 3.0


def in_source(command: str) -> str:
    """The shell text that goes from our directory to the code, once that is there, and runs the command; "": a shell."""
    return f"cd ./source 2>/dev/null; {command or LOGIN}"


def on_terminal() -> bool:
    """True when a person types and reads: both ends of us are terminals."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def attended(invocation: Invocation) -> int:
    """The exit code of the program, which has our own stdin, stdout and stderr; 128 and more for one that was killed.

    It stays in our process group: Ctrl-C reaches it, and so does every other key where it reads a terminal.
    """
    try:
        process = subprocess.Popen(invocation.argv, cwd=invocation.cwd, env=invocation.environment)
    except FileNotFoundError as error:
        raise ConfigurationError(
            f"the program {invocation.argv[0]} was not found", what_to_do=f"Install {invocation.argv[0]}."
        ) from error
    try:
        code = process.wait()
    except BaseException:
        _leave(process)
        raise
    return code if code >= 0 else 128 - code


def _leave(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(LEAVE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
