"""Workflow runs that wait in GitHub's queue: which of them waited too long."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowRun:
    """A run of a workflow; `pull_requests` are the numbers that GitHub tells (none for forks).

    When its newest attempt began and when it last changed are seconds since 1970; 0: not told.
    """

    id: int
    workflow: str
    attempt: int
    status: str
    url: str
    pull_requests: tuple[int, ...] = ()
    started_at: float = 0.0
    updated_at: float = 0.0

    @property
    def over(self) -> bool:
        """True once it is completed."""
        return self.status == "completed"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowJob:
    """A job of a run's newest attempt: its status in GitHub's words, and since when it exists (seconds since 1970)."""

    name: str
    status: str
    created_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What to do with a run and why: `overdue` ones are cancelled."""

    overdue: bool
    why: str


def judge(jobs: Sequence[WorkflowJob], *, limit_s: float, now: float) -> Finding:
    """Overdue when a job has been queued for longer than `limit_s` and no job of the run is in progress."""
    if not jobs:
        return Finding(overdue=False, why="it has no jobs yet")
    running = [job.name for job in jobs if job.status == "in_progress"]
    if running:
        return Finding(overdue=False, why=f"{running[0]} is in progress")
    waiting = [job for job in jobs if job.status == "queued"]
    if not waiting:
        return Finding(overdue=False, why="no job is queued")
    oldest = min(waiting, key=lambda job: job.created_at)
    waited = now - oldest.created_at
    found = f"{oldest.name} has been queued for {waited / 60:.0f} minutes"
    return Finding(overdue=waited > limit_s, why=found)
