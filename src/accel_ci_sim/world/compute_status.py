"""How Compute Engine says no: at once with a Status, or later with a Problem inside an operation that is DONE."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from accel_ci_sim.world.tpu_status import TYPES, Code, RefusedError, Status

DOMAIN = "compute.googleapis.com"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """An error of an operation, with the HTTP status that the operation bears for it."""

    code: str
    message: str
    http: int
    details: tuple[Mapping[str, Any], ...] = ()


def invalid(field: str, given: object, why: str) -> RefusedError:
    """400: the field cannot have that value."""
    # Google prints an absent value as nothing between quotes.
    shown = given if isinstance(given, str) else "" if given is None else repr(given)
    return _refused(Code.INVALID_ARGUMENT, "invalid", f"Invalid value for field '{field}': '{shown}'. {why}")


def bad_request(message: str) -> RefusedError:
    """400: what was asked for cannot be."""
    return _refused(Code.INVALID_ARGUMENT, "badRequest", message)


def required(field: str) -> RefusedError:
    """400: the field is missing."""
    return _refused(Code.INVALID_ARGUMENT, "required", f"Required field '{field}' not specified")


def not_found(path: str) -> RefusedError:
    """404: there is no such resource."""
    return _refused(Code.NOT_FOUND, "notFound", f"The resource '{path}' was not found")


def no_attributes(query: str) -> RefusedError:
    """404: the machine has told nothing of the kind, or may not."""
    return _refused(Code.NOT_FOUND, "notFound", f"The resource '{query}' of type 'Guest Attribute' was not found.")


def already_exists(path: str) -> RefusedError:
    """409: the name is taken."""
    return _refused(Code.ALREADY_EXISTS, "alreadyExists", f"The resource '{path}' already exists")


def not_ready(path: str) -> RefusedError:
    """400: something else is being done to the resource."""
    return _refused(Code.INVALID_ARGUMENT, "resourceNotReady", f"The resource '{path}' is not ready")


def labels_changed() -> RefusedError:
    """412: somebody else changed the labels in the meantime."""
    message = "Labels fingerprint either invalid or resource labels have changed"
    return _refused(Code.FAILED_PRECONDITION, "conditionNotMet", message)


def fingerprint_differs(kind: str) -> RefusedError:
    """412: somebody else changed the metadata or the tags in the meantime."""
    message = f"Supplied fingerprint does not match current {kind} fingerprint."
    return _refused(Code.FAILED_PRECONDITION, "conditionNotMet", message)


def is_protected(path: str) -> RefusedError:
    """400: the instance is protected against deletion."""
    message = f"Resource cannot be deleted if it's protected against deletion. Resource '{path}'"
    return _refused(
        Code.INVALID_ARGUMENT, "invalid", f"Invalid value for field 'resource.deletionProtection': 'true'. {message}"
    )


def closed_zone(project: str, zone: str) -> RefusedError:
    """403: a policy keeps the project out of the zone."""
    message = f"Permission denied on 'locations/{zone}' (or it may not exist)."
    info = {
        "@type": f"{TYPES}ErrorInfo",
        "reason": "LOCATION_POLICY_VIOLATED",
        "domain": "googleapis.com",
        "metadata": {"consumer": f"projects/{project}", "location": zone, "service": DOMAIN},
    }
    return RefusedError(Status(Code.PERMISSION_DENIED, message, (info,), "forbidden"))


def unavailable() -> RefusedError:
    """503: try again."""
    return _refused(Code.UNAVAILABLE, "backendError", "The service is currently unavailable.")


def too_fast(project: str, number: int) -> RefusedError:
    """403: slower, please."""
    limit = "defaultPerMinutePerProject"
    info = {
        "@type": f"{TYPES}ErrorInfo",
        "reason": "RATE_LIMIT_EXCEEDED",
        "domain": "googleapis.com",
        "metadata": {"service": DOMAIN, "consumer": f"projects/{number}", "quota_limit": limit},
    }
    message = (
        f"Quota exceeded for quota metric 'Mutate requests' and limit 'Mutate requests per minute' of service '{DOMAIN}' "
        f"for consumer 'project_number:{number}'."
    )
    return RefusedError(Status(Code.PERMISSION_DENIED, message, (info,), "rateLimitExceeded"))


def over_quota_at_once(problem: Problem) -> RefusedError:
    """403: the same as the Problem, before there is an operation."""
    return _refused(Code.PERMISSION_DENIED, "quotaExceeded", problem.message)


def over_quota(metric: str, limit: int, region: str) -> Problem:
    """The project may not have so many of these in the region; "" for all regions together."""
    # Only the word `globally` tells that another region would not help.
    where = f"in region {region}" if region else "globally"
    name = metric.lower()
    quota = {
        "metricName": f"{DOMAIN}/{name}",
        "limitName": metric.replace("_", "-") + ("-per-project-region" if region else "-per-project"),
        "limit": float(limit),
        "dimensions": {"region": region or "global"},
    }
    return Problem(
        code="QUOTA_EXCEEDED",
        message=f"Quota '{metric}' exceeded.  Limit: {limit}.0 {where}.",
        http=403,
        details=({"quotaInfo": quota},),
    )


def stockout(path: str, machine_type: str, accelerators: Mapping[str, int], elsewhere: Sequence[str] = ()) -> Problem:
    """The zone has none left; `elsewhere` are zones that still have."""
    zone = path.rpartition("/")[2]
    beside = "".join(f" with {count} {name} accelerator(s)" for name, count in accelerators.items())
    advice = "Alternatively, you can"
    if elsewhere:
        advice = (
            f"Consider trying your request in the {', '.join(elsewhere)} zone(s), which currently has capacity to "
            "accommodate your request. Alternatively, you can"
        )
    message = (
        f"A {machine_type} VM instance{beside} is currently unavailable in the {zone} zone. {advice} try your request again "
        "with a different VM hardware configuration or at a later time. For more information, see the troubleshooting "
        "documentation."
    )
    link = {
        "description": "Troubleshooting documentation",
        "url": "https://cloud.google.com/compute/docs/resource-error",
    }
    info = {
        "reason": "resource_availability",
        "domain": DOMAIN,
        "metadatas": {
            "attachment": ",".join(f"{name}:{count}" for name, count in accelerators.items()),
            "vmType": machine_type,
            "zone": zone,
            "zonesAvailable": ",".join(elsewhere),
        },
    }
    # Both codes are in use: with accelerators it ends in _WITH_DETAILS.
    detailed = bool(accelerators)
    kind = " '(resource type:compute)'." if detailed else " Try a different zone, or try again later."
    return Problem(
        code="ZONE_RESOURCE_POOL_EXHAUSTED" + "_WITH_DETAILS" * detailed,
        message=f"The zone '{path}' does not have enough resources available to fulfill the request. {kind}",
        http=503,
        details=(
            {"help": {"links": [link]}},
            {"localizedMessage": {"locale": "en-US", "message": message}},
            {"errorInfo": info},
        ),
    )


def preempted(path: str) -> Problem:
    """The machine was taken away before it ran."""
    return Problem(
        # No word of preemption in the code: it has to be read from the message.
        code="UNSUPPORTED_OPERATION",
        message=f"Instance '{path}' was preempted during its creation.",
        http=400,
    )


def overtaken(path: str) -> Problem:
    """The instance was deleted under the operation."""
    message = f"The resource '{path}' was deleted while the operation was under way."
    return Problem(code="CONFLICT", message=message, http=409)


def _refused(code: Code, reason: str, message: str) -> RefusedError:
    return RefusedError(Status(code, message, reason=reason))
