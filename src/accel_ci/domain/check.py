"""Check runs: what a pull request's merge box shows, and may require."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from accel_ci.domain.verdict import Verdict

NAME = "accel-ci"


class Conclusion(StrEnum):
    """How a check ends. `neutral` and `skipped` are absent on purpose: both satisfy branch protection."""

    SUCCESS = "success"
    FAILURE = "failure"
    TIMED_OUT = "timed_out"
    ACTION_REQUIRED = "action_required"
    CANCELLED = "cancelled"


# A failed test outranks a cloud that failed elsewhere in the matrix: the former is known to be the code's.
WORST_FIRST = (
    Conclusion.FAILURE,
    Conclusion.TIMED_OUT,
    Conclusion.ACTION_REQUIRED,
    Conclusion.CANCELLED,
    Conclusion.SUCCESS,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check run; `conclusion` is None while it is pending. `external_id` says which run and attempt wrote it."""

    sha: str
    name: str
    external_id: str
    conclusion: Conclusion | None = None
    title: str
    summary: str = ""
    text: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """An issue of ours."""

    number: int
    body: str


def external_id(run_id: int, attempt: int) -> str:
    """What marks a check as this attempt's. A new attempt makes a new check, and GitHub counts the newest of a name."""
    return f"{of_run(run_id)}{attempt}"


def of_run(run_id: int) -> str:
    """What the external ids of all attempts of a run begin with."""
    return f"accel-ci:{run_id}:"


def run_of(check: Check) -> int | None:
    """The run that wrote the check; None when it is not one of ours."""
    # Every workflow of the repository writes as the same app: only the mark tells which checks are ours.
    found = re.fullmatch(r"accel-ci:([0-9]{1,20}):[0-9]{1,9}", check.external_id)
    return int(found[1]) if found else None


def conclusion(given: Verdict) -> Conclusion:
    """How a run's check ends: grey and blocking (`cancelled`) when not the code but the infrastructure failed.

    Who has to merge is asked to act, in GitHub's own words.
    """
    return _OF_VERDICTS.get(given, Conclusion.CANCELLED)


_OF_VERDICTS = {
    Verdict.PASSED: Conclusion.SUCCESS,
    Verdict.FAILED: Conclusion.FAILURE,
    Verdict.TIMED_OUT: Conclusion.TIMED_OUT,
    Verdict.CONFLICT: Conclusion.ACTION_REQUIRED,
}


def worst(conclusions: Sequence[Conclusion | None]) -> Conclusion | None:
    """The conclusion of the whole; None while a part is pending or there is none."""
    if not conclusions or None in conclusions:
        return None
    return min(filter(None, conclusions), key=WORST_FIRST.index)


def instance_name(name: str, instance: str) -> str:
    """The name of a matrix instance's own check: `accel-ci (v6e-1, 3.12)`; the index where values are none."""
    if not instance:
        return name
    matrix, index = json.loads(instance)
    values = ", ".join(str(value) for value in matrix.values() if isinstance(value, str | int | float)) or f"#{index}"
    return f"{name} ({values[:80]})"
