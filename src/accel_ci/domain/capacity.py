"""The capacity walk: where to look next after a place gave no machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum

from accel_ci.domain import errors
from accel_ci.domain.machine import Candidate
from accel_ci.domain.record import Try


class Next(StrEnum):
    """What a failed try means for the candidates that remain."""

    NEXT_CANDIDATE = "next candidate"
    SKIP_REGION = "skip the region"
    SKIP_BACKEND = "skip the backend"
    STOP = "stop"


def after(error: errors.AccelError) -> Next:
    """What to do after this error: a full zone or a bad boot tries on, a quota skips its region, a global one or a closed

    door skips the backend, and anything else stops.
    """
    if isinstance(error, errors.NoCapacityError | errors.BootError | errors.TransientError):
        return Next.NEXT_CANDIDATE
    if isinstance(error, errors.QuotaError):
        # Google counts quota by region: its other zones would say the same.
        return Next.SKIP_BACKEND if error.everywhere else Next.SKIP_REGION
    if isinstance(error, errors.AccessError):
        return Next.SKIP_BACKEND
    return Next.STOP


def remaining(candidates: Sequence[Candidate], *, failed: Candidate, error: errors.AccelError) -> list[Candidate]:
    """The candidates still worth a try after `failed` answered with `error`, in their order."""
    match after(error):
        case Next.STOP:
            return []
        case Next.SKIP_REGION:
            return [each for each in candidates if not _same_quota(each, failed)]
        case Next.SKIP_BACKEND:
            return [each for each in candidates if each.backend != failed.backend]
        case _:
            return list(candidates)


def resumed(candidates: Sequence[Candidate], tried: Sequence[Try]) -> list[Candidate]:
    """The candidates that a walk goes on with which a crashed client began: without those it had an answer from."""
    left = list(candidates)
    for each in tried:
        failed = Candidate(zone=each.zone, spot=each.spot, backend=each.backend)
        left = [one for one in left if replace(one, dollars_per_hour=None) != failed]
        # The record keeps words, no errors: whether the quota was one of all regions is not known any more.
        if each.outcome == outcome(errors.QuotaError("")):
            left = [one for one in left if not _same_quota(one, failed)]
    return left


def replacement(error: errors.AccelError, *, failed: Candidate, tried: int) -> list[Candidate]:
    """The same place once more when its first and only machine was not well: a bad one says little of the next."""
    return [failed] if isinstance(error, errors.UnhealthyError) and tried == 1 else []


def outcome(error: errors.AccelError) -> str:
    """One word for the record: no-capacity, quota, access, boot-failed, transient, cancelled or error."""
    return next((word for kind, word in _WORDS if isinstance(error, kind)), "error")


def region(zone: str) -> str:
    """The region of a zone: us-central1-b lies in us-central1."""
    return zone.rsplit("-", 1)[0]


def _same_quota(one: Candidate, other: Candidate) -> bool:
    # The Cloud TPU API and Compute Engine count the same chips in quotas of their own.
    return region(one.zone) == region(other.zone) and one.spot == other.spot and one.backend == other.backend


_WORDS = (
    (errors.NoCapacityError, "no-capacity"),
    (errors.QuotaError, "quota"),
    (errors.AccessError, "access"),
    (errors.BootError, "boot-failed"),
    (errors.TransientError, "transient"),
    (errors.CancelledError, "cancelled"),
    (errors.ConfigurationError, "configuration"),
)
