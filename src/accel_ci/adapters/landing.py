"""Where the files of one worker come down: under names of ours, in caps of ours, whatever the machine claims."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import os
import re
from contextlib import ExitStack, suppress
from typing import IO

from accel_ci.adapters import frames
from accel_ci.adapters.frames import FileHeader
from accel_ci.domain.machine import Worker
from accel_ci.domain.workload import Caps, Fetched

CHUNK = 256 * 1024
# O_EXCL and O_NOFOLLOW: no file of ours is ever replaced, and no link is written through.
NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
REFUSALS = 1000


class Landing:
    """The directory `into`/w<n>, which gets 0001-<name>, 0002-<name>, ... and never replaces a file."""

    def __init__(self, into: str, worker: Worker, caps: Caps) -> None:
        self._worker = worker
        self._caps = caps
        self._left = caps.total_bytes
        self._numbers = itertools.count(1)
        self._written: list[str] = []
        self._into = into
        # Nobody else on a shared runner reads what comes back.
        os.makedirs(os.path.join(into, worker.name), mode=0o700, exist_ok=True)

    async def receive(self, stream: asyncio.StreamReader) -> list[Fetched]:
        """All files that the courier sends; ValueError when it does not keep to the caps, and nothing is left then."""
        fetched: list[Fetched] = []
        with ExitStack() as on_failure:
            on_failure.callback(self._forget)
            while isinstance(header := await frames.file_header(stream), FileHeader):
                fetched.append(await self._take(header, stream))
                if len(fetched) > self._caps.files + REFUSALS:
                    raise ValueError("more files than were asked for")
            if header.incomplete:
                fetched.append(Fetched(worker=self._worker.index, name="*", refused=header.incomplete))
            on_failure.pop_all()
        return fetched

    async def _take(self, header: FileHeader, stream: asyncio.StreamReader) -> Fetched:
        if header.refused:
            return Fetched(worker=self._worker.index, name=header.name, refused=header.refused)
        # The courier keeps to the caps by itself; who goes beyond them is not our courier.
        if header.size > min(self._caps.file_bytes, self._left) or len(self._written) >= self._caps.files:
            raise ValueError(f"a file of {header.size} bytes beyond the caps")
        self._left -= header.size
        path, new_file = self._new_file(header.name)
        with new_file as file:
            digest = hashlib.sha256()
            for start in range(0, header.size, CHUNK):
                chunk = await stream.readexactly(min(CHUNK, header.size - start))
                digest.update(chunk)
                file.write(chunk)
        return Fetched(
            worker=self._worker.index, name=header.name, path=path, size_bytes=header.size, sha256=digest.hexdigest()
        )

    def _new_file(self, name: str) -> tuple[str, IO[bytes]]:
        for number in self._numbers:
            path = f"{self._worker.name}/{number:04}-{safe_name(name)}"
            with suppress(FileExistsError):
                descriptor = os.open(os.path.join(self._into, path), NEW_FILE, 0o600)
                self._written.append(path)
                return path, open(descriptor, "wb", buffering=0)
        raise AssertionError("numbers do not end")

    def _forget(self) -> None:
        for path in self._written:
            os.unlink(os.path.join(self._into, path))


def safe_name(name: str) -> str:
    """The last part of a hostile path as [A-Za-z0-9._-], at most 80 characters, its suffix kept."""
    last = name.rstrip("/").rsplit("/", 1)[-1]
    # No leading dot or dash: neither hidden from `ls`, nor an option of whatever command gets the name.
    return re.sub(r"[^A-Za-z0-9._-]+", "_", last)[-80:].lstrip(".-") or "file"
