"""Run records in a directory that is copied, checked out, or shared with other files."""

from __future__ import annotations

import shutil
from pathlib import Path

from accel_ci.adapters.history_dir import HistoryDirectory


def test_order_survives_a_copy(tmp_path: Path) -> None:
    """A copy that loses every file's time, as a git checkout does, keeps the order."""
    history = HistoryDirectory(str(tmp_path / "history"))
    for name in ("c", "a", "b"):
        history.keep(name, b"1")
    shutil.copytree(tmp_path / "history", tmp_path / "copy", copy_function=shutil.copyfile)
    assert HistoryDirectory(str(tmp_path / "copy")).names() == ["c", "a", "b"]


def test_order_beyond_ten(tmp_path: Path) -> None:
    """Numbers are compared as numbers."""
    history = HistoryDirectory(str(tmp_path / "history"))
    names = [f"run-{number}" for number in range(12)]
    for name in names:
        history.keep(name, b"1")
    assert history.names() == names


def test_replacing_keeps_the_place(tmp_path: Path) -> None:
    """A run that is reported again does not become a newer one."""
    history = HistoryDirectory(str(tmp_path / "history"))
    for name in ("a", "b", "a"):
        history.keep(name, b"1")
    assert history.names() == ["a", "b"]


def test_other_files_are_not_history(tmp_path: Path) -> None:
    """A README beside the records is none of them."""
    history = HistoryDirectory(str(tmp_path / "history"))
    history.keep("a", b"1")
    (tmp_path / "history" / "README.md").write_text("hello")
    (tmp_path / "history" / "notes").mkdir()
    (tmp_path / "history" / "notes" / "x").write_text("hello")
    assert history.names() == ["a"]
