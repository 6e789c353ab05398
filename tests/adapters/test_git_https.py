"""Fetching from a private repository by https: the header opens it, and only it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from accel_ci.adapters.git_source import GitSources
from accel_ci.domain.errors import ConfigurationError
from accel_ci.domain.workload import CommitSource
from tests.adapters.git_repository import Repository
from tests.servers import git_https


@pytest.fixture
def wanted(tmp_path: Path) -> Iterator[CommitSource]:
    """A commit that is not at the tip of its branch, on a private https host."""
    repository = Repository(tmp_path / "root" / "private")
    sha = repository.commit(a="1")
    repository.commit(a="2")
    with git_https.serving(tmp_path / "root", tmp_path / "certificate") as address:
        yield CommitSource(repository=f"{address}/private", sha=sha)


def _sources(tmp_path: Path, extra_header: str) -> GitSources:
    environment = {"PATH": os.environ["PATH"], "GIT_SSL_CAINFO": str(tmp_path / "certificate")}
    return GitSources(environment, extra_header=extra_header, limit_s=60)


def test_with_the_header(wanted: CommitSource, tmp_path: Path) -> None:
    """With the header the exact commit comes, though no branch ends at it."""
    package = _sources(tmp_path, git_https.HEADER).pack(wanted, into=str(tmp_path / "bundle"))
    assert package.sha == wanted.sha
    assert Repository(tmp_path / "root" / "private").git("bundle", "verify", str(tmp_path / "bundle")) != ""


@pytest.mark.parametrize("header", ["", "Authorization: Basic d3Jvbmc="])
def test_without_the_right_header(wanted: CommitSource, tmp_path: Path, header: str) -> None:
    """Without it nobody is asked for a password: the error says to check that the repository may be read."""
    with pytest.raises(ConfigurationError) as refused:
        _sources(tmp_path, header).pack(wanted, into=str(tmp_path / "bundle"))
    assert "may be read" in refused.value.what_to_do


def test_unknown_authority(wanted: CommitSource, tmp_path: Path) -> None:
    """A host whose certificate nobody vouches for gets no header, and gives no commit."""
    sources = GitSources({"PATH": os.environ["PATH"]}, extra_header=git_https.HEADER, limit_s=60)
    with pytest.raises(ConfigurationError, match="certificate"):
        sources.pack(wanted, into=str(tmp_path / "bundle"))
