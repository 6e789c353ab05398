"""The capacity walk: where to look next after a place gave no machine."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from accel_ci.domain import errors
from accel_ci.domain.machine import Candidate


class Next(StrEnum):
    """What a failed try means for the candidates that remain."""

    NEXT_CANDIDATE = "next candidate"
    SKIP_REGION = "skip the region"
    STOP = "stop"


def after(error: errors.AccelError) -> Next:
    """What to do after this error: a full zone or a bad boot tries on, a quota skips its region, anything else stops."""
    if isinstance(error, errors.NoCapacityError | errors.BootError | errors.TransientError):
        return Next.NEXT_CANDIDATE
    if isinstance(error, errors.QuotaError):
        return Next.SKIP_REGION
    return Next.STOP


def remaining(candidates: Sequence[Candidate], *, failed: Candidate, error: errors.AccelError) -> list[Candidate]:
    """The candidates still worth a try after `failed` answered with `error`, in their order."""
    match after(error):
        case Next.STOP:
            return []
        case Next.SKIP_REGION:
            return [each for each in candidates if not _same_quota(each, failed)]
        case _:
            return list(candidates)


def outcome(error: errors.AccelError) -> str:
    """One word for the record: no-capacity, quota, access, boot-failed, transient, cancelled or error."""
    return next((word for kind, word in _WORDS if isinstance(error, kind)), "error")


def region(zone: str) -> str:
    """The region of a zone: us-central1-b lies in us-central1."""
    return zone.rsplit("-", 1)[0]


def _same_quota(one: Candidate, other: Candidate) -> bool:
    return region(one.zone) == region(other.zone) and one.spot == other.spot


_WORDS = (
    (errors.NoCapacityError, "no-capacity"),
    (errors.QuotaError, "quota"),
    (errors.AccessError, "access"),
    (errors.BootError, "boot-failed"),
    (errors.TransientError, "transient"),
    (errors.CancelledError, "cancelled"),
    (errors.ConfigurationError, "configuration"),
)
