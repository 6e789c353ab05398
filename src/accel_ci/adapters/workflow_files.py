"""The workflow files that a person names, read so that no link, pipe or giant among them does harm."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from accel_ci.domain.errors import ConfigurationError
from accel_ci.formats import yaml_tree

BELOW = ".github/workflows"
SUFFIXES = (".yml", ".yaml")
MAX_FILES = 500


def read(paths: Sequence[str]) -> list[tuple[str, bytes]]:
    """Path and content of each file; of a directory its workflows. ConfigurationError names every path that has none."""
    named = {path: sorted(_files(Path(path))) for path in paths}
    missing = [path for path, files in named.items() if not files]
    if missing:
        raise ConfigurationError(
            f"no workflow is there: {', '.join(missing)}",
            what_to_do=f"run it in the repository, or name a file, or a directory such as {BELOW}",
        )
    files = list(dict.fromkeys(file for found in named.values() for file in found))
    if len(files) > MAX_FILES:
        raise ConfigurationError(f"{len(files)} workflows are too many", what_to_do=f"name at most {MAX_FILES}")
    return [(str(file), _content(file)) for file in files]


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
    elif path.is_dir():
        inner = path / BELOW
        yield from (
            each
            for each in (inner if inner.is_dir() else path).iterdir()
            if each.suffix in SUFFIXES and not each.is_dir()
        )


def _content(path: Path) -> bytes:
    """One byte more than is taken at most, so that a giant is known for one; "" for what is no regular file."""
    try:
        # O_NONBLOCK: to open a pipe would wait for a writer for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        why = "links are not followed" if path.is_symlink() else error.strerror
        raise ConfigurationError(f"{path} cannot be read: {why}", what_to_do="mend it, or name the others") from None
    try:
        regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
        return os.read(descriptor, yaml_tree.MAX_BYTES + 1) if regular else b""
    finally:
        os.close(descriptor)
