"""Which waiting run waited too long."""

from __future__ import annotations

import pytest

from accel_ci.domain import queued
from accel_ci.domain.queued import WorkflowJob


def _jobs(*told: tuple[str, float]) -> list[WorkflowJob]:
    return [
        WorkflowJob(name=f"job{place}", status=status, created_at=since) for place, (status, since) in enumerate(told)
    ]


@pytest.mark.parametrize(
    ("jobs", "overdue", "why"),
    [
        ((), False, "it has no jobs yet"),
        ((("queued", 0.0),), True, "job0 has been queued for 100 minutes"),
        ((("queued", 2400.0),), False, "job0 has been queued for 60 minutes"),
        ((("queued", 2399.0),), True, "job0 has been queued for 60 minutes"),
        ((("queued", 5000.0), ("queued", 0.0)), True, "job1 has been queued"),
        ((("queued", 0.0), ("in_progress", 0.0)), False, "job1 is in progress"),
        ((("completed", 0.0), ("waiting", 0.0)), False, "no job is queued"),
    ],
)
def test_judge(jobs: tuple[tuple[str, float], ...], overdue: bool, why: str) -> None:
    """Only a job in the queue counts, only beyond the limit, and only when nothing of the run works."""
    found = queued.judge(_jobs(*jobs), limit_s=3600, now=6000.0)
    assert found.overdue is overdue and found.why.startswith(why)
