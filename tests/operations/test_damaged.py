"""Documents of ours that cannot be understood."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from accel_ci.adapters import kept_runs
from accel_ci.domain.errors import ComputerError
from accel_ci.operations import records
from tests.fakes.files import FakeFiles

DAMAGED = [b"", b"{", b"[]", b"\xff", b'{"version": 99}']


@pytest.mark.parametrize("content", DAMAGED)
@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("record.json", lambda files: records.find(files, "")),
        ("machine.json", lambda files: records.load_machine(files, "")),
    ],
)
def test_a_damaged_document_is_no_bug_of_ours(name: str, read: Callable[[FakeFiles], object], content: bytes) -> None:
    """It is named, and what to do about machines that it may have told of."""
    with pytest.raises(ComputerError, match=f"main/{name} is damaged") as told:
        read(FakeFiles({f"main/{name}": content}))
    assert "accel-ci list" in told.value.what_to_do


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"a": 1}'])
def test_inputs_are_texts_by_name_or_damaged(content: bytes) -> None:
    """Nobody looks for machines with half of what the run was begun with."""
    assert kept_runs.inputs(b'{"project": "p"}') == {"project": "p"}
    with pytest.raises(ComputerError, match=r"inputs\.json is damaged"):
        kept_runs.inputs(content)
