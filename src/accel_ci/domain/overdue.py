"""Which machines outlived their lease: the only ones that the sweeper may end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from accel_ci.domain import lease
from accel_ci.domain.queued import WorkflowRun


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What the sweeper does with a machine and why: `overdue` ones end."""

    overdue: bool
    why: str


def judge(labels: Mapping[str, str], *, now: float, grace_s: float, run: WorkflowRun | None = None) -> Finding:
    """Overdue past expiry and grace, or when the run that leased it has been over for the grace; None: nobody knows.

    The expiry was fixed before the machine existed, and every limit of a run ends before it: no live run can be hit.
    """
    if lease.kept(labels, now=now):
        return Finding(overdue=False, why="somebody keeps it (accel-ci-keep-until)")
    expiry = lease.expires_at(labels)
    if expiry is not None and expiry + grace_s < now:
        return Finding(overdue=True, why=f"its lease ended {_minutes(now - expiry)} ago")
    # A run that is over needs no machine, however long its lease still goes on.
    if run is not None and over_since(run, attempt=attempt(labels)) + grace_s < now:
        return Finding(
            overdue=True, why=f"attempt {attempt(labels)} of run {run.id} has been over for longer than the grace"
        )
    if expiry is None:
        return Finding(overdue=False, why="it has no expiry, and its run may go on")
    if expiry < now:
        return Finding(overdue=False, why=f"its lease ended {_minutes(now - expiry)} ago, which is within the grace")
    return Finding(overdue=False, why=f"its lease goes on for {_minutes(expiry - now)}")


def over_since(run: WorkflowRun, *, attempt: int) -> float:
    """Since when this attempt of the run is over (seconds since 1970); infinity while it may go on, or nobody knows.

    A run is re-run only once it is over: when a later attempt began, an earlier one had ended.
    """
    if not run.updated_at or attempt <= 0 or attempt > run.attempt:
        return float("inf")
    if attempt < run.attempt:
        return run.started_at or float("inf")
    return run.updated_at if run.over else float("inf")


def run_id(labels: Mapping[str, str]) -> int:
    """The run that leased it; 0 when the labels do not say."""
    return _number(labels.get("accel-ci-run", ""))


def attempt(labels: Mapping[str, str]) -> int:
    """The run's attempt that leased it; 0 when the labels do not say."""
    return _number(labels.get("accel-ci-attempt", ""))


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} minutes"


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else 0
