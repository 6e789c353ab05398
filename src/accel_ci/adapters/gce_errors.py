"""What Compute Engine says when it says no, in our own terms. Capacity and quota are told by operations, not by calls."""

from __future__ import annotations

import re
from collections.abc import Mapping
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


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error of the API: its code (ZONE_RESOURCE_POOL_EXHAUSTED, notFound), its message, the reasons in its details,

    and the HTTP status, 0 where there is none.
    """

    code: str
    message: str
    details: str = ""
    status: int = 0


class _Rule(NamedTuple):
    text: str
    kind: type[AccelError]
    fix: str


# The first rule that fits "code message details" decides. Sources: the REST reference, and the threads named in the facts
# about the API: nethermind's gcp-runner, SkyPilot, dstack.
_RULES = (
    _Rule(r"RATE_EXCEEDED|rateLimitExceeded|RATE_LIMIT|per minute", TransientError, google_refusals.WAIT),
    _Rule(
        r"RESOURCE_POOL_EXHAUSTED|resource_availability|insufficientCapacity|stockout|not have enough resources",
        NoCapacityError,
        google_refusals.ANOTHER_ZONE,
    ),
    _Rule(r"was preempted|being preempted|PREEMPTED", NoCapacityError, google_refusals.NOT_TAKEN_AWAY),
    _Rule(r"quotaExceeded|QUOTA_EXCEEDED|\bquota\b.*exceeded", QuotaError, google_refusals.MORE_QUOTA),
    _Rule(r"reservation", NoCapacityError, google_refusals.UNRESERVED),
    _Rule(google_refusals.CLOSED, google_refusals.ClosedZoneError, google_refusals.CLOSED_ZONE),
    _Rule(
        r"accessNotConfigured|SERVICE_DISABLED|has not been used in project|is disabled",
        AccessError,
        "gcloud services enable compute.googleapis.com",
    ),
    _Rule(
        r"forbidden|PERMISSION|required '|UNAUTHENTICATED|authError|unauthorized",
        AccessError,
        "give the identity the role of docs/google-cloud.md",
    ),
    _Rule(
        r"diskTypes/[^ ]+' was not found",
        NoCapacityError,
        "the zone has no such disks: set the option `disk-type`, or name other zones",
    ),
    _Rule(
        r"machine type with name|(machineTypes|acceleratorTypes|zones)/[^ ]+' was not found|does not exist in zone",
        NoCapacityError,
        "the zone does not have it: name others, see `accel-ci accelerators`",
    ),
    _Rule(
        r"projects/(?P<project>[a-z0-9.:-]+)/global/images/[^ ]+' was not found|image.*is deprecated",
        ConfigurationError,
        "set the option `image`; see which there are: gcloud compute images list --project={project}"
        " --no-standard-images --format='value(family)'",
    ),
    _Rule(
        r"not compatible for creating instance|disk type.*(not supported|cannot be used)",
        ConfigurationError,
        "set the option `disk-type`, such as hyperdisk-balanced or pd-balanced; see docs/google-cloud.md",
    ),
    # 412 stands for two things: somebody changed it since we read it, and a policy of the organisation.
    _Rule(r"fingerprint", TransientError, "ask again in a few seconds"),
    _Rule(
        r"constraints/compute\.",
        ConfigurationError,
        "a policy of the organisation forbids it: `external-ips=false` or `secure-boot=true` may satisfy it",
    ),
    _Rule(r"notReady|NOT_READY|resourceInUse|IN_USE_BY_ANOTHER", TransientError, "ask again in a few seconds"),
    _Rule(r"^(invalid|required|badRequest|INVALID|UNSUPPORTED|notFound|RESOURCE_NOT_FOUND|conditionNotMet)",
          ConfigurationError, "see docs/google-cloud.md for what can be set"),
    _Rule(r"backendError|internalError|INTERNAL|UNAVAILABLE|TIMEOUT|CANCELLED", TransientError, google_refusals.AGAIN),
)  # fmt: skip
# GPUS_ALL_REGIONS: another region would meet the same limit.
_EVERYWHERE = re.compile(r"ALL_REGIONS|\bglobally\b", re.IGNORECASE)


def classed(refusal: Refusal) -> AccelError:
    """The error for a call that was refused; a TransientError may have worked all the same."""
    text = f"{refusal.code} {refusal.message} {refusal.details}"
    for rule in _RULES:
        if found := re.search(rule.text, text, re.IGNORECASE):
            return _error(rule, refusal, found.groupdict(default="PROJECT"))
    if refusal.status >= 500 or refusal.status in (408, 429):
        return TransientError(_said(refusal), what_to_do=google_refusals.AGAIN)
    return CloudError(_said(refusal))


def of_operation(refusal: Refusal) -> AccelError:
    """The error for an operation that ended badly: it is over for certain, so what would be transient is a failed boot."""
    return google_refusals.for_good(classed(refusal))


def of_call(error: Any) -> Refusal:
    """What a google.api_core GoogleAPICallError says: the reason is in the body, not in its class."""
    document = google_refusals.document(error)
    first = next((each for each in document.get("errors") or () if isinstance(each, dict)), {})
    status = int(error.code or 0)
    # Google's older APIs put the word for it into errors[0].reason, the newer ones into status.
    code = str(first.get("reason") or document.get("status") or _BY_STATUS.get(status, "unknown"))
    message = str(document.get("message") or error.message)
    return Refusal(code, message, _reasons(document.get("details")), status)


def of_failed(operation: Any) -> Refusal | None:
    """Why the library's Operation failed; None when it did not, or is not over."""
    first = next(iter(operation.error.errors), None)
    if first is None and not operation.http_error_status_code:
        return None
    if first is None:
        return Refusal("unknown", operation.http_error_message, status=operation.http_error_status_code)
    reasons = " ".join(detail.error_info.reason for detail in first.error_details)
    return Refusal(first.code, first.message, reasons, operation.http_error_status_code)


_BY_STATUS = {401: "authError", 403: "forbidden", 404: "notFound", 409: "alreadyExists", 429: "rateLimitExceeded"}


def _error(rule: _Rule, refusal: Refusal, named: Mapping[str, str]) -> AccelError:
    fix = rule.fix.format(**named)
    if rule.kind is QuotaError:
        everywhere = _EVERYWHERE.search(refusal.message) is not None
        return QuotaError(_said(refusal), what_to_do=fix, everywhere=everywhere)
    return rule.kind(_said(refusal), what_to_do=fix)


def _reasons(details: Any) -> str:
    found = [detail for detail in details or () if isinstance(detail, dict)]
    return " ".join(str(detail.get("reason", "")) for detail in found)


def _said(refusal: Refusal) -> str:
    return google_refusals.said(refusal.code, refusal.message)
