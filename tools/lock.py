"""Writes requirements/*.txt from pyproject.toml: versions and hashes, no addresses. Called by `make lock`."""

from __future__ import annotations

import itertools
import pathlib
import subprocess
import sys
import tomllib
from collections.abc import Sequence

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
OPTIONS = ["--universal", "--python-version", "3.11", "--generate-hashes", "--custom-compile-command", "make lock"]


def main() -> None:
    """Compile runtime.txt, then one file per extra beside it, then dev.txt with all of them; all agree on versions."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    runtime = project["project"]["dependencies"]
    extras: dict[str, list[str]] = project["project"]["optional-dependencies"]
    # In this order, each held to those before: an action installs runtime.txt and one more, which must agree.
    compile_lock("runtime", runtime)
    for extra, requirements in extras.items():
        compile_lock(extra, requirements, constraints=["runtime"])
    everything = [*runtime, *itertools.chain(*extras.values()), *project["dependency-groups"]["dev"]]
    compile_lock("dev", everything, constraints=["runtime", *extras])


def compile_lock(name: str, requirements: list[str], *, constraints: Sequence[str] = ()) -> None:
    """Write requirements/<name>.txt for these requirements, with the versions of the locks in `constraints`."""
    agree = [option for lock in constraints for option in ("--constraint", f"requirements/{lock}.txt")]
    output = ["--upgrade", "--quiet", "--output-file", f"requirements/{name}.txt"]
    command = [sys.executable, "-m", "uv", "pip", "compile", "-", *OPTIONS, *agree, *output]
    subprocess.run(command, cwd=REPOSITORY, input="\n".join(requirements), text=True, check=True)


if __name__ == "__main__":
    main()
