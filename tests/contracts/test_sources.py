"""What everything that packs sources promises."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from accel_ci.adapters.git_source import GitSources
from accel_ci.domain.errors import ConfigurationError
from accel_ci.domain.workload import CommitSource, WorkspaceSource
from accel_ci.ports.sources import Sources
from tests.adapters.git_repository import Repository
from tests.fakes.sources import FakeSources


@dataclass(frozen=True, kw_only=True)
class Subject:
    """Sources that know one commit and one directory."""

    sources: Sources
    commit: CommitSource
    workspace: WorkspaceSource
    into: str


def fake(directory: Path) -> Subject:
    """The fake."""
    commit = CommitSource(repository="https://example.org/org/repo", sha="1" * 40)
    workspace = WorkspaceSource(directory="/workspace")
    sources = FakeSources([commit, workspace])
    return Subject(sources=sources, commit=commit, workspace=workspace, into=str(directory / "package"))


def git(directory: Path) -> Subject:
    """Real git on a real repository."""
    repository = Repository(directory / "repository")
    commit = CommitSource(repository=str(repository.path), sha=repository.commit(readme="hello"))
    workspace = WorkspaceSource(directory=str(repository.path))
    sources = GitSources(os.environ)
    return Subject(sources=sources, commit=commit, workspace=workspace, into=str(directory / "package"))


SOURCES: list[Callable[[Path], Subject]] = [fake, git]


@pytest.fixture(params=SOURCES)
def subject(request: pytest.FixtureRequest, tmp_path: Path) -> Subject:
    """Each implementation in turn."""
    made: Subject = request.param(tmp_path)
    return made


def test_commit(subject: Subject) -> None:
    """A commit becomes a bundle that must prove its SHA."""
    package = subject.sources.pack(subject.commit, into=subject.into)
    assert (package.path, package.kind, package.sha) == (subject.into, "bundle", subject.commit.sha)
    assert package.size_bytes > 0


def test_workspace(subject: Subject) -> None:
    """A directory becomes a tar archive, which proves nothing."""
    package = subject.sources.pack(subject.workspace, into=subject.into)
    assert (package.path, package.kind, package.sha) == (subject.into, "tar", None)
    assert package.size_bytes > 0


def test_packing_again(subject: Subject) -> None:
    """The same source can be packed again into the same file."""
    first = subject.sources.pack(subject.commit, into=subject.into)
    assert subject.sources.pack(subject.commit, into=subject.into) == first


def test_unknown_commit(subject: Subject) -> None:
    """A commit that the repository does not have is a mistake in the configuration, and the message names it."""
    with pytest.raises(ConfigurationError, match="ab" * 20):
        subject.sources.pack(CommitSource(repository=subject.commit.repository, sha="ab" * 20), into=subject.into)


@pytest.mark.parametrize("sha", ["", "main", "HEAD", "1" * 39, "1" * 41, "A" * 40, "1" * 40 + "\n", "--upload-pack=x"])
def test_no_sha(subject: Subject, sha: str) -> None:
    """Only a full lowercase SHA says exactly which commit runs."""
    with pytest.raises(ConfigurationError, match="not a commit"):
        subject.sources.pack(CommitSource(repository=subject.commit.repository, sha=sha), into=subject.into)


def test_unknown_directory(subject: Subject) -> None:
    """A directory that does not exist is a mistake in the configuration."""
    with pytest.raises(ConfigurationError):
        subject.sources.pack(WorkspaceSource(directory="/nowhere/at/all"), into=subject.into)
