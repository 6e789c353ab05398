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


def test_only_the_problems_that_are_shown_are_cleaned() -> None:
    """A list of a million problems costs no more than its reading."""
    told = health.read(json.dumps({**WELL, "problems": [f"{number}" for number in range(1_000_000)]}))
    assert told.problems == ("0", "1", "2", "3", "4")


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"x"', '{"problems": 3}', '{"name": "x"}', "[" * 100_000])
def test_what_is_no_answer_is_a_problem(text: str) -> None:
    """A machine whose probe said nothing readable is not known to be well."""
    (problem,) = health.read(text).problems
    assert "cannot be read" in problem and len(problem) < 200


def test_hosts_together() -> None:
    """One host is itself; of several the devices add up, and each problem names its host, five at most."""
    one, sick = health.read(json.dumps(WELL)), health.Health({"devices": "3"}, ("one is lost",) * 3)
    assert health.together([one]) == one
    both = health.together([one, sick, sick])
    assert both.facts == {"devices": "14", "name": "NVIDIA H100", "driver": "570.1"}
    assert both.problems == ("w1: one is lost",) * 3 + ("w2: one is lost",) * 2


@pytest.mark.parametrize("devices", ["", "many", "-1", "1.5"])
def test_a_count_that_is_none_is_not_added(devices: str) -> None:
    """What a host says is hostile text: a number that is none leaves the first host's word."""
    hosts = [health.Health({"devices": "4"}), health.Health({"devices": devices})]
    assert health.together(hosts).facts == {"devices": "4"}
