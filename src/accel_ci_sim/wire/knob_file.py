"""The knobs as a file, so that a person, a script or the HTTP interface can turn them while the simulator runs."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from accel_ci_sim.world.tpu_knobs import Knobs


class KnobFile:
    """The file is the only truth: what comes over HTTP is written there. A broken file changes nothing."""

    def __init__(self, path: Path) -> None:
        self.knobs = Knobs()
        self.problem = ""
        self._path = path
        self._seen: tuple[int, int] | None = None

    def changed(self) -> bool:
        """Read the file again if it was written since; True when the knobs are others now."""
        try:
            about = self._path.stat()
        except FileNotFoundError:
            return False
        if (about.st_mtime_ns, about.st_ino) == self._seen:
            return False
        self._seen, before = (about.st_mtime_ns, about.st_ino), self.knobs
        try:
            self.knobs, self.problem = Knobs.model_validate_json(self._path.read_bytes()), ""
        except ValidationError as error:
            self.problem = "; ".join(mistakes(error))
        return self.knobs != before

    def turn(self, new: Mapping[str, Any], *, keep: bool) -> None:
        """Write other knobs; with `keep` those that are not named stay. ValidationError when they make no sense."""
        given = (self.knobs.model_dump(mode="json", exclude_unset=True) if keep else {}) | dict(new)
        knobs = Knobs.model_validate_json(json.dumps(given))
        written = self._path.with_suffix(".new")
        written.write_text(knobs.model_dump_json(indent=2, exclude_unset=True) + "\n")
        os.replace(written, self._path)


def mistakes(error: ValidationError) -> list[str]:
    """What is wrong with knobs, a line each."""
    return [f"{'.'.join(map(str, each['loc'])) or 'knobs'}: {each['msg']}" for each in error.errors()]
