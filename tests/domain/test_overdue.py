"""Which machines the sweeper may end."""

from __future__ import annotations

import pytest

from accel_ci.domain import overdue
from accel_ci.domain.lease import Lease
from accel_ci.domain.queued import WorkflowRun
from accel_ci.domain.runkey import RunKey

KEY = RunKey(repository_id=4711, repository="org/hello", run_id=77, attempt=2, job="tpu")
LABELS = Lease(key=KEY, expires_at=10_000).labels()
GRACE = 3600.0


def _run(
    status: str = "completed", *, attempt: int = 2, started: float = 1000.0, updated: float = 2000.0
) -> WorkflowRun:
    return WorkflowRun(
        id=77, workflow="t.yml", attempt=attempt, status=status, url="u", started_at=started, updated_at=updated
    )


@pytest.mark.parametrize(("now", "ends"), [(9_999, False), (10_001, False), (13_600, False), (13_601, True)])
def test_expiry_and_grace_decide_when_nobody_knows_the_run(now: float, ends: bool) -> None:
    """One second past expiry plus grace is the first moment at which a machine may end."""
    finding = overdue.judge(LABELS, now=now, grace_s=GRACE)
    assert finding.overdue is ends
    assert "its lease" in finding.why


@pytest.mark.parametrize(
    ("run", "ends"),
    [
        (_run(), True),
        (_run(updated=5000.0), False),
        (_run("in_progress"), False),
        (_run("in_progress", attempt=3, started=2000.0), True),
        (_run("in_progress", attempt=3, started=5000.0), False),
        (_run(attempt=1), False),
        (_run(updated=0.0), False),
    ],
)
def test_a_run_that_is_over_for_longer_than_the_grace(run: WorkflowRun, ends: bool) -> None:
    """A machine of an attempt that ended long ago may go before its expiry; what GitHub does not say proves nothing."""
    assert overdue.judge(LABELS, now=6000.0, grace_s=GRACE, run=run).overdue is ends


def test_what_somebody_keeps_stays() -> None:
    """keep-until in the future outweighs everything; once it is past, it only moved the expiry."""
    kept = {**LABELS, "accel-ci-keep-until": "50000"}
    assert "keep-until" in overdue.judge(kept, now=40_000, grace_s=GRACE, run=_run()).why
    assert not overdue.judge(kept, now=40_000, grace_s=GRACE, run=_run()).overdue
    assert not overdue.judge(kept, now=53_000, grace_s=GRACE).overdue
    assert overdue.judge(kept, now=53_601, grace_s=GRACE).overdue


@pytest.mark.parametrize("expiry", ["", "soon", "-1", "0", "９９"])
def test_without_an_expiry_only_the_run_decides(expiry: str) -> None:
    """A machine whose expiry is lost or nonsense is never old enough by itself."""
    labels = {**LABELS, "accel-ci-expires": expiry}
    assert not overdue.judge(labels, now=1e12, grace_s=GRACE).overdue
    assert overdue.judge(labels, now=1e12, grace_s=GRACE, run=_run()).overdue


def test_lost_labels_name_no_run() -> None:
    """Without labels no run is asked for, and no attempt is over."""
    assert (overdue.run_id({}), overdue.attempt({})) == (0, 0)
    assert overdue.over_since(_run(), attempt=0) == float("inf")
