"""How we speak to GitHub's REST API: PyGithub carries the requests, everything that waits or repeats is decided here."""

from __future__ import annotations

import email.utils
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from accel_ci.adapters import bounded_http, libraries, no_answer, unreadable
from accel_ci.adapters.bounded_http import RedirectedError
from accel_ci.domain import errors
from accel_ci.formats import output
from accel_ci.ports.clock import Clock
from accel_ci.ports.entropy import Entropy

if TYPE_CHECKING:
    from github.GithubException import GithubException
    from github.Requester import Requester

API_URL = "https://api.github.com"
BUDGET = 40
DEADLINE_S = 60.0
TIMEOUT_S = 10
TRIES = 4
PAGE = 100
MOVES = 3  # of a repository that was renamed
# Both are GitHub's own wish: docs.github.com, "Best practices for using the REST API".
WRITE_PAUSE_S = 1.0
SECONDARY_PAUSE_S = 60.0
SETTLE_S = 3.0  # GitHub's lists are read from copies, which are mostly a second behind at most


class RefusedError(errors.ConfigurationError):
    """GitHub understood and will not do it: 404, 409, 410 or 422 in `status`."""

    status = 0


class _LimitError(Exception):
    """Too many requests: nothing was done, and nothing will be before `seconds` have passed."""

    def __init__(self, seconds: float, kind: str) -> None:
        super().__init__(kind)
        self.seconds = seconds
        self.kind = kind


class Calls:
    """Requests below /repos/<repository>, at most BUDGET of them.

    GET, PUT, PATCH and DELETE are repeated after 5xx and lost connections, POST only when GitHub says that it did nothing.
    Each call, its repetitions and waits included, ends within about DEADLINE_S. `needs` is the permission it takes.
    """

    def __init__(self, token: str, repository: str, *, api_url: str, clock: Clock, entropy: Entropy) -> None:
        self._token = token
        self._root = f"/repos/{repository}"
        self._api_url = api_url or API_URL
        self._clock = clock
        self._entropy = entropy
        self._left = BUDGET
        self._written_at = float("-inf")
        self._requester: Requester | None = None

    def get(self, path: str, /, *, needs: str, **parameters: Any) -> Any:
        """The JSON at the path."""
        return self._call("GET", path, needs=needs, parameters=parameters)[1]

    def pages(self, path: str, *, needs: str, under: str = "", **parameters: Any) -> Iterator[Any]:
        """The items of a listing, one page after the other; `under` is the member that holds them."""
        page = 1
        while True:
            asked = {**parameters, "per_page": PAGE, "page": page}
            headers, found = self._call("GET", path, needs=needs, parameters=asked)
            items = found[under] if under else found
            if not isinstance(items, list):  # what is empty in another way would pass for a list without items
                raise TypeError(f"a listing is {type(items).__name__}")
            yield from items
            if 'rel="next"' not in headers.get("link", ""):
                return
            page += 1

    def post(self, path: str, *, needs: str, body: Mapping[str, Any] | None = None) -> Any:
        """The answer to a POST that was sent once; TransientError when it may have worked."""
        return self._call("POST", path, needs=needs, body=body, tries=1)[1]

    def send(self, verb: str, path: str, *, needs: str, body: Mapping[str, Any] | None = None) -> Any:
        """The answer to a PUT, PATCH or DELETE."""
        return self._call(verb, path, needs=needs, body=body)[1]

    def settle(self) -> None:
        """Wait until lists tell what was just made."""
        self._clock.sleep(SETTLE_S)

    def settled(self, made_at: float) -> bool:
        """True when lists tell by now of what was made then, by GitHub's clock, which may differ a little from ours."""
        return self._clock.now() - made_at >= 2 * SETTLE_S

    def _call(
        self,
        verb: str,
        path: str,
        *,
        needs: str,
        parameters: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
        tries: int = TRIES,
    ) -> tuple[Mapping[str, str], Any]:
        deadline, failed = self._clock.now() + DEADLINE_S, 0
        while True:
            self._pace(verb)
            try:
                return self._once(verb, path, needs=needs, parameters=parameters, body=body)
            except _LimitError as limit:
                if self._clock.now() + limit.seconds > deadline:
                    raise errors.TransientError(
                        f"GitHub's {limit.kind} rate limit is used up for another {limit.seconds:.0f} s",
                        what_to_do="run this step again later",
                    ) from None
                self._clock.sleep(limit.seconds)
            except errors.TransientError:
                failed += 1
                pause = self._entropy.uniform(0.5, 1.0) * 2**failed
                if failed >= tries or self._clock.now() + pause > deadline:
                    raise
                self._clock.sleep(pause)

    def _pace(self, verb: str) -> None:
        if self._left <= 0:
            raise errors.CloudError(
                f"this step has used its {BUDGET} calls to GitHub, which has 1,000 an hour for the whole repository",
                what_to_do="see in the log what it asked for so often",
            )
        self._left -= 1
        if verb != "GET":
            wait = self._written_at + WRITE_PAUSE_S - self._clock.now()
            if wait > 0:
                self._clock.sleep(wait)
            self._written_at = self._clock.now()

    def _once(
        self,
        verb: str,
        path: str,
        *,
        needs: str,
        parameters: Mapping[str, Any] | None,
        body: Mapping[str, Any] | None,
    ) -> tuple[Mapping[str, str], Any]:
        requester = self._connected()
        from github.GithubException import GithubException

        asked, sent = dict(parameters or {}), None if body is None else dict(body)
        try:
            return requester.requestJsonAndCheck(verb, f"{self._root}{path}", asked, None, sent)
        except GithubException as error:
            raise _translated(error, f"{verb} {path}", needs, now=self._clock.now()) from None
        except RedirectedError as error:
            raise errors.ConfigurationError(
                f"GitHub's API is not at {self._api_url}: it answers {verb} {path} with {error}",
                what_to_do="correct GITHUB_API_URL, or see what is on the way there (HTTPS_PROXY)",
            ) from error
        # Whatever requests raises is an OSError; the rest is how PyGithub trips over answers that are none of GitHub's.
        except (OSError, *unreadable.ERRORS) as error:
            told = f"GitHub did not answer {verb} {path}: {no_answer.why(error)}"
            raise errors.TransientError(told, what_to_do="run this step again") from error

    def _connected(self) -> Requester:
        if self._requester is None:
            _check_address(self._api_url)
            try:
                libraries.load("github")
                import github
            except ModuleNotFoundError:
                raise errors.ConfigurationError(
                    "the library PyGithub is not installed", what_to_do='install "accel-ci[github]"'
                ) from None
            with _bounded():
                self._requester = github.Github(
                    auth=github.Auth.Token(self._token),
                    base_url=self._api_url,
                    timeout=TIMEOUT_S,
                    retry=None,
                    seconds_between_requests=None,
                    seconds_between_writes=None,
                ).requester
        return self._requester


def _check_address(api_url: str) -> None:
    """ConfigurationError for what no request can be sent to; it is not shown, for it may hold a password."""
    try:
        place = urlsplit(api_url)
        usable = place.scheme in ("http", "https") and bool(place.hostname) and place.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise errors.ConfigurationError(
            "GITHUB_API_URL is no address of an API", what_to_do=f"unset it, or write one such as {API_URL}"
        )


@contextmanager
def _bounded() -> Iterator[None]:
    """What PyGithub connects with is bounded, for those that are made while the block lasts."""
    from github.Requester import HTTPRequestsConnectionClass, HTTPSRequestsConnectionClass, Requester

    class Plain(HTTPRequestsConnectionClass):
        """To a simulator, or an Enterprise Server behind a wall."""

        def __init__(self, *place: Any, **how: Any) -> None:
            super().__init__(*place, **how)
            bounded_http.bound(self.session, moves=MOVES)

    class Secured(HTTPSRequestsConnectionClass):
        """To everything else."""

        def __init__(self, *place: Any, **how: Any) -> None:
            super().__init__(*place, **how)
            bounded_http.bound(self.session, moves=MOVES)

    Requester.injectConnectionClasses(Plain, Secured)
    try:
        yield
    finally:
        Requester.resetConnectionClasses()


def _translated(error: GithubException, what: str, needs: str, *, now: float) -> Exception:
    """What the answer means to us: a limit, a missing permission, a refusal, or a server in trouble."""
    status, headers = error.status, error.headers or {}
    message = output.one_line(str(error.data.get("message", "")) if isinstance(error.data, dict) else "")
    if status in (403, 429):
        limit = _limit(headers, message.lower(), status, now=now)
        if limit is not None:
            return limit
    if status < 500 and not message:
        # A proxy's 404 does not mean that there is no such pull request, nor its 403 that a permission is missing.
        return errors.TransientError(
            f"GitHub did not answer {what}: HTTP {status}, and no word of GitHub's",
            what_to_do="run this step again; should it stay so, see what is on the way there (HTTPS_PROXY)",
        )
    if status >= 500:
        return errors.TransientError(f"GitHub answered {status} to {what}", what_to_do="run this step again")
    if status == 401:
        return errors.AccessError(
            "GitHub does not accept the token", what_to_do="pass the job's own: GITHUB_TOKEN: ${{ github.token }}"
        )
    if status == 403:
        return errors.AccessError(
            f"the token may not do this: {what}: {message}", what_to_do=f"give the job `permissions: {{{needs}}}`"
        )
    refused = RefusedError(
        f"GitHub refused {what} with {status}: {message}",
        what_to_do=f"see whether it exists, and whether the job has `permissions: {{{needs}}}`",
    )
    refused.status = status
    return refused


def _moment(date: str) -> float:
    """The moment of a Date header, seconds since 1970; 0 where it is none."""
    try:
        return email.utils.parsedate_to_datetime(date).timestamp()
    except (ValueError, TypeError, OverflowError):
        return 0.0


def _limit(headers: Mapping[str, Any], message: str, status: int, *, now: float) -> _LimitError | None:
    if headers.get("x-ratelimit-remaining") == "0" and str(headers.get("x-ratelimit-reset", "")).isdigit():
        # By GitHub's own clock: with one that is ahead we would ask again and again before the time has come.
        now = _moment(str(headers.get("date", ""))) or now
        return _LimitError(max(1.0, int(headers["x-ratelimit-reset"]) - now + 1), "primary")
    after = str(headers.get("retry-after", ""))
    if after.isdigit() or "rate limit" in message or status == 429:
        return _LimitError(float(after) if after.isdigit() else SECONDARY_PAUSE_S, "secondary")
    return None
