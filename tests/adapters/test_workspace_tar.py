"""Directories as tar archives: what git does not ignore, and nothing from elsewhere."""

from __future__ import annotations

import os
import resource
import tarfile
from pathlib import Path

import pytest

from accel_ci.adapters import workspace_tar
from accel_ci.adapters.git_source import GitSources
from accel_ci.domain.errors import ComputerError, ConfigurationError
from accel_ci.domain.workload import WorkspaceSource
from tests.adapters.git_repository import Repository


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """An empty directory that no git knows."""
    directory = tmp_path / "plain"
    directory.mkdir()
    return directory


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """An empty repository."""
    return Repository(tmp_path / "repository")


def _pack(directory: Path, into: Path) -> bytes:
    GitSources(os.environ).pack(WorkspaceSource(directory=str(directory)), into=str(into))
    return into.read_bytes()


def _entries(directory: Path, tmp_path: Path) -> dict[str, tarfile.TarInfo]:
    _pack(directory, tmp_path / "package")
    with tarfile.open(tmp_path / "package", errors="surrogateescape") as archive:
        return {entry.name: entry for entry in archive.getmembers()}


def _content(tmp_path: Path, name: str) -> bytes:
    with tarfile.open(tmp_path / "package") as archive:
        file = archive.extractfile(name)
        assert file is not None
        return file.read()


def test_work_tree_as_it_is_now(repository: Repository, tmp_path: Path) -> None:
    """Uncommitted changes and new files travel; ignored and deleted files and git's own do not."""
    (repository.path / ".gitignore").write_text("*.log\nbuild/\n")
    repository.commit(kept="old", deleted="x")
    (repository.path / "kept.txt").write_text("new")
    (repository.path / "deleted.txt").unlink()
    (repository.path / "untracked").write_text("u")
    (repository.path / "noise.log").write_text("n")
    (repository.path / "build").mkdir()
    (repository.path / "build" / "out").write_text("o")
    assert set(_entries(repository.path, tmp_path)) == {".gitignore", "kept.txt", "untracked"}
    assert _content(tmp_path, "kept.txt") == b"new"


def test_part_of_a_work_tree(repository: Repository, tmp_path: Path) -> None:
    """A directory inside of a work tree travels without what lies beside it, under names that begin there."""
    inner = repository.path / "inner" / "deep"
    inner.mkdir(parents=True)
    (inner / "file").write_text("1")
    repository.commit(outside="1")
    assert set(_entries(repository.path / "inner", tmp_path)) == {"deep", "deep/file"}


def test_repositories_inside(repository: Repository, tmp_path: Path) -> None:
    """A submodule or another repository in the directory travels with its files, without its .git."""
    other = Repository(repository.path / "vendored")
    other.commit(lib="1")
    entries = _entries(repository.path, tmp_path)
    assert set(entries) == {"vendored", "vendored/lib.txt"}
    repository.git("add", "vendored")
    assert set(_entries(repository.path, tmp_path)) == set(entries)


def test_directory_that_git_ignores(repository: Repository, tmp_path: Path) -> None:
    """A directory that its repository ignores as a whole is taken as it is: somebody asked for just that one."""
    (repository.path / ".gitignore").write_text("demo/\n")
    repository.commit()
    (repository.path / "demo" / "__pycache__").mkdir(parents=True)
    (repository.path / "demo" / "test_x.py").write_text("x")
    assert set(_entries(repository.path / "demo", tmp_path)) == {"test_x.py"}


def test_without_git(plain: Path, tmp_path: Path) -> None:
    """Outside of git everything travels, empty directories too, but for the obvious caches."""
    for folder in (".venv/bin", "node_modules/x", "pkg/__pycache__", "pkg/empty", ".hidden"):
        (plain / folder).mkdir(parents=True)
    for file in (".venv/bin/python", "node_modules/x/i.js", "pkg/__pycache__/a.pyc", "pkg/a.py", ".hidden/b"):
        (plain / file).write_text("x")
    assert set(_entries(plain, tmp_path)) == {"pkg", "pkg/a.py", "pkg/empty", ".hidden", ".hidden/b"}


def test_empty_directory(plain: Path, tmp_path: Path) -> None:
    """An empty directory is a fine workspace for a command that needs no files."""
    assert _entries(plain, tmp_path) == {}


@pytest.mark.parametrize("name", ["two\nlines", "-rf", " spaces ", "ä€", '"quoted"', "\udcff\udcfe"])
@pytest.mark.parametrize("with_git", [True, False])
def test_odd_names(tmp_path: Path, name: str, with_git: bool) -> None:
    """A file may bear any name, also one that git would quote or that is no text."""
    directory = tmp_path / "odd"
    if with_git:
        Repository(directory)
    else:
        directory.mkdir()
    (directory / name).write_text("content")
    assert set(_entries(directory, tmp_path)) == {name}


def test_links(plain: Path, tmp_path: Path) -> None:
    """Links that stay inside travel as links; those that lead out, by any way, do not."""
    (plain / "folder").mkdir()
    (plain / "folder" / "file").write_text("1")
    (tmp_path / "secret").write_text("s")
    for link, target in {
        "inside": "folder/file",
        "folder/up": "../folder",
        "dangling": "nothing",
        "out": "../secret",
        "absolute": str(plain / "folder"),
        "chain": "folder/up/../../secret",
        "loop": "loop",
    }.items():
        (plain / link).symlink_to(target)
    entries = _entries(plain, tmp_path)
    assert {name: entry.linkname for name, entry in entries.items() if entry.issym()} == {
        "inside": "folder/file",
        "folder/up": "../folder",
        "dangling": "nothing",
        "loop": "loop",
    }


def test_folder_that_became_a_link(repository: Repository, tmp_path: Path) -> None:
    """What git remembers below a folder is not read through the link that took the folder's place."""
    (repository.path / "folder").mkdir()
    (repository.path / "folder" / "file").write_text("1")
    repository.commit()
    (repository.path / "folder").rename(tmp_path / "elsewhere")
    (repository.path / "folder").symlink_to(tmp_path / "elsewhere")
    assert _entries(repository.path, tmp_path) == {}


def test_special_files(plain: Path, tmp_path: Path) -> None:
    """A pipe is left out, and does not make us wait for a writer."""
    os.mkfifo(plain / "pipe")
    (plain / "file").write_text("1")
    assert set(_entries(plain, tmp_path)) == {"file"}


def test_same_bytes(repository: Repository, tmp_path: Path) -> None:
    """Packing the same directory twice gives the same bytes, in the order of the names."""
    repository.commit(b="1", a="2", c="3")
    assert _pack(repository.path, tmp_path / "one") == _pack(repository.path, tmp_path / "two")
    assert list(_entries(repository.path, tmp_path)) == ["a.txt", "b.txt", "c.txt"]


def test_modes(plain: Path, tmp_path: Path) -> None:
    """A program stays executable; owner and setuid do not travel."""
    (plain / "program").write_text("x")
    (plain / "program").chmod(0o4755)
    entry = _entries(plain, tmp_path)["program"]
    assert (entry.mode, entry.uid, entry.gid, entry.uname, entry.gname) == (0o755, 0, 0, "", "")


def test_the_package_is_not_in_itself(plain: Path) -> None:
    """A package that is written into the workspace does not hold an older version of itself."""
    (plain / "file").write_text("1")
    first = _pack(plain, plain / "package")
    assert _pack(plain, plain / "package") == first


def test_broken_repository(plain: Path, tmp_path: Path) -> None:
    """When git cannot tell what is ignored, nothing is sent: it might be a file of secrets."""
    (plain / ".git").write_text("gitdir: /nowhere")
    (plain / ".env").write_text("TOKEN=1")
    with pytest.raises(ConfigurationError, match="git cannot list"):
        _pack(plain, tmp_path / "package")


def test_programs_in_the_configuration_do_not_run(repository: Repository, tmp_path: Path) -> None:
    """Listing a work tree runs neither its monitor nor its filters."""
    (repository.path / ".gitattributes").write_text("* filter=evil\n")
    repository.commit(a="1")
    for name in ("core.fsmonitor", "filter.evil.clean", "filter.evil.process"):
        repository.git("config", name, f"touch {tmp_path}/sprung; cat")
    (repository.path / "a.txt").write_text("2")
    _pack(repository.path, tmp_path / "package")
    assert not (tmp_path / "sprung").exists()


def test_file_that_vanishes(plain: Path, tmp_path: Path) -> None:
    """A file that goes away between being listed and being read is named, rather than left out in silence."""
    with tarfile.open(tmp_path / "package", "w") as archive, pytest.raises(ConfigurationError, match="gone"):
        workspace_tar.add_file(archive, tarfile.TarInfo("gone"), str(plain / "gone"))


def test_the_private_key_stays(plain: Path, repository: Repository, tmp_path: Path) -> None:
    """What `secrets keygen` wrote goes to no machine, whether git knows the directory or not."""
    for directory in (plain, Path(repository.path)):
        (directory / "inner").mkdir()
        for name in ("accel-ci.key", "inner/accel-ci.key", "inner/kept"):
            (directory / name).write_text("x")
        assert sorted(_entries(directory, tmp_path)) == ["inner", "inner/kept"]


def test_a_full_disk_is_not_the_files_fault(plain: Path, tmp_path: Path) -> None:
    """An archive that cannot grow is told as this computer's trouble, not as a file that cannot be read."""
    (plain / "large").write_bytes(b"x" * 1_000_000)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(ComputerError, match="File too large"):
            _pack(plain, tmp_path / "package")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
