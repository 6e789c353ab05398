"""Getting the code to test, without ever unpacking it on this computer."""

from __future__ import annotations

from typing import Protocol

from accel_ci.domain.workload import Package, Source


class Sources(Protocol):
    """Makes a source ready to send."""

    def pack(self, source: Source, *, into: str) -> Package:
        """Write the package to the file `into`. ConfigurationError when the commit or the directory does not exist."""
