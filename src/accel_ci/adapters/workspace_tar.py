"""A directory as a tar archive: what git does not ignore, in a fixed order, nothing from outside of it."""

from __future__ import annotations

import os
import stat
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from accel_ci.adapters import git_command, sealed_box
from accel_ci.adapters.git_command import Git
from accel_ci.domain.errors import ComputerError, ConfigurationError

CACHES = {".git", ".venv", "__pycache__", "node_modules"}


def write(directory: str, git: Git, *, into: str) -> None:
    """Archive the directory's files, folders, and links that stay inside. Everything else is left out."""
    root = os.path.realpath(directory)
    names = _with_parents(set(_names(root, git)))
    # `secrets keygen` puts the key here: what it opens is for the runner, never for a machine.
    names = {name for name in names if os.path.basename(name) != sealed_box.KEY_FILE}
    # The archive must not hold itself.
    names.discard(os.path.relpath(os.path.realpath(into), root))
    with open(into, "wb", opener=_private) as file, tarfile.open(fileobj=file, mode="w") as archive:
        # Sorted: the same files make the same archive.
        for name in sorted(names, key=os.fsencode):
            _add(archive, root, name)


def needs_no_git(directory: str) -> bool:
    """True for a directory that is in no repository, so that git is not asked what it ignores."""
    return not _is_in_work_tree(os.path.realpath(directory))


def is_empty(directory: str) -> bool:
    """True where there is nothing, or no directory."""
    return not (os.path.isdir(directory) and os.listdir(directory))


def _names(root: str, git: Git) -> Iterator[str]:
    """What git lists when it knows the directory; everything but caches when not, or when it ignores all of it."""
    listed = list(_listed(root, git)) if _is_in_work_tree(root) else []
    for name in listed or _walked(root):
        path = os.path.join(root, name)
        if listed and os.path.isdir(path) and not os.path.islink(path):  # a submodule, or another repository
            yield from (os.path.join(name, inner) for inner in _names(path, git))
        yield name.rstrip("/")


def _listed(root: str, git: Git) -> Iterator[str]:
    answer = git("-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    if answer.returncode:
        raise ConfigurationError(
            f"git cannot list {root}: {git_command.last_words(answer.stderr)}", what_to_do="see git status there"
        )
    return map(os.fsdecode, filter(None, answer.stdout.split(b"\0")))


def _is_in_work_tree(root: str) -> bool:
    return any((folder / ".git").exists() for folder in (Path(root), *Path(root).parents))


def _walked(root: str) -> Iterator[str]:
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if name not in CACHES]
        yield from (os.path.relpath(os.path.join(folder, name), root) for name in (*folders, *files))


def _with_parents(names: Iterable[str]) -> set[str]:
    found = set(names)
    for name in names:
        while name := os.path.dirname(name):
            found.add(name)
    return found


def _add(archive: tarfile.TarFile, root: str, name: str) -> None:
    path = os.path.join(root, name)
    if os.path.realpath(os.path.dirname(path)) != os.path.dirname(path):  # git lists it, but a folder became a link
        return
    try:
        found = os.lstat(path)
    except FileNotFoundError:  # git lists it, but it was deleted
        return
    entry = tarfile.TarInfo(name)
    # No owner, no set-user-id: what a file is called and may do here says nothing over there.
    entry.mode, entry.mtime = found.st_mode & 0o777, int(found.st_mtime)
    if stat.S_ISDIR(found.st_mode):
        entry.type = tarfile.DIRTYPE
        archive.addfile(entry)
    elif stat.S_ISLNK(found.st_mode) and _stays_inside(root, path):
        entry.type, entry.linkname = tarfile.SYMTYPE, os.readlink(path)
        archive.addfile(entry)
    elif stat.S_ISREG(found.st_mode):
        add_file(archive, entry, path)


def add_file(archive: tarfile.TarFile, entry: tarfile.TarInfo, path: str) -> None:
    """Add the file's bytes as `entry`; ConfigurationError when they cannot be read, or become fewer meanwhile."""
    try:
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NOFOLLOW)) as file:
            entry.size = os.fstat(file.fileno()).st_size
            archive.addfile(entry, file)
    except OSError as error:
        if error.filename is None and (known := ComputerError.of(error)):  # the archive's own trouble, not the file's
            raise known from error
        raise ConfigurationError(
            f"{path} cannot be packed: {error}", what_to_do="make it readable, and leave it alone while it is packed"
        ) from error


def _stays_inside(root: str, link: str) -> bool:
    # An absolute link would lead somewhere else on the machine, even one that stays inside here.
    return not os.path.isabs(os.readlink(link)) and Path(os.path.realpath(link)).is_relative_to(root)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
