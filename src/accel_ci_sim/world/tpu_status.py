"""How the Cloud TPU API says no: google.rpc.Status values, with the texts that real clients were seen to receive."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

TYPES = "type.googleapis.com/google.rpc."
SERVICE = "tpu.googleapis.com"


class Code(IntEnum):
    """google.rpc.Code."""

    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    UNAUTHENTICATED = 16


HTTP = {
    Code.CANCELLED: 499,
    Code.UNKNOWN: 500,
    Code.INVALID_ARGUMENT: 400,
    Code.DEADLINE_EXCEEDED: 504,
    Code.NOT_FOUND: 404,
    Code.ALREADY_EXISTS: 409,
    Code.PERMISSION_DENIED: 403,
    Code.RESOURCE_EXHAUSTED: 429,
    # Two codes share a number over HTTP more than once: clients have to read the status.
    Code.FAILED_PRECONDITION: 400,
    Code.ABORTED: 409,
    Code.OUT_OF_RANGE: 400,
    Code.UNIMPLEMENTED: 501,
    Code.INTERNAL: 500,
    Code.UNAVAILABLE: 503,
    Code.UNAUTHENTICATED: 401,
}


@dataclass(frozen=True, slots=True)
class Status:
    """An error: its code, what is said about it, and details as google.protobuf.Any in JSON.

    `reason` is the word that APIs older than google.rpc.Status have for it; Compute Engine is one.
    """

    code: Code
    message: str
    details: tuple[Mapping[str, Any], ...] = ()
    reason: str = ""


class RefusedError(Exception):
    """A call that the API answers with an error instead of doing it."""

    def __init__(self, status: Status) -> None:
        super().__init__(status.message)
        self.status = status


def invalid(message: str) -> RefusedError:
    """400: the request can never work."""
    return RefusedError(Status(Code.INVALID_ARGUMENT, message))


def unimplemented(message: str) -> RefusedError:
    """501: the API has no such thing, or the simulator does not model it."""
    return RefusedError(Status(Code.UNIMPLEMENTED, message))


def not_found(name: str) -> RefusedError:
    """404: there is no such resource."""
    return RefusedError(Status(Code.NOT_FOUND, f"Resource '{name}' was not found", (_resource(name),)))


def already_exists(name: str) -> RefusedError:
    """409: the name is taken."""
    return RefusedError(Status(Code.ALREADY_EXISTS, f"Resource '{name}' already exists", (_resource(name),)))


def busy() -> RefusedError:
    """409: another operation on the resource has not ended yet."""
    return RefusedError(Status(Code.ABORTED, "unable to queue the operation"))


def wrong_state(verb: str, state: str, event: str) -> RefusedError:
    """400: not from that state. `event` is the id that the API puts into its messages."""
    return RefusedError(Status(Code.INVALID_ARGUMENT, _in_state(verb, state, event)))


def not_deletable(name: str, state: str) -> RefusedError:
    """400: a queued resource that has nodes is deleted with force only."""
    return RefusedError(
        Status(
            Code.FAILED_PRECONDITION,
            f"Queued resource '{name}' is in state {state}: delete its nodes first, or delete it with force.",
        )
    )


def no_such_type(accelerator: str, zone: str, event: str) -> RefusedError:
    """400: the zone has no such accelerator."""
    return invalid(
        f'Cloud TPU received a bad request. The requested accelerator configuration for accelerator type, "{accelerator}",'
        f' could not be found in the zonal accelerator configurations for "{zone}".; the accelerator {accelerator} was'
        f" not found in zone {zone} [EID: {event}]"
    )


def wrong_field(field: str, given: str, event: str) -> RefusedError:
    """400: the field cannot have that value."""
    return invalid(f'Cloud TPU received an invalid argument. The field "{field}" cannot be "{given}". [EID: {event}]')


def closed_zone(project: str, zone: str) -> RefusedError:
    """403: a policy keeps the project out of the zone."""
    info = {
        "@type": f"{TYPES}ErrorInfo",
        "reason": "LOCATION_POLICY_VIOLATED",
        "domain": "googleapis.com",
        "metadata": {"consumer": f"projects/{project}", "location": zone, "service": SERVICE},
    }
    message = f"Permission denied on 'locations/{zone}' (or it may not exist)."
    return RefusedError(Status(Code.PERMISSION_DENIED, message, (info,)))


def unknown_zone(zone: str) -> RefusedError:
    """403: nobody has heard of the zone."""
    return RefusedError(Status(Code.PERMISSION_DENIED, f"Location {zone} is not found or access is unauthorized."))


def unavailable() -> RefusedError:
    """503: try again."""
    return RefusedError(Status(Code.UNAVAILABLE, "The service is currently unavailable."))


def over_quota(metric: str, project: str, region: str, limit: int) -> RefusedError:
    """429: the project may not have so many of these in the region."""
    violation = {
        "subject": f"project:{project}",
        "description": f"Quota '{metric}' exhausted. Limit {limit} in region {region}",
    }
    failure = {"@type": f"{TYPES}QuotaFailure", "violations": [violation]}
    message = f"Quota limit '{metric}' has been exceeded. Limit: {limit} in region {region}."
    return RefusedError(Status(Code.RESOURCE_EXHAUSTED, message, (failure,)))


def too_many_deletes(project: str) -> RefusedError:
    """429: slower, please."""
    limit = "maximum number of DeleteNode requests per minute"
    info = {
        "@type": f"{TYPES}ErrorInfo",
        "reason": "RATE_LIMIT_EXCEEDED",
        "domain": "googleapis.com",
        "metadata": {"service": SERVICE, "consumer": f"projects/{project}", "quota_limit": limit},
    }
    message = (
        f"Quota exceeded for quota metric 'DeleteNode requests' and limit '{limit}' of service '{SERVICE}' "
        f"for consumer 'projects/{project}'."
    )
    return RefusedError(Status(Code.RESOURCE_EXHAUSTED, message, (info,)))


def stockout(zone: str, event: str) -> Status:
    """How an operation ends when the zone has none left."""
    return Status(
        Code.RESOURCE_EXHAUSTED,
        f'There is no more capacity in the zone "{zone}"; you can try in another zone where Cloud TPU Nodes are offered '
        f"(see https://cloud.google.com/tpu/docs/regions) [EID: {event}]",
    )


def no_reservation(event: str) -> Status:
    """How an operation ends that wanted a reservation which is not there."""
    return Status(
        Code.FAILED_PRECONDITION,
        f"Insufficient reserved capacity. Contact customer support to increase your reservation. [EID: {event}]",
    )


def preempted(event: str) -> Status:
    """How a creation ends whose node was taken away before it was ready."""
    return Status(Code.INVALID_ARGUMENT, _in_state("update", "PREEMPTED", event))


def wrong_runtime(event: str) -> Status:
    """How a creation ends whose type and runtime version do not fit."""
    return Status(Code.INVALID_ARGUMENT, f"Cloud TPU was unable to complete the operation [EID: {event}]")


def overtaken() -> Status:
    """How an operation ends whose node was deleted under it."""
    return Status(Code.ABORTED, "The operation was aborted because its node is being deleted.")


def cancelled() -> Status:
    """How an operation ends that somebody cancelled."""
    return Status(Code.CANCELLED, "The operation was cancelled.")


def internal() -> Status:
    """How a queued resource fails when its node was taken away while it was made."""
    return Status(Code.INTERNAL, "an internal error has occurred")


def too_late() -> Status:
    """How a queued resource fails whose time ran out in the queue."""
    return Status(Code.DEADLINE_EXCEEDED, "The request could not be fulfilled within its timing constraints.")


def _in_state(verb: str, state: str, event: str) -> str:
    return f"Cloud TPU received a bad request. {verb} is not supported while in state {state} [EID: {event}]"


def _resource(name: str) -> Mapping[str, Any]:
    return {"@type": f"{TYPES}ResourceInfo", "resourceName": name}
