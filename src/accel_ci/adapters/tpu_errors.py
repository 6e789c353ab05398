"""What the Cloud TPU API says when it says no, in our own terms: stockout and quota share a code, only the text differs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from accel_ci.adapters import google_refusals
from accel_ci.domain.errors import (
    AccelError,
    AccessError,
    CloudError,
    ConfigurationError,
    NoCapacityError,
    QuotaError,
    TransientError,
)

STATUSES = {
    1: "CANCELLED",
    2: "UNKNOWN",
    3: "INVALID_ARGUMENT",
    4: "DEADLINE_EXCEEDED",
    5: "NOT_FOUND",
    6: "ALREADY_EXISTS",
    7: "PERMISSION_DENIED",
    8: "RESOURCE_EXHAUSTED",
    9: "FAILED_PRECONDITION",
    10: "ABORTED",
    11: "OUT_OF_RANGE",
    12: "UNIMPLEMENTED",
    13: "INTERNAL",
    14: "UNAVAILABLE",
    16: "UNAUTHENTICATED",
}
# For answers without a body of Google's, such as a proxy's.
HTTP = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    409: "ALREADY_EXISTS",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error of the API: its status (such as RESOURCE_EXHAUSTED), its message, the types and reasons of its details."""

    status: str
    message: str
    details: str = ""


class _Rule(NamedTuple):
    statuses: str
    text: str
    kind: type[AccelError]
    fix: str


# The first rule that fits decides. Sources: facts about the API, and the threads of SkyPilot, dstack and others named there.
_RULES = (
    _Rule("RESOURCE_EXHAUSTED", r"per (minute|second|\d+ seconds)|RATE_LIMIT", TransientError, google_refusals.WAIT),
    _Rule("", r"in state PREEMPTED|was preempted", NoCapacityError, google_refusals.NOT_TAKEN_AWAY),
    # One code for stockout and quota: the detail decides, before any word of the text does.
    _Rule("RESOURCE_EXHAUSTED", r"QuotaFailure|QUOTA_EXCEEDED", QuotaError, google_refusals.MORE_QUOTA),
    _Rule("RESOURCE_EXHAUSTED FAILED_PRECONDITION", r"reserv", NoCapacityError, google_refusals.UNRESERVED),
    _Rule("RESOURCE_EXHAUSTED", r"capacity", NoCapacityError, google_refusals.ANOTHER_ZONE),
    _Rule("RESOURCE_EXHAUSTED", r"quota", QuotaError, google_refusals.MORE_QUOTA),
    # Without a word: another zone may have one, and costs a second to ask.
    _Rule("RESOURCE_EXHAUSTED", "", NoCapacityError, google_refusals.ANOTHER_ZONE),
    _Rule(
        "NOT_FOUND PERMISSION_DENIED INVALID_ARGUMENT",
        google_refusals.CLOSED,
        google_refusals.ClosedZoneError,
        google_refusals.CLOSED_ZONE,
    ),
    _Rule(
        "PERMISSION_DENIED",
        r"SERVICE_DISABLED|has not been used|is disabled",
        AccessError,
        "gcloud services enable tpu.googleapis.com",
    ),
    _Rule(
        "PERMISSION_DENIED UNAUTHENTICATED",
        "",
        AccessError,
        "give the identity the role roles/tpu.admin, and roles/iam.serviceAccountUser on the machine's service account",
    ),
    _Rule(
        "INVALID_ARGUMENT",
        r"unable to complete the operation",
        ConfigurationError,
        "the type and the runtime version may not fit: see `accel-ci accelerators`",
    ),
    _Rule("INVALID_ARGUMENT OUT_OF_RANGE UNIMPLEMENTED", "", ConfigurationError, "see docs/tpu.md for what can be set"),
    _Rule(
        "UNAVAILABLE DEADLINE_EXCEEDED INTERNAL UNKNOWN ABORTED CANCELLED", "", TransientError, google_refusals.AGAIN
    ),
)


def classed(refusal: Refusal) -> AccelError:
    """The error for a call that was refused; a TransientError may have worked all the same."""
    text = f"{refusal.message} {refusal.details}"
    for rule in _RULES:
        if refusal.status in (rule.statuses.split() or [refusal.status]) and re.search(rule.text, text, re.IGNORECASE):
            return rule.kind(_said(refusal), what_to_do=rule.fix)
    return CloudError(_said(refusal))


def of_operation(refusal: Refusal) -> AccelError:
    """The error for an operation that ended badly: it is over for certain, so what would be transient is a failed boot."""
    return google_refusals.for_good(classed(refusal))


def of_call(error: Any) -> Refusal:
    """What a google.api_core GoogleAPICallError says. Its class is not enough: 400 and 409 stand for two statuses each."""
    document = google_refusals.document(error)
    status = document.get("status") or getattr(error.grpc_status_code, "name", None)
    code = int(error.code or 0)
    known = HTTP.get(code) or ("UNAVAILABLE" if code >= 500 else "UNKNOWN")
    return Refusal(str(status or known), str(document.get("message") or error.message), _details(error.details))


def of_status(status: Mapping[str, Any]) -> Refusal:
    """What a google.rpc.Status in JSON says, which is how operations and queued resources fail."""
    code, details = int(status.get("code") or 0), status.get("details") or ()
    return Refusal(STATUSES.get(code, "UNKNOWN"), str(status.get("message") or ""), _details(details))


def _details(details: Iterable[Any]) -> str:
    found = [detail for detail in details or () if isinstance(detail, dict)]
    return " ".join(f"{detail.get('@type', '')} {detail.get('reason', '')}" for detail in found)


def _said(refusal: Refusal) -> str:
    return google_refusals.said(refusal.status, refusal.message)
