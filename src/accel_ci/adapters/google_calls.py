"""Calls to Google's APIs: what may be repeated is, a little, and whatever goes wrong is told in our own terms."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, TypeVar

from accel_ci.adapters import bounded_http, google_refusals, google_sign_in, no_answer
from accel_ci.adapters.bounded_http import BrokenAnswerError
from accel_ci.adapters.google_sign_in import GoogleSignIn
from accel_ci.domain.errors import AccelError, AccessError, TransientError
from accel_ci.formats import output

Answer = TypeVar("Answer")

TRIES = 3
PAUSE_S = 0.2
# The libraries' own defaults are ten minutes, or no end at all; a cancelled job has 285 s for everything.
READ_S = 10.0
WRITE_S = 30.0
PAGES = 1000


class GoogleApi:
    """One project of one identity: what both APIs are asked with. Nothing is asked or imported before it is needed."""

    def __init__(self, cloud: Mapping[str, str], *, project: str = "", sign_in: GoogleSignIn | None = None) -> None:
        self._cloud = cloud
        self._project = project
        self._sign_in = sign_in or GoogleSignIn(cloud)

    @cached_property
    def project(self) -> str:
        """The project that pays: the user's, else the one of the credentials; ConfigurationError without any."""
        return self._project or google_sign_in.project(self._signed_in[1])

    @cached_property
    def _signed_in(self) -> tuple[Any, str]:
        return self._sign_in.credentials()


def installed(package: str) -> bool:
    """True when the library is there; nothing of it is imported by asking."""
    try:
        return importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:  # of the package's own parents
        return False
    except KeyError:  # gce_library, in its thread, takes its stand-in out of sys.modules just now
        return True


def bounded(client: Any) -> Any:
    """The same client of Google's; whatever it, or its sign-in, is answered with is bounded, and leads to no other host."""
    session = client.transport._session  # it has no other way to its requests
    bounded_http.bound(session, begins=b"{")
    bounded_http.bound(session._auth_request.session)
    return client


def about(found: Answer, name: str = "") -> Answer:
    """The same document, which must be of this name, or of any; BrokenAnswerError when it is another one's, or nobody's.

    The library reads any JSON as what it expects, with whatever is missing left empty.
    """
    told = str(getattr(found, "name", ""))
    if not told or (name and told.rpartition("/")[2] != name):
        raise BrokenAnswerError(f"an answer about {told or 'nothing'!r}")
    return found


def repeated(ask: Callable[[], Answer], *, pause: Callable[[float], None] = time.sleep) -> Answer:
    """The answer of what may be asked again without harm, three times at most while the API does not answer."""
    for attempt in range(TRIES - 1):
        try:
            return ask()
        except TransientError:
            # 0.2 s, then 0.8 s: longer waits belong to the callers, whose limits count them.
            pause(PAUSE_S * 4**attempt)
    return ask()


def asked(call: Callable[[], Answer], *, refused: Callable[[Any], AccelError | None], api: str) -> Answer | None:
    """The call's answer. `refused` makes an error of what the API says no with; None when that no is an answer too."""
    from google.api_core.exceptions import GoogleAPICallError
    from google.auth.exceptions import GoogleAuthError, RefreshError
    from google.protobuf.json_format import ParseError  # type: ignore[import-untyped]

    try:
        return call()
    except GoogleAPICallError as error:
        # A proxy's 404 does not mean that a machine is gone, nor its 403 that we never leased there.
        if not google_refusals.document(error):
            raise google_refusals.foreign(int(error.code or 0), api) from error
        classed = refused(error)
        if classed is None:
            return None
        raise classed from error
    # google-auth renews tokens inside of whatever call comes next: its trouble shows up here.
    except RefreshError as error:
        if error.retryable:
            raise unanswered(error, api=api) from error
        raise AccessError(
            f"the credentials for Google Cloud are refused: {output.one_line(str(error), 300)}",
            what_to_do=google_sign_in.HOW_TO_SIGN_IN,
        ) from error
    # Whatever requests raises is an OSError; the rest is how the library trips over answers that are none of Google's.
    except (OSError, GoogleAuthError, ParseError, ValueError, AttributeError, TypeError, RecursionError) as error:
        raise unanswered(error, api=api) from error


def unanswered(error: Exception, *, api: str) -> TransientError:
    """The error for a call that got no answer, or none that can be read."""
    return TransientError(f"no answer from {api}: {no_answer.why(error)}", what_to_do="run it again")
