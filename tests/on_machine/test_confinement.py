"""The confinement of the test user for real: a network of its own, the kernel's firewall, and users that ask."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import judges
from tests.on_machine.worker_root import ON_MACHINE

DRIVER = Path(__file__).with_name("confined.py")
# A firewall is the matter of root: where tests are not, they need the user's own sudo.
AS_ROOT = () if os.geteuid() == 0 else ("sudo", "-n")
judged = [pytest.mark.judge(program) for program in ("iptables", "ip", "unshare", "setpriv", "curl", *AS_ROOT[:1])]
pytestmark = judged


@pytest.fixture
def folder() -> Iterator[Path]:
    """What the machine's image is made of, to be read by every user."""
    with tempfile.TemporaryDirectory(prefix="accel-ci-confined-") as made:
        path = Path(made)
        path.chmod(0o755)
        (path / "bin").mkdir()
        for name, text in {"getent": "exit 0", "id": "echo accel-ci google-sudoers", "gpasswd": "exit 0"}.items():
            (path / "bin" / name).write_text(f"#!/bin/sh\n{text}\n")
            (path / "bin" / name).chmod(0o755)
        for program in ("doors.py", "process_tree.py", "boot.sh"):
            shutil.copy(ON_MACHINE / program, path)
        shutil.copy(DRIVER, path)
        (path / "excerpt").write_text("")
        yield path


def _confined(folder: Path) -> dict[str, Any]:
    for program in ("iptables", "unshare"):
        judges.require(program)
    spaces = ("unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc")
    command = [*AS_ROOT, *spaces, "/usr/bin/python3", str(folder / "confined.py"), "boot.sh", "doors.py", "."]
    done = subprocess.run(command, cwd=folder, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def test_the_metadata_is_closed_to_the_tests_and_to_whoever_they_can_become(folder: Path) -> None:
    """Neither the test user nor an id that `newuidmap` gives it gets a byte; root and the system's own users do."""
    seen = _confined(folder)
    assert seen["told"] == {"confined": "yes", "stage": "ready"}
    assert seen["got"]["tests"] == seen["got"]["subordinate"] == ["closed"] * 5
    assert seen["got"]["root"][0] == seen["got"]["daemon"][0] == "secret"
    assert seen["open"] == {}


def test_what_programs_ask_about_the_hardware_is_answered(folder: Path) -> None:
    """On a TPU machine the slice's shape is told, without which JAX hangs; tokens, keys and lists are not there."""
    shutil.copy(ON_MACHINE / "excerpt.py", folder / "excerpt")
    seen = _confined(folder)
    assert seen["told"] == {"confined": "yes", "stage": "ready"}
    for user in ("tests", "subordinate"):
        assert seen["got"][user] == ["404", "WRAP: 'false'", "4711", "404", "404"]
    assert seen["got"]["root"][0] == "secret"
    assert seen["open"] == {}


def test_without_a_firewall_the_door_is_found_open(folder: Path) -> None:
    """An image whose firewall does nothing, though it says so, is found out from inside."""
    for name in ("iptables", "ip6tables"):
        (folder / "bin" / name).write_text("#!/bin/sh\nexit 0\n")
        (folder / "bin" / name).chmod(0o755)
    seen = _confined(folder)
    assert seen["told"]["confined"] == "yes"
    assert seen["got"]["tests"][0] == "secret"
    assert "169.254.169.254 port 80" in seen["open"]["metadata"]
