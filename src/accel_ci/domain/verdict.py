"""The verdict: one word for how a run ended, decided from positive evidence only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from accel_ci.domain import errors

END_RECORD_VERSION = 1


class Verdict(StrEnum):
    """How a run ended. Only `passed` is a pass; a missing proof is `infra-error`."""

    PASSED = "passed"
    FAILED = "failed"
    TIMED_OUT = "timed-out"
    CONFLICT = "conflict"
    CANCELLED = "cancelled"
    PREEMPTED = "preempted"
    NO_CAPACITY = "no-capacity"
    QUOTA = "quota"
    BOOT_FAILED = "boot-failed"
    INFRA_ERROR = "infra-error"

    @property
    def is_infrastructure(self) -> bool:
        """True when the tested code is not to blame: retried in the job, and shown grey."""
        return self in INFRASTRUCTURE


INFRASTRUCTURE = frozenset(
    {Verdict.PREEMPTED, Verdict.NO_CAPACITY, Verdict.QUOTA, Verdict.BOOT_FAILED, Verdict.INFRA_ERROR}
)
WORST_FIRST = (
    Verdict.PREEMPTED,  # a lost worker makes its siblings fail: the cause outranks the effect
    Verdict.BOOT_FAILED,
    Verdict.FAILED,
    Verdict.TIMED_OUT,
    Verdict.CONFLICT,
    Verdict.INFRA_ERROR,
    Verdict.QUOTA,
    Verdict.NO_CAPACITY,
    Verdict.CANCELLED,  # the siblings of a failing worker are ended politely
    Verdict.PASSED,
)


class Reason(StrEnum):
    """Why the supervisor wrote its end record."""

    EXITED = "exited"
    TIMED_OUT = "timed-out"
    CANCELLED = "cancelled"
    UNATTENDED = "unattended"
    LEASE_EXPIRED = "lease-expired"
    NOT_STARTED = "not-started"


@dataclass(frozen=True, slots=True, kw_only=True)
class EndRecord:
    """The supervisor's own statement that a phase ended on one worker. Times are seconds since 1970 on that worker."""

    key: str
    nonce: str
    phase: str
    reason: Reason
    exit_code: int | None
    signal: int | None = None
    started_at: float = 0.0
    ended_at: float = 0.0
    output_bytes: int = 0
    output_dropped_bytes: int = 0
    peak_memory_bytes: int = 0
    detail: str = ""


def end_record(document: Mapping[str, object]) -> EndRecord | None:
    """The end record that a machine's JSON states, or None when it is not exactly one of ours."""
    forms = (("key nonce phase detail", _is_text), ("started_at ended_at", _is_time), (_BYTE_COUNTS, _is_count))
    if not all(form(document.get(name)) for names, form in forms for name in names.split()):
        return None
    version, reason = document.get("version"), document.get("reason")
    if (
        isinstance(version, bool)
        or version != END_RECORD_VERSION
        or not isinstance(reason, str)
        or reason not in tuple(Reason)
    ):
        return None
    if not all(document.get(name) is None or _is_count(document.get(name)) for name in ("exit_code", "signal")):
        return None
    fields = {name: value for name, value in document.items() if name in EndRecord.__slots__}
    return EndRecord(**fields | {"reason": Reason(reason)})  # type: ignore[arg-type]


def of_worker(record: EndRecord | None, *, key: str, nonce: str, phase: str) -> Verdict:
    """The verdict of one worker's phase: `passed` needs a record bound to this key, nonce and phase with exit code 0."""
    if record is None or (record.key, record.nonce, record.phase) != (key, nonce, phase):
        return Verdict.INFRA_ERROR
    match record.reason:
        case Reason.EXITED if record.signal is None and record.exit_code == 0:
            return Verdict.PASSED
        case Reason.EXITED:
            return Verdict.FAILED
        case Reason.TIMED_OUT | Reason.LEASE_EXPIRED:
            return Verdict.TIMED_OUT
        case Reason.CANCELLED:
            return Verdict.CANCELLED
        case _:
            return Verdict.INFRA_ERROR


def worst(verdicts: Sequence[Verdict]) -> Verdict:
    """The verdict of the whole: the worst of its parts; nothing at all is `infra-error`."""
    return min(verdicts, key=WORST_FIRST.index, default=Verdict.INFRA_ERROR)


def of_error(error: errors.AccelError) -> Verdict:
    """The verdict of a run that this error ended."""
    for kind, verdict in _OF_ERRORS.items():
        if isinstance(error, kind):
            return verdict
    return Verdict.INFRA_ERROR


_OF_ERRORS: dict[type[errors.AccelError], Verdict] = {
    errors.NoCapacityError: Verdict.NO_CAPACITY,
    errors.QuotaError: Verdict.QUOTA,
    errors.BootError: Verdict.BOOT_FAILED,
    errors.CancelledError: Verdict.CANCELLED,
}


class OnInfrastructure(StrEnum):
    """What the job does when the infrastructure, not the code, failed."""

    FAIL = "fail"
    TOLERATE = "tolerate"


def exit_code(verdict: Verdict, policy: OnInfrastructure = OnInfrastructure.FAIL) -> int:
    """The process's exit code for a verdict: 0 passed, 1 failed, 2 conflict, 4 timed out, 130 cancelled, 3 infrastructure.

    Under `tolerate` an infrastructure verdict ends the job green (0); the check stays grey and blocking.
    """
    if verdict.is_infrastructure:
        return 0 if policy is OnInfrastructure.TOLERATE else 3
    return _CODES[verdict]


_CODES = {
    Verdict.PASSED: 0,
    Verdict.FAILED: 1,
    Verdict.CONFLICT: 2,  # nothing ran: as for any other request that cannot be met as it is
    Verdict.TIMED_OUT: 4,
    Verdict.CANCELLED: 130,
}
_BYTE_COUNTS = "output_bytes output_dropped_bytes peak_memory_bytes"


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e15


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 63
