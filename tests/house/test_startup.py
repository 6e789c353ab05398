"""What a step pays for before it does anything: imports."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys

import pytest

COSTLY = {"asyncssh", "google", "grpc", "kubernetes", "paramiko", "requests", "urllib3"}
PROBE = """\
import io, json, os, sys
talk, sys.stdout = sys.stdout, io.StringIO()
from accel_ci import cli
try:
    cli.main(sys.argv[1:])
except SystemExit:
    pass
print(json.dumps(sorted({name.split(".")[0] for name in sys.modules})), file=talk)
"""


def loaded(*arguments: str, place: pathlib.Path) -> set[str]:
    """The top-level modules that the command line has loaded when it ended, in an empty directory."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(place), "ACCEL_CI_STATE": str(place / "state")}
    command = [sys.executable, "-c", PROBE, *arguments]
    done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


@pytest.mark.parametrize("ending", ["--help", None])
@pytest.mark.parametrize("verb", ["collect", "gate", "reap-queued", "report"])
def test_no_cloud_library_is_loaded(verb: str, ending: str | None, tmp_path: pathlib.Path) -> None:
    """Verbs that need no cloud never load a cloud's library: those take up to 1.5 s and 150 MB."""
    arguments = [verb, ending] if ending else [verb]
    assert loaded(*arguments, place=tmp_path) & COSTLY == set()


def test_help_loads_no_adapter_s_library(tmp_path: pathlib.Path) -> None:
    """Even the whole command line's help stays clear of every library that an adapter brings."""
    assert loaded("--help", place=tmp_path) & (COSTLY | {"github"}) == set()
