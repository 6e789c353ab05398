"""Attribute conditions, as Google's guide and GitHub's write them."""

from __future__ import annotations

import pytest

from accel_ci_sim.world import conditions
from accel_ci_sim.world.conditions import ConditionError

CLAIMS = {
    "repository_id": "4711",
    "repository": "org/hello",
    "ref": "refs/heads/main",
    "event_name": "schedule",
    "job_workflow_ref": "org/accel-ci/.github/workflows/test.yml@v1",
}


@pytest.mark.parametrize(
    "condition",
    [
        "",
        "assertion.repository_id == '4711'",
        'assertion.repository_id=="4711"&&assertion.ref == "refs/heads/main"',
        "assertion.event_name in ['push', 'schedule']",
        "assertion.repository_id == '1' || assertion.repository_id == '4711'",
        "!(assertion.ref == 'refs/heads/x') && assertion.ref != 'refs/heads/y'",
        "assertion.job_workflow_ref.startsWith('org/accel-ci/')",
        "assertion.ref.endsWith('/main') && assertion.repository.contains('/')",
    ],
)
def test_conditions_that_hold(condition: str) -> None:
    """Each lets the job in."""
    assert conditions.holds(condition, CLAIMS)


@pytest.mark.parametrize(
    "condition",
    [
        "assertion.repository_id == '47110'",
        "assertion.repository_id == '4711' && assertion.ref == 'refs/heads/evil'",
        "assertion.event_name in []",
        "!assertion.ref.startsWith('refs/')",
        "assertion.ref == 'refs/heads/main' && (assertion.ref == 'x' || assertion.ref == 'y')",
    ],
)
def test_conditions_that_do_not(condition: str) -> None:
    """Each keeps it out."""
    assert not conditions.holds(condition, CLAIMS)


@pytest.mark.parametrize(
    "condition",
    [
        "assertion.repository_id",
        "assertion.environment == 'ci'",
        "assertion.ref == 'a' assertion.ref == 'b'",
        "attribute.ref == 'a'",
        "assertion.ref ==",
        "(assertion.ref == 'a'",
        "assertion.ref.matches('a')",
        "assertion.ref.startsWith 'a'",
        "assertion.ref = 'a'",
    ],
)
def test_what_is_no_condition(condition: str) -> None:
    """A claim that the token lacks, and text that cannot be read, let nobody in."""
    with pytest.raises(ConditionError):
        conditions.holds(condition, CLAIMS)


def test_a_mapping_makes_a_text() -> None:
    """Claims and texts joined, as google.subject is mapped in the guide."""
    assert conditions.text('assertion.repository_id+"/"+assertion.ref', CLAIMS) == "4711/refs/heads/main"
    assert conditions.text("assertion.repository_id", CLAIMS) == "4711"
    for wrong in ("assertion.ref == 'a'", "assertion.ref + ['a']", "assertion.sub", "assertion.ref 'a'"):
        with pytest.raises(ConditionError):
            conditions.text(wrong, CLAIMS)
