"""Threats from what we depend on: wheels that were changed, and installers that were told to bring more."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.actions import test_setup
from tests.actions.test_setup import Runner


def test_threat_16_a_changed_wheel(tmp_path: Path) -> None:
    """A wheel under a known name and version with other bytes is not installed, by uv or by pip."""
    runner = Runner(tmp_path)
    runner.publish("pinned", "VERSION = 'evil'\n")
    done = runner.set_up()
    assert done.returncode == 3 and runner.made() == [] and not runner.launcher.exists()


def test_threat_16_a_lock_without_hashes(tmp_path: Path) -> None:
    """A line that lost its hash is not installed on the word of an index."""
    runner = Runner(tmp_path)
    runner.write("requirements/runtime.txt", "pinned==1.0\n")
    assert runner.set_up().returncode == 3 and runner.made() == []


@pytest.mark.parametrize("name", ["pip.conf", "sitecustomize.py", "json.py", "uv.toml", "pyproject.toml", ".env"])
def test_threat_16_files_of_the_workspace(name: str, tmp_path: Path) -> None:
    """What lies in the working directory of a step, a checkout's for example, has no say in set-up and program."""
    runner = Runner(tmp_path)
    (runner.temp / name).write_text(
        "raise SystemExit('owned')\n" if name.endswith(".py") else "[tool.uv\nindex-url = x\n"
    )
    assert runner.set_up(PYTHONPATH=str(runner.temp), PYTHONSTARTUP="json.py").returncode == 0
    assert runner.start(PYTHONPATH=str(runner.temp))["pinned"] == 1


def test_threat_16_more_than_the_lock_names(tmp_path: Path) -> None:
    """A configuration of the user's that demands another package, as an earlier job may have left it, is refused."""
    test_setup.test_a_users_pip_configuration_cannot_add_a_library(Runner(tmp_path), tmp_path)
