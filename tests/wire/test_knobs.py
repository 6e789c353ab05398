"""The knobs and their page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from accel_ci_sim.wire.knob_file import KnobFile
from accel_ci_sim.world import dice, tpu_knobs
from accel_ci_sim.world.tpu_knobs import Knobs
from tests.house.source_tree import REPOSITORY


def test_the_page_lists_every_knob() -> None:
    """docs/simulator.md has a row for each knob with its value at rest and what it does, and no other."""
    rows = [
        f"| `{name}` | `{json.dumps(field.default)}` | {field.description} |"
        for name, field in Knobs.model_fields.items()
    ]
    page = (REPOSITORY / "docs" / "simulator.md").read_text()
    table = page.split("|---|---|---|\n")[-1].split("\n\n")[0]
    assert table == "\n".join(rows), "write this into docs/simulator.md:\n" + "\n".join(rows)


def test_ranges_are_drawn_from() -> None:
    """A pair gives times between its ends, a number itself."""
    stream = dice.of(1, 0, "test")
    assert tpu_knobs.seconds(stream, 3.0) == 3.0
    assert all(1 <= tpu_knobs.seconds(stream, (1, 2)) <= 2 for _ in range(100))


def test_a_zone_of_its_own_comes_before_the_star() -> None:
    """So it is with stockouts by zone and quotas by region."""
    knobs = Knobs(stockout={"*": 0.5, "a-1": 0.0}, quota={"*": 8, "a": 0})
    assert (knobs.stockout_chance("a-1"), knobs.stockout_chance("b-1")) == (0.0, 0.5)
    assert (knobs.quota_limit("a"), knobs.quota_limit("b"), Knobs().quota_limit("a")) == (0, 8, None)


def test_a_file_that_is_missing_or_broken_changes_nothing(tmp_path: Path) -> None:
    """The knobs before it stay, and `problem` says what is wrong until it is mended."""
    path = tmp_path / "knobs.json"
    file = KnobFile(path)
    assert not file.changed() and file.knobs == Knobs()
    path.write_text('{"boot_s": 5}')
    assert file.changed() and file.knobs.boot_s == 5
    path.write_text('{"boot_s": "soon"}')
    assert not file.changed() and file.knobs.boot_s == 5 and "boot_s" in file.problem
    path.unlink()
    assert not file.changed() and file.knobs.boot_s == 5


def test_turning_writes_the_file(tmp_path: Path) -> None:
    """Only what was turned is in it; nonsense leaves it as it is."""
    file = KnobFile(tmp_path / "knobs.json")
    file.turn({"boot_s": 5, "stockout": {"*": 1}}, keep=False)
    assert file.changed()
    file.turn({"boot_s": 6}, keep=True)
    assert file.changed() and json.loads((tmp_path / "knobs.json").read_text()) == {
        "boot_s": 6.0,
        "stockout": {"*": 1.0},
    }
    with pytest.raises(ValidationError):
        file.turn({"boot_s": [3, 1]}, keep=True)
    assert not file.changed() and file.knobs.boot_s == 6
