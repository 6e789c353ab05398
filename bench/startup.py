"""How long a step takes before it does anything: setting up, and starting each verb, beside a Python that does nothing.

Usage: python bench/startup.py [repetitions]

Aims: the first action of a job ready in 2 s, later ones in 0.3 s with the program's start.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence

from accel_ci.inputs import models

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
SETUP = ["bash", str(REPOSITORY / "actions" / "internal" / "setup" / "setup.sh")]
PYTHON: str = sys._base_executable  # type: ignore[attr-defined]


def main() -> None:
    """Print a table: median seconds of each, and its ratio to `python -c pass`."""
    repetitions = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    floor = _median([[PYTHON, "-c", "pass"]] * repetitions, os.environ)
    print(f"{'python -c pass':<34}{floor:>8.3f} s")
    with tempfile.TemporaryDirectory() as place:
        for installer, environment in _environments(pathlib.Path(place)).items():
            _measure_setup(installer, environment, floor, repetitions)
        launcher = f"{environment['RUNNER_TEMP']}/accel-ci/bin/accel-ci"
        for verb in models.COMMAND_LINE:
            seconds = _median([[launcher, verb, "--help"]] * repetitions, environment)
            _row(f"accel-ci {verb}", seconds, floor)
        _row("set-up again + accel-ci report", _both(launcher, environment, repetitions), floor)


def _environments(place: pathlib.Path) -> dict[str, dict[str, str]]:
    """A job's environment with uv on the PATH, and one without it."""
    with_uv, without = place / "with uv", place / "without"
    for tools in (with_uv, without):
        tools.mkdir()
        for name in ("bash", "sh", "dirname"):
            (tools / name).symlink_to(shutil.which(name) or name)
        (tools / "python3").symlink_to(PYTHON)
    (with_uv / "uv").symlink_to(pathlib.Path(sys.executable).parent / "uv")
    base = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return {tools.name: base | {"PATH": str(tools), "RUNNER_TEMP": f"{tools}/temp"} for tools in (without, with_uv)}


def _measure_setup(installer: str, environment: Mapping[str, str], floor: float, repetitions: int) -> None:
    temp = environment["RUNNER_TEMP"]
    first = []
    for _ in range(min(repetitions, 3)):
        shutil.rmtree(temp, ignore_errors=True)
        pathlib.Path(temp).mkdir()
        first.append(_seconds(SETUP, environment))
    _row(f"set-up, first, {installer}", statistics.median(first), floor)
    _row("program's first start, --help", _seconds([f"{temp}/accel-ci/bin/accel-ci", "--help"], environment), floor)
    _row(f"set-up, later, {installer}", _median([SETUP] * repetitions, environment), floor)


def _both(launcher: str, environment: Mapping[str, str], repetitions: int) -> float:
    later = [
        _seconds(SETUP, environment) + _seconds([launcher, "report", "--help"], environment) for _ in range(repetitions)
    ]
    return statistics.median(later)


def _median(commands: Sequence[Sequence[str]], environment: Mapping[str, str]) -> float:
    return statistics.median(_seconds(command, environment) for command in commands)


def _seconds(command: Sequence[str], environment: Mapping[str, str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def _row(name: str, seconds: float, floor: float) -> None:
    print(f"{name:<34}{seconds:>8.3f} s{seconds / floor:>8.1f} times", flush=True)


if __name__ == "__main__":
    main()
