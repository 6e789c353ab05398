"""A whole workflow in a real runner, cancelled while its tests run: the post step and the later steps leave no machine."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests import background
from tests.end_to_end import runner as runners
from tests.end_to_end.runner import ALWAYS, Runner

STARTED = 'echo started > "$HOME/started"; sleep 60'
pytestmark = pytest.mark.judge("node")


def _steps(*later: str) -> dict[str, Any]:
    steps = [
        runners.uses("provision", {"accelerator": "local"}),
        runners.uses("run-remote", {"run": STARTED}),
        *(runners.uses(verb, **ALWAYS) for verb in later),
    ]
    return {"tpu": {"runs-on": "ubuntu-latest", "steps": steps}}


@contextmanager
def _cancelled_when(started: Path) -> Iterator[None]:
    """Send SIGINT, as a person's Ctrl-C does, to our children of the name act once the file is there."""

    def watch(over: threading.Event) -> None:
        while not over.wait(0.05):
            if started.exists():
                for child in _acts():
                    os.kill(child, signal.SIGINT)
                return

    with background.running(watch):
        yield


def _acts() -> list[int]:
    children = [
        child
        for task in Path(f"/proc/{os.getpid()}/task").iterdir()
        for child in (task / "children").read_text().split()
    ]
    return [int(child) for child in children if Path(f"/proc/{child}/comm").read_text().strip() == "act"]


@pytest.mark.parametrize("later", [("cleanup", "report"), ()])
def test_a_cancelled_job_leaves_no_machine(runner: Runner, later: tuple[str, ...]) -> None:
    """act kills the running step at once; with a cleanup step, and by the post step alone, the machine is gone."""
    with _cancelled_when(runner.base / "home/started"):
        done = runner.run(_steps(*later))
    assert done.returncode != 0
    assert runners.results(done).get("tpu") != "success", done.stdout[-3000:]
    assert runner.terminal.machines() == [], done.stdout[-6000:]
    assert "is gone" in done.stdout
