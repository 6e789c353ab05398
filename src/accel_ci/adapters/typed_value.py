"""A value from a person or a pipe, which is not shown while it is typed."""

from __future__ import annotations

import getpass
import sys

BYTES = 1024 * 1024


def read(what: str) -> str:
    """The value: typed unseen on a terminal, else all of stdin without its last line break."""
    if sys.stdin.isatty():
        return getpass.getpass(f"{what}: ")
    return sys.stdin.buffer.read(BYTES).decode("utf-8").removesuffix("\n").removesuffix("\r")
