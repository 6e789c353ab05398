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
    """The working directory is the worker's, and python3 is the Python that runs us."""
    python, cwd, _ = told(Worker(index=0, address=str(tmp_path)), {"LC_ALL": "C"})
    assert (python, cwd) == (sys.executable, str(tmp_path))


def test_the_directory_of_a_machine_that_is_gone_is_not_brought_back(tmp_path: Path) -> None:
    """A machine without its directory is a lost connection that names the worker; nothing is made."""
    place = tmp_path / "gone"
    with pytest.raises(ConnectionLostError, match=r"w2 .*its directory is gone"):
        told(Worker(index=2, address=str(place)), {})
    assert not place.exists()
