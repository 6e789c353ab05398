"""What both of Google's APIs do alike when they say no; what the texts mean is each API's own, see gce_errors, tpu_errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from accel_ci.domain.errors import AccelError, BootError, CloudError, NoCapacityError, TransientError
from accel_ci.formats import output

MESSAGE_CHARACTERS = 500
WAIT = "wait a minute"
ANOTHER_ZONE = "name more zones, or `spot: false`"
NOT_TAKEN_AWAY = "try another zone, or `spot: false`"
UNRESERVED = "try another zone, or `spot: true`"
MORE_QUOTA = "ask for more quota, or name other regions"
CLOSED_ZONE = "the zone is not open to this project: name others"
AGAIN = "run it again"
# Not where "location" is a part of a name.
CLOSED = (
    r"denied on 'locations/[^/']+'|constraint.*resourceLocations|(?<![\w/-])location\b(?!-).*(not found|unauthorized)"
)


class ClosedZoneError(NoCapacityError):
    """The zone is not open to the project: nothing can be made there, but what was made before may still be there."""


def foreign(status: int, api: str) -> TransientError:
    """The error for an answer in words that are not Google's: a proxy's, or those of a frontend in trouble."""
    # Not a word of its page: some show the request again, with our token in it.
    return TransientError(
        f"no answer from {api}: HTTP {status}, and no word of Google's",
        what_to_do="run it again; should it stay so, see what is on the way there (HTTPS_PROXY)",
    )


def document(error: Any) -> Mapping[str, Any]:
    """The `error` object in the body of a google.api_core error; {} when the answer is none of Google's."""
    try:
        found = error.response.json()["error"]
    except (AttributeError, ValueError, KeyError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}


def for_good(error: AccelError) -> AccelError:
    """The error of an operation that ended so: it is over for certain, and what would be transient is a failed boot."""
    # To ask for a finished operation again cannot change its end; another place can.
    if isinstance(error, TransientError) or type(error) is CloudError:
        return BootError(error.what_happened, what_to_do=error.what_to_do)
    return error


def said(code: str, message: str) -> str:
    """What the API says, as one clean line."""
    return f"{output.one_line(code, 80)}: {output.one_line(message, MESSAGE_CHARACTERS)}"
