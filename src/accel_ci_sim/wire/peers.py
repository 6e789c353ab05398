"""Who is at the other end of a loopback connection: the simulator runs commands for its own user only."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterable
from pathlib import Path

TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
MAPPED = "0000000000000000FFFF0000"  # an IPv4 address in the IPv6 table


def trusted(peer: tuple[str, int], headers: Iterable[str]) -> bool:
    """False for a client of another user, and for browsers: those would send what any web page tells them."""
    return "origin" not in headers and owner(peer) in (os.getuid(), 0, None)


def owner(peer: tuple[str, int]) -> int | None:
    """The user who holds the socket at this IPv4 address and port; None when that cannot be seen."""
    address = struct.unpack("=I", socket.inet_aton(peer[0]))[0]  # as the kernel prints it: in the machine's own order
    wanted = f"{address:08X}:{peer[1]:04X}"
    for table in TABLES:
        for line in _lines(table):
            words = line.split()
            if words[1] in (wanted, MAPPED + wanted):
                return int(words[7])
    return None


def _lines(table: Path) -> list[str]:
    try:
        return table.read_text().splitlines()[1:]
    except FileNotFoundError:
        return []
