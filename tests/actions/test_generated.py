"""What is generated is fresh, and staleness is told with the command that mends it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from accel_ci.inputs import manifest
from tools import generate

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The generated files and their sources, in a directory of their own."""
    texts = {path: (ROOT / path).read_text(encoding="utf-8") for path in manifest.sources()}
    for path, text in (texts | manifest.generated(texts)).items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text, encoding="utf-8")
    shutil.copy(ROOT / "docs/run-record.schema.json", tmp_path / "docs")
    shutil.copy(ROOT / "docs/doctor.md", tmp_path / "docs")
    return tmp_path


def test_the_repository_is_fresh() -> None:
    """Every action.yml, table and reference page says what the models say: else run `python tools/generate.py`."""
    assert sorted(generate.stale(ROOT)) == []


def test_the_reference_has_no_orphans() -> None:
    """Each page of the reference is generated: one of an action that is gone would stay for ever."""
    pages = {f"docs/reference/{path.name}" for path in (ROOT / "docs/reference").iterdir()}
    assert pages <= set(manifest.generated({path: (ROOT / path).read_text() for path in manifest.sources()}))


def test_staleness_is_told(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--check names each stale or missing file and the command that mends it, changes nothing, and ends with 1."""
    face = copy / "collect/action.yml"
    face.write_text(face.read_text().replace("1000", "999"))
    (copy / "docs/reference/gate.md").unlink()
    assert generate.main(["--check"], copy) == 1
    assert capsys.readouterr().out.splitlines() == [
        "collect/action.yml is stale: run `python tools/generate.py`",
        "docs/reference/gate.md is stale: run `python tools/generate.py`",
    ]
    assert "999" in face.read_text()


def test_what_is_stale_is_written(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without --check stale files are written and named, and then everything is fresh."""
    (copy / "docs/reference/gate.md").unlink()
    (copy / "actions/gate/action.yml").write_text(
        "name: gate\ndescription: x\nruns:\n  using: composite\n  steps: []\n"
    )
    assert generate.main([], copy) == 0
    assert capsys.readouterr().out.splitlines() == [
        "wrote actions/gate/action.yml",
        "wrote gate/action.yml",
        "wrote docs/reference/gate.md",
    ]
    assert generate.main(["--check"], copy) == 0
    assert capsys.readouterr().out == ""


def test_the_command_is_what_it_says() -> None:
    """`python tools/generate.py --check` works from any directory and is content with this repository."""
    done = subprocess.run(
        [sys.executable, ROOT / "tools/generate.py", "--check"],
        cwd="/",
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
