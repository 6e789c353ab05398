"""The wheel that would be published."""

from __future__ import annotations

import pathlib
import subprocess
import sys
import zipfile

import pytest

from tests.house import source_tree
from tests.house.source_tree import REPOSITORY


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A wheel of this tree, freshly built."""
    place = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(place)]
    subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True)
    (built,) = place.glob("*.whl")
    return built


def test_the_wheel_holds_every_file_of_the_program(wheel: pathlib.Path) -> None:
    """Not a file of src/ is missing, among them those that are sent to machines as they are."""
    ours = {name.removeprefix("src/") for name in source_tree.files() if name.startswith("src/")}
    packed = set(zipfile.ZipFile(wheel).namelist())
    assert ours - packed == set()
    assert "accel_ci/on_machine/supervisor.py" in packed


def test_the_wheel_carries_its_licence(wheel: pathlib.Path) -> None:
    """Whoever gets the wheel gets the licence's text with it."""
    assert any(name.endswith("/licenses/LICENSE") for name in zipfile.ZipFile(wheel).namelist())


def test_the_program_runs_from_the_wheel(wheel: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """Unpacked anywhere, the wheel is a whole program: the command line starts from it, not from the source tree."""
    zipfile.ZipFile(wheel).extractall(tmp_path)
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from accel_ci import cli; print(cli.__file__); cli.main(['-h'])"
    )
    command = [sys.executable, "-I", "-c", code, str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(tmp_path))
    assert "provision" in done.stdout
