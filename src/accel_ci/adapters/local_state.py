"""What the `local` backend keeps on disk: <state>/machines/<name>/, and a note in <state>/ended/ of what expired."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from accel_ci.domain.errors import CloudError, ConfigurationError
from accel_ci.domain.machine import Machine, MachineSpec, State, Worker

SCHEME = "local"
ZONE = "local"
MAX_WORKERS = 64
DOCUMENT_BYTES = 65536
STALE_S = 60.0

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_LABEL = re.compile(r"[a-z0-9_-]{1,63}")


class LocalState:
    """The machines of one state directory. Each has machine.json, annotations/ and worker-0/ to worker-<n-1>/."""

    def __init__(self, state: str) -> None:
        self._state = Path(os.path.realpath(state))  # processes see resolved paths: their marks must agree with ours
        self._machines = self._state / "machines"

    def directory(self, name: str) -> Path:
        """Where the machine of that name lies, or would; ConfigurationError for a name that could lead elsewhere."""
        if not _NAME.fullmatch(name):
            raise ConfigurationError(f"not a name of a local machine: {name!r}", what_to_do="use [a-z0-9-], 63 at most")
        return self._machines / name

    def name(self, handle: str) -> str:
        """The name in the handle local://<name>; ConfigurationError for any other handle."""
        scheme, _, name = handle.partition("://")
        if scheme != SCHEME:
            raise ConfigurationError(f"not a handle of a local machine: {handle!r}", what_to_do="use local://<name>")
        return self.directory(name).name

    def names(self) -> list[str]:
        """The names of all machines, sorted."""
        return sorted(filter(_NAME.fullmatch, _listing(self._machines)))

    def place(self, name: str, spec: MachineSpec, labels: Mapping[str, str]) -> None:
        """Make the machine's directory as a whole, unless one of that name is there: the caller compares labels."""
        self._machines.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._forget_stale()
        if os.path.lexists(self.directory(name)):
            return
        # The note is about an earlier machine of that name.
        self._tomb(name).unlink(missing_ok=True)
        new = Path(tempfile.mkdtemp(prefix=".new-", dir=self._machines))
        document = {"version": 1, "accelerator": spec.accelerator, "workers": spec.workers, "created": time.time()}
        (new / "machine.json").write_text(json.dumps({**document, "labels": dict(labels)}))
        for folder in ("annotations", *(f"worker-{index}" for index in range(spec.workers))):
            (new / folder).mkdir(mode=0o700)
        try:
            new.rename(self.directory(name))  # fails on a directory that has files, as every machine's has
        except OSError:
            shutil.rmtree(new)

    def machine(self, name: str) -> Machine | None:
        """The machine as it is now, None when there is none. FAILED: the code under test destroyed machine.json."""
        directory = self.directory(name)
        # The code under test runs as us and can put a link in the machine's place.
        if directory.is_symlink() or not directory.is_dir():
            return None
        accelerator, workers, labels = _document(directory / "machine.json")
        ending = os.path.lexists(directory / "ending")
        return Machine(
            handle=f"{SCHEME}://{name}",
            name=name,
            zone=ZONE,
            accelerator=accelerator,
            spot=False,
            state=State.RELEASING if ending else State.READY if labels else State.FAILED,
            workers=tuple(Worker(index=index, address=str(directory / f"worker-{index}")) for index in range(workers)),
            labels=labels | _annotations(directory / "annotations") if labels else {},
            root=".",  # a worker's address is our directory itself
        )

    def annotate(self, name: str, label: str, value: str) -> None:
        """Add a label. Each is a file of its own, so that two writers cannot lose each other's."""
        if not _LABEL.fullmatch(label) or not _LABEL.fullmatch(value):
            raise ConfigurationError(f"not a label: {label!r}={value!r}", what_to_do="use [a-z0-9_-], 63 at most")
        annotations = self.directory(name) / "annotations"
        try:
            with tempfile.NamedTemporaryFile("w", dir=annotations, prefix=".", delete=False) as file:
                file.write(value)
            os.replace(file.name, annotations / label)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise CloudError(f"{SCHEME}://{name} is gone: it cannot be annotated") from error

    def tombstone(self, name: str) -> str:
        """Why the keeper ended the machine, "" when it did not."""
        try:
            return self._tomb(name).read_text("utf8")[:200]
        except FileNotFoundError:
            return ""

    def _tomb(self, name: str) -> Path:
        return self._state / "ended" / self.directory(name).name

    def _forget_stale(self) -> None:
        """Remove what creations that crashed half-way left."""
        for new in self._machines.glob(".new-*"):
            try:
                stale = new.stat().st_mtime < time.time() - STALE_S
            except FileNotFoundError:
                continue
            if stale:
                shutil.rmtree(new, ignore_errors=True)


def _document(path: Path) -> tuple[str, int, dict[str, str]]:
    try:
        with path.open("rb") as file:
            document = json.loads(file.read(DOCUMENT_BYTES))
        accelerator, workers = str(document["accelerator"]), int(document["workers"])
        labels = {str(name): str(value) for name, value in document["labels"].items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return "", 0, {}
    return accelerator, min(workers, MAX_WORKERS), labels


def _annotations(directory: Path) -> dict[str, str]:
    found = {}
    for label in filter(_LABEL.fullmatch, _listing(directory)):
        try:
            with (directory / label).open(encoding="ascii") as file:
                value = file.read(64)
        except (OSError, ValueError):
            continue
        if _LABEL.fullmatch(value):
            found[label] = value
    return found


def _listing(directory: Path) -> list[str]:
    try:
        return os.listdir(directory)
    except (FileNotFoundError, NotADirectoryError):
        return []
