"""The sources port: every commit exists and packs at once."""

from __future__ import annotations

from accel_ci.domain.workload import CommitSource, Package, Source
from accel_ci_sim.direct import files
from accel_ci_sim.direct.files import Files


class Sources:
    """Packs into the job's files."""

    def __init__(self, into: Files) -> None:
        self._files = into

    def pack(self, source: Source, *, into: str) -> Package:
        """A package whose content is its commit."""
        assert isinstance(source, CommitSource)
        content = source.sha.encode()
        self._files.write(files.inside(into), content)
        return Package(path=into, kind="bundle", sha=source.sha, size_bytes=len(content))
