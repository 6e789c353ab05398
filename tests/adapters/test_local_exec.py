"""What is special about the transport to this computer."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

from accel_ci.adapters.local_exec import LocalExec
from accel_ci.domain.errors import ConnectionLostError
from accel_ci.domain.machine import Worker
from tests.contracts import remote_worlds

TELL = "import json, os, sys; print(json.dumps([sys.executable, os.getcwd(), dict(os.environ)]))"


def told(worker: Worker, environment: dict[str, str]) -> tuple[str, str, dict[str, str]]:
    """Which Python runs where, with which environment, when the worker is asked to run `python3`."""

    async def asking() -> bytes:
        machine = remote_worlds.machine("m", [worker])
        opened = await LocalExec(environment).open(
            machine, worker, ["python3", "-c", TELL], stdin=asyncio.subprocess.DEVNULL
        )
        answer = await opened.answer(100_000)
        await opened.end()
        return answer

    python, place, seen = json.loads(asyncio.run(asking()))
    return python, place, seen


def test_environment_is_only_what_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of our own environment, tokens for example, reaches a local machine; its marks do."""
    monkeypatch.setenv("GITHUB_TOKEN", "secret")
    _, _, seen = told(Worker(index=0, address=str(tmp_path)), {"PATH": "/usr/bin:/bin", "LC_ALL": "C"})
    assert seen == {
        "PATH": "/usr/bin:/bin",
        "LC_ALL": "C",
        "ACCEL_CI_MACHINE": "m",
        "ACCEL_CI_RESULTS": f"{tmp_path}/results",
    }


def test_commands_run_in_the_worker_with_our_python(tmp_path: Path) -> None:
    """The working directory is the worker's, made when missing, and python3 is the Python that runs us."""
    place = tmp_path / "new" / "worker"
    python, cwd, _ = told(Worker(index=0, address=str(place)), {"LC_ALL": "C"})
    assert (python, cwd) == (sys.executable, str(place))
    assert place.stat().st_mode & 0o777 == 0o700


def test_impossible_directory_names_the_worker() -> None:
    """A directory that cannot be made is a lost connection, with the system's reason."""
    with pytest.raises(ConnectionLostError, match=r"w2 \(/dev/null/x\): .*Not a directory"):
        told(Worker(index=2, address="/dev/null/x"), {})
