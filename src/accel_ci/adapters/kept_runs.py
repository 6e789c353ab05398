"""What is kept of runs on this computer: a directory of documents for each, and which one was begun last."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from accel_ci.adapters.files_dir import FilesDirectory
from accel_ci.adapters.history_dir import HistoryDirectory
from accel_ci.domain import errors
from accel_ci.domain.context import Context
from accel_ci.operations import records
from accel_ci.ports.files import Files

CURRENT = "current"
SHOWN = 5
_CONTEXT = TypeAdapter(Context)
_GIVEN = TypeAdapter(dict[str, str])


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptRuns:
    """Where things are kept: `state` outlives jobs on this computer, `runs` holds one directory per run or job."""

    state: str
    runs: str

    def files(self, name: str) -> FilesDirectory:
        """The documents of the run of that name."""
        return FilesDirectory(self.run(name))

    def run(self, name: str) -> str:
        """The private directory of the run of that name."""
        return f"{self.runs}/{name}"

    def history(self) -> HistoryDirectory:
        """What was kept of earlier runs."""
        return HistoryDirectory(f"{self.state}/history")

    def remember(self, here: Context, *, given: Mapping[str, str]) -> None:
        """Keep what a run was begun with, so that later commands and `attach` go on with it."""
        name = here.key().name
        files = self.files(name)
        files.write("context.json", _CONTEXT.dump_json(here))
        files.write("inputs.json", json.dumps(dict(given)).encode())
        # Last: whoever is killed before this has begun nothing that a later command could go on with.
        self.files(CURRENT).write(str(here.repository_id), name.encode())

    def last(self, repository_id: int) -> str:
        """The name of the run that was begun last in this directory or repository; "" when there was none."""
        return (self.files(CURRENT).read(str(repository_id)) or b"").decode()

    def recalled(self, name: str) -> tuple[Context, dict[str, str]]:
        """The context and the inputs of the run of that name; ConfigurationError when none is known."""
        # Asked of the file system first: looking for documents would make the directory of a mistyped name.
        files = self.files(name) if name and Path(self.runs, name).is_dir() else None
        known, given = (files.read("context.json"), files.read("inputs.json")) if files else (None, None)
        if known is None or given is None:
            begun = [run.name for run in self._begun()[:SHOWN]]
            raise errors.ConfigurationError(
                f"no run {name!r} is known here" if name else "no run was begun in this directory",
                what_to_do=f"the last ones were: {', '.join(begun)}" if begun else "begin one: accel-ci run",
            )
        try:
            return _CONTEXT.validate_json(known), inputs(given)
        except ValueError as error:
            raise errors.damaged(f"what is kept of {name}") from error

    def leased(self, wanted: str, *, slot: str) -> tuple[Context, Files, str]:
        """The run and the slot that leased the machine of this handle or name, or the run of this name.

        ConfigurationError names the machines that were leased last.
        """
        known = list(self._slots())
        for files, run, each in known:
            machine = records.load_machine(files, each)
            if wanted in (machine.handle, machine.name) or (wanted == run and each == slot):
                return self.recalled(run)[0], files, each
        names = [records.load_machine(files, each).handle for files, _, each in known[:SHOWN]]
        raise errors.ConfigurationError(
            f"no machine {wanted!r} was leased from here",
            what_to_do=f"the last ones were: {', '.join(names)}" if names else "use it where the machine was leased",
        )

    def _slots(self) -> Iterator[tuple[Files, str, str]]:
        """The documents, run and slot of every machine that was leased from here, the newest run first."""
        for run in self._begun():
            files = self.files(run.name)
            for slot in records.slots(files):
                if files.read(records.place(slot, "machine.json")) is not None:
                    yield files, run.name, slot

    def _begun(self) -> list[Path]:
        """The directories of all runs, the newest first."""
        runs = [path.parent for path in Path(self.runs).glob("*/context.json")]
        return sorted(runs, key=lambda path: path.stat().st_mtime, reverse=True)


def inputs(document: bytes) -> dict[str, str]:
    """What a run was begun with, by input name; ComputerError when the document is damaged."""
    try:
        return _GIVEN.validate_json(document)
    except ValueError as error:
        raise errors.damaged("inputs.json") from error
