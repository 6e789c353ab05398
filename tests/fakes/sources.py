"""Sources that are made up."""

from __future__ import annotations

import re
from collections.abc import Collection

from accel_ci.domain.errors import AccelError, ConfigurationError
from accel_ci.domain.workload import CommitSource, Package, Source

_SHA = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


class FakeSources:
    """Knows the commits and directories it was told of, or all when told of none; writes no file.

    `error` is raised by the next `pack`, once. `packed` holds every source that was asked for.
    """

    def __init__(self, known: Collection[Source] = (), *, error: AccelError | None = None, size_bytes: int = 1) -> None:
        self.packed: list[Source] = []
        self.error = error
        self._known = known
        self._size_bytes = size_bytes

    def pack(self, source: Source, *, into: str) -> Package:
        """A package of one byte."""
        self.packed.append(source)
        error, self.error = self.error, None
        if error is not None:
            raise error
        if isinstance(source, CommitSource) and not _SHA.fullmatch(source.sha):
            raise ConfigurationError(f"not a commit: {source.sha!r}")
        if self._known and source not in self._known:
            raise ConfigurationError(f"no such source: {source}")
        return Package(
            path=into,
            kind="bundle" if isinstance(source, CommitSource) else "tar",
            sha=source.sha if isinstance(source, CommitSource) else None,
            base=source.base if isinstance(source, CommitSource) else "",
            size_bytes=self._size_bytes,
        )
