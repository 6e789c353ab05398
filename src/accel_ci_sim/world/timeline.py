"""What happened: a running hash always, readable lines when somebody wants to read them."""

from __future__ import annotations

import zlib

from accel_ci_sim.world.schedule import EPOCH, Schedule


class Timeline:
    """`hash` depends on every call and event of the world in order. Only numbers enter: str hashes are salted."""

    __slots__ = ("_schedule", "hash", "lines")

    def __init__(self, schedule: Schedule, *, readable: bool) -> None:
        self._schedule = schedule
        self.hash = 0
        self.lines: list[str] | None = [] if readable else None

    def count(self, process: int, site: int) -> None:
        """A port call begins: the cheapest possible note."""
        self.hash = hash((self.hash, self._schedule.now, process, site))

    def mix(self, content: bytes) -> None:
        """Let these bytes count too."""
        # crc32 is the same in every process; hash() of bytes is not.
        self.hash = hash((self.hash, self._schedule.now, zlib.crc32(content)))

    def tell(self, who: str, what: str) -> None:
        """An event, for readers and for the hash."""
        self.mix(f"{who} {what}".encode())
        self.say(who, what)

    def say(self, who: str, what: str) -> None:
        """A line for readers only."""
        if self.lines is not None:
            self.lines.append(f"{self._schedule.now - EPOCH:10.3f}  {who:<24} {what}")
