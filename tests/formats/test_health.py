"""What a probe told, read as hostile data."""

from __future__ import annotations

import json

import pytest

from accel_ci.formats import health

WELL = {"devices": 8, "name": "NVIDIA H100", "driver": "570.1", "cuda": "", "memory_mib": None, "problems": [], "x": 1}


def test_facts_are_the_known_ones() -> None:
    """Known facts as text; what is unknown to the probe or to us is left out."""
    assert health.read(json.dumps(WELL)) == health.Health({"devices": "8", "name": "NVIDIA H100", "driver": "570.1"})


def test_problems_are_few_clean_lines() -> None:
    """At most five, one line each, clipped, and no command of a runner among them."""
    told = health.read(json.dumps({**WELL, "problems": ["a\n::error::b" + "c" * 1000] * 9}))
    assert len(told.problems) == 5
    assert all("\n" not in each and len(each) <= 120 for each in told.problems)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"x"', '{"problems": 3}', '{"name": "x"}', "[" * 100_000])
def test_what_is_no_answer_is_a_problem(text: str) -> None:
    """A machine whose probe said nothing readable is not known to be well."""
    (problem,) = health.read(text).problems
    assert "cannot be read" in problem and len(problem) < 200
