"""Addresses for simulated machines: every simulator has 65,000 loopback addresses of its own."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator

FIRST, LAST = 3, 250  # 127.0 and its neighbours are taken by others: resolvers listen at 127.0.0.53
TAKEN = (errno.EADDRINUSE, errno.EACCES, errno.EPERM)


class Addresses:
    """The block 127.N.0.0/16, ours while `lock` is bound. No address is given out twice: an old one refuses connections."""

    def __init__(self, lock: socket.socket) -> None:
        self._lock = lock
        host, self.port = lock.getsockname()
        self.block = ".".join(host.split(".")[:2])
        self._free = (f"{self.block}.{third}.{fourth}" for third in range(256) for fourth in range(2, 255))

    def take(self) -> str:
        """An address that nobody had before."""
        return next(self._free)

    def close(self) -> None:
        """Let others have the block."""
        self._lock.close()


def claim(ports: tuple[int, ...]) -> Addresses:
    """A block where one of the ports can be listened on, the first that is possible; OSError when none is."""
    for port in ports:
        for number in _blocks():
            lock = socket.socket()
            try:
                # Bound and never listening: the block is ours as long as we live, whatever ends us.
                lock.bind((f"127.{number}.0.1", port))
            except OSError as error:
                lock.close()
                if error.errno not in TAKEN:
                    raise
                if error.errno != errno.EADDRINUSE:
                    break
            else:
                return Addresses(lock)
    raise OSError(errno.EADDRINUSE, f"none of the ports {', '.join(map(str, ports))} is free on loopback addresses")


def _blocks() -> Iterator[int]:
    count = LAST - FIRST + 1
    # Simulators that start at the same moment begin at different blocks.
    return (FIRST + (os.getpid() + step) % count for step in range(count))
