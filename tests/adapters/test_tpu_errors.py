"""What the Cloud TPU API says, and what it means: one case for each row of the facts, in the words of real clouds."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests
from google.api_core import exceptions

from accel_ci.adapters import tpu_errors
from accel_ci.adapters.google_refusals import ClosedZoneError
from accel_ci.adapters.tpu_errors import Refusal
from accel_ci.domain import capacity
from accel_ci.domain.capacity import Next
from accel_ci.domain.errors import (
    AccelError,
    AccessError,
    BootError,
    CloudError,
    ConfigurationError,
    NoCapacityError,
    QuotaError,
    TransientError,
)

QUOTA_FAILURE = "type.googleapis.com/google.rpc.QuotaFailure"
STOCKOUT = 'There is no more capacity in the zone "us-central1-b"; you can try in another zone [EID: 0x1]'
QUOTA = "Quota limit 'TPUV6EPreemptiblePerProjectPerRegionForTPUAPI' has been exceeded. Limit: 0 in region us-central1."
DELETES = "You have reached the maximum number of DeleteNode requests per minute"
CLOSED_ZONE = "Permission denied on 'locations/us-central1-b' (or it may not exist)."
DENIED = "Permission 'tpu.nodes.get' denied on '//tpu.googleapis.com/projects/p/locations/z/nodes/n'"
UNKNOWN_ZONE = "Location mars-1 is not found or access is unauthorized."

CASES = [
    ("RESOURCE_EXHAUSTED", STOCKOUT, "", NoCapacityError, Next.NEXT_CANDIDATE),
    ("RESOURCE_EXHAUSTED", QUOTA, QUOTA_FAILURE, QuotaError, Next.SKIP_REGION),
    ("RESOURCE_EXHAUSTED", QUOTA, "", QuotaError, Next.SKIP_REGION),
    ("RESOURCE_EXHAUSTED", "no more capacity", QUOTA_FAILURE, QuotaError, Next.SKIP_REGION),
    ("RESOURCE_EXHAUSTED", "something else", "", NoCapacityError, Next.NEXT_CANDIDATE),
    ("RESOURCE_EXHAUSTED", DELETES, QUOTA_FAILURE, TransientError, Next.NEXT_CANDIDATE),
    ("RESOURCE_EXHAUSTED", "slow down", "ErrorInfo RATE_LIMIT_EXCEEDED", TransientError, Next.NEXT_CANDIDATE),
    ("RESOURCE_EXHAUSTED", "Insufficient reserved capacity", "", NoCapacityError, Next.NEXT_CANDIDATE),
    ("FAILED_PRECONDITION", "Insufficient reserved capacity in zone", "", NoCapacityError, Next.NEXT_CANDIDATE),
    ("INVALID_ARGUMENT", "Cannot do that while in state PREEMPTED", "", NoCapacityError, Next.NEXT_CANDIDATE),
    ("INVALID_ARGUMENT", "Cloud TPU was unable to complete the operation [EID]", "", ConfigurationError, Next.STOP),
    ("INVALID_ARGUMENT", "labels: too long", "", ConfigurationError, Next.STOP),
    ("NOT_FOUND", UNKNOWN_ZONE, "", ClosedZoneError, Next.NEXT_CANDIDATE),
    ("PERMISSION_DENIED", UNKNOWN_ZONE, "", ClosedZoneError, Next.NEXT_CANDIDATE),
    ("PERMISSION_DENIED", CLOSED_ZONE, "", ClosedZoneError, Next.NEXT_CANDIDATE),
    ("PERMISSION_DENIED", "Permission 'tpu.nodes.create' denied", "", AccessError, Next.SKIP_BACKEND),
    ("PERMISSION_DENIED", DENIED, "", AccessError, Next.SKIP_BACKEND),
    ("PERMISSION_DENIED", "Cloud TPU API has not been used in project 1 before", "", AccessError, Next.SKIP_BACKEND),
    ("UNAUTHENTICATED", "Request had invalid credentials", "", AccessError, Next.SKIP_BACKEND),
    ("UNAVAILABLE", "try later", "", TransientError, Next.NEXT_CANDIDATE),
    ("ABORTED", "another operation is running", "", TransientError, Next.NEXT_CANDIDATE),
    ("INTERNAL", "oops", "", TransientError, Next.NEXT_CANDIDATE),
    ("DATA_LOSS", "never seen", "", CloudError, Next.STOP),
]


@pytest.mark.parametrize(("status", "message", "details", "kind", "after"), CASES)
def test_each_refusal_has_its_kind(
    status: str, message: str, details: str, kind: type[AccelError], after: Next
) -> None:
    """The kind decides where the capacity walk goes on; the message keeps status and words, and says what to do."""
    error = tpu_errors.classed(Refusal(status, message, details))
    assert type(error) is kind and capacity.after(error) is after
    assert error.what_happened == f"{status}: {message}"
    assert error.what_to_do or kind is CloudError


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        ("RESOURCE_EXHAUSTED", STOCKOUT, NoCapacityError),
        ("RESOURCE_EXHAUSTED", QUOTA, QuotaError),
        ("INVALID_ARGUMENT", "Cloud TPU was unable to complete the operation", ConfigurationError),
        ("INTERNAL", "oops", BootError),
        ("CANCELLED", "somebody deleted it", BootError),
        ("UNAVAILABLE", "the zone has a bad day", BootError),
        ("DATA_LOSS", "never seen", BootError),
    ],
)
def test_an_operation_that_failed_is_over(status: str, message: str, kind: type[AccelError]) -> None:
    """Nothing about a finished operation is transient: asking it again would give the same answer for ever."""
    error = tpu_errors.of_operation(Refusal(status, message))
    assert type(error) is kind and message in error.what_happened


@pytest.mark.parametrize("name", ["location", "accel-location-77-1-0a1b2c3d", "my-location/x", "locations"])
def test_a_place_called_location_is_no_closed_zone(name: str) -> None:
    """Names are part of what the API says: a machine that is gone stays gone whatever it was called."""
    said = f"Resource 'projects/location/locations/us-central1-b/nodes/{name}' was not found"
    assert type(tpu_errors.classed(Refusal("NOT_FOUND", said))) is CloudError


def test_a_service_that_is_off_says_how_to_turn_it_on() -> None:
    """The commonest first mistake has its one command."""
    error = tpu_errors.classed(Refusal("PERMISSION_DENIED", "denied", "ErrorInfo SERVICE_DISABLED"))
    assert error.what_to_do == "gcloud services enable tpu.googleapis.com"


def test_what_the_cloud_writes_is_made_safe() -> None:
    """Lines and control characters of a message cannot leave it, and it is short."""
    told = tpu_errors.classed(Refusal("INTERNAL", "a\n::error::b\x1b[31m" + "x" * 10_000)).what_happened
    assert "\n" not in told and "\x1b" not in told and len(told) < 600


def _from_http(code: int, body: object) -> exceptions.GoogleAPICallError:
    response = requests.Response()
    response.status_code = code
    response._content = body if isinstance(body, bytes) else json.dumps(body).encode()
    response.request = requests.Request("GET", "http://127.0.0.1/v2/x").prepare()
    error = exceptions.from_http_response(response)  # type: ignore[no-untyped-call]
    assert isinstance(error, exceptions.GoogleAPICallError)
    return error


def _document(code: int, status: str, *details: dict[str, Any]) -> dict[str, Any]:
    return {"error": {"code": code, "message": "words", "status": status, "details": details}}


@pytest.mark.parametrize(
    ("code", "body", "status"),
    [
        (409, _document(409, "ALREADY_EXISTS"), "ALREADY_EXISTS"),
        (409, _document(409, "ABORTED"), "ABORTED"),
        (400, _document(400, "FAILED_PRECONDITION"), "FAILED_PRECONDITION"),
        (429, _document(429, "RESOURCE_EXHAUSTED"), "RESOURCE_EXHAUSTED"),
        (409, b"not json", "ALREADY_EXISTS"),
        (502, b"<html>Bad Gateway</html>", "UNAVAILABLE"),
        (403, {}, "PERMISSION_DENIED"),
        (418, {}, "UNKNOWN"),
    ],
)
def test_the_status_is_the_servers_own(code: int, body: object, status: str) -> None:
    """The document's status decides; without one the HTTP code says what it can."""
    assert tpu_errors.of_call(_from_http(code, body)).status == status


def test_details_of_an_answer_are_kept() -> None:
    """Types and reasons of the details are what tells quota and stockout apart."""
    info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "QUOTA_EXCEEDED", "metadata": {}}
    refusal = tpu_errors.of_call(_from_http(429, _document(429, "RESOURCE_EXHAUSTED", info)))
    assert refusal.message == "words" and "QUOTA_EXCEEDED" in refusal.details
    assert type(tpu_errors.classed(refusal)) is QuotaError


def test_a_status_in_an_operation() -> None:
    """Codes are numbers there; one that is not known, or is missing, is UNKNOWN."""
    assert tpu_errors.of_status({"code": 8, "message": "m", "details": [{"@type": QUOTA_FAILURE}]}) == Refusal(
        "RESOURCE_EXHAUSTED", "m", f"{QUOTA_FAILURE} "
    )
    assert tpu_errors.of_status({}).status == tpu_errors.of_status({"code": 99}).status == "UNKNOWN"
