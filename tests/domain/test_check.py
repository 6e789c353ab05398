"""Checks: what branch protection makes of them."""

from __future__ import annotations

import pytest

from accel_ci.domain import check
from accel_ci.domain.check import Conclusion
from accel_ci.domain.verdict import Verdict


def test_only_a_pass_satisfies_branch_protection() -> None:
    """No verdict but `passed` ends in a conclusion that GitHub lets through."""
    lets_through = {"success", "neutral", "skipped"}
    assert {verdict for verdict in Verdict if check.conclusion(verdict).value in lets_through} == {Verdict.PASSED}


def test_infrastructure_is_grey() -> None:
    """What is not the code's fault is `cancelled`."""
    assert {check.conclusion(verdict) for verdict in Verdict if verdict.is_infrastructure} == {Conclusion.CANCELLED}


@pytest.mark.parametrize(
    ("parts", "whole"),
    [
        ([], None),
        ([Conclusion.SUCCESS, None], None),
        ([Conclusion.FAILURE, None], None),
        ([Conclusion.SUCCESS] * 2, Conclusion.SUCCESS),
        ([Conclusion.SUCCESS, Conclusion.CANCELLED], Conclusion.CANCELLED),
        ([Conclusion.CANCELLED, Conclusion.TIMED_OUT, Conclusion.FAILURE], Conclusion.FAILURE),
    ],
)
def test_the_whole_is_as_bad_as_its_worst_part(parts: list[Conclusion | None], whole: Conclusion | None) -> None:
    """A pending part keeps the whole pending; then the worst decides."""
    assert check.worst(parts) is whole
