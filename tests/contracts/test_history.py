"""What every place for run records promises."""

from __future__ import annotations

from pathlib import Path

import pytest

from accel_ci.adapters.history_dir import HistoryDirectory
from accel_ci.ports.history import History
from tests.fakes.history import FakeHistory


@pytest.fixture(params=["fake", "directory"])
def history(request: pytest.FixtureRequest, tmp_path: Path) -> History:
    """Each implementation in turn, empty."""
    return FakeHistory() if request.param == "fake" else HistoryDirectory(str(tmp_path / "history"))


def test_empty(history: History) -> None:
    """Nothing is kept at first."""
    assert history.names() == []
    assert history.read("run-1") is None


def test_kept_document(history: History) -> None:
    """A kept document is read, byte for byte."""
    history.keep("run-1.json", b'{"a": "\xc3\xa4"}')
    assert history.read("run-1.json") == b'{"a": "\xc3\xa4"}'


def test_oldest_first(history: History) -> None:
    """The order is that of keeping, not that of the names, however fast they follow."""
    names = [f"run-{number}" for number in (9, 10, 1, 7, 3, 8, 2, 6, 5, 4, 11)]
    for name in names:
        history.keep(name, name.encode())
    assert history.names() == names
    assert [history.read(name) for name in names] == [name.encode() for name in names]


def test_replaced_document(history: History) -> None:
    """The same name again replaces the document and is listed once."""
    for name, document in (("a", b"1"), ("b", b"2"), ("a", b"3")):
        history.keep(name, document)
    assert sorted(history.names()) == ["a", "b"]
    assert history.read("a") == b"3"


def test_names_with_folders(history: History) -> None:
    """A name may have several components, and one name may begin with another."""
    for name in ("2026/11/run-1", "run", "run-1"):
        history.keep(name, name.encode())
    assert history.names() == ["2026/11/run-1", "run", "run-1"]
    assert history.read("run") == b"run"
