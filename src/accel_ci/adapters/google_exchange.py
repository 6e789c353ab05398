"""From a job's identity token to an access token of Google's, with google-auth, and what is wrong when that fails.

The job's identity token is exchanged at the Security Token Service; a service account is then acted as, where one is named.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from accel_ci.adapters import bounded_http, kept_token, no_answer
from accel_ci.adapters.bounded_http import BrokenAnswerError
from accel_ci.adapters.github_identity import GitHubIdentity
from accel_ci.adapters.kept_token import Token
from accel_ci.domain.errors import AccelError, AccessError, ConfigurationError, TransientError
from accel_ci.formats import output
from accel_ci.ports.clock import Clock

if TYPE_CHECKING:
    from google.auth.credentials import Credentials

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
# gcloud has no such setting for the token service: this is its naming carried on.
STS, IAM = "CLOUDSDK_API_ENDPOINT_OVERRIDES_STS", "CLOUDSDK_API_ENDPOINT_OVERRIDES_IAMCREDENTIALS"
STS_HOST, IAM_HOST = "https://sts.googleapis.com", "https://iamcredentials.googleapis.com"
JWT = "urn:ietf:params:oauth:token-type:jwt"
CALL_S = 10.0
LIVES_S = 3600.0  # what google-auth asks for
MESSAGE_CHARACTERS = 300


class _Rule(NamedTuple):
    text: str
    kind: type[AccelError]
    happened: str
    fix: str


# Texts as Google sends them, seen in the threads of google-github-actions/auth; the first that fits decides.
_RULES = (
    _Rule(
        r"attribute condition",
        AccessError,
        "the identity provider's condition does not let this repository, branch or event in",
        "see what it demands: gcloud iam workload-identity-pools providers describe {provider}",
    ),
    _Rule(
        r"invalid_target|Invalid value for .{0,2}audience",
        ConfigurationError,
        "Google has no identity provider of this name, or it is disabled: {provider}",
        "set `workload-identity-provider` to its full name, with the number of the project; see docs/sign-in.md",
    ),
    _Rule(
        r"audience in ID Token",
        ConfigurationError,
        "the identity provider expects another audience than its own name",
        "make the provider without --allowed-audiences; see docs/sign-in.md",
    ),
    _Rule(
        r"issuer",
        ConfigurationError,
        "the identity provider does not trust GitHub's identity tokens",
        "make it with --issuer-uri=https://token.actions.githubusercontent.com; see docs/sign-in.md",
    ),
    _Rule(
        r"mapped attribute",
        ConfigurationError,
        "the identity provider's attribute mapping does not fit this job",
        "map google.subject to something of at most 127 characters; see docs/sign-in.md",
    ),
    _Rule(
        r"SERVICE_DISABLED|has not been used|is disabled",
        AccessError,
        "an API that keyless sign-in needs is off",
        "gcloud services enable iamcredentials.googleapis.com sts.googleapis.com",
    ),
    _Rule(
        r"getAccessToken|PERMISSION_DENIED",
        AccessError,
        "this workflow may not act as {account}, or there is no such service account",
        "give the workflow the role roles/iam.workloadIdentityUser on it; see docs/sign-in.md",
    ),
    _Rule(
        r"NOT_FOUND|Gaia id not found",
        ConfigurationError,
        "there is no service account {account}",
        "see which there are: gcloud iam service-accounts list",
    ),
)


class Exchange:
    """Makes access tokens for one identity provider and service account ("": the workflow acts as itself)."""

    def __init__(self, variables: Mapping[str, str], *, provider: str, account: str, clock: Clock) -> None:
        self._variables = variables
        self._provider = provider
        self._account = account
        self._clock = clock

    def token(self) -> Token:
        """A new access token, an hour long as a rule. Errors in plain words; what is secret is in none of them."""
        return refreshed(self._credentials(), self._clock, provider=self._provider, account=self._account)

    def _credentials(self) -> Credentials:
        from google.auth import identity_pool

        def host(name: str, standard: str) -> str:
            """The endpoint that the variable names, else the standard one; no slash at its end."""
            return (self._variables.get(name) or standard).rstrip("/")

        acting = f"{host(IAM, IAM_HOST)}/v1/projects/-/serviceAccounts/{self._account}:generateAccessToken"
        return identity_pool.Credentials(  # type: ignore[no-untyped-call]
            audience=f"//iam.googleapis.com/{self._provider}",
            subject_token_type=JWT,
            token_url=f"{host(STS, STS_HOST)}/v1/token",
            subject_token_supplier=GitHubIdentity(
                self._variables, audience=f"https://iam.googleapis.com/{self._provider}"
            ),
            service_account_impersonation_url=acting if self._account else None,
            scopes=[SCOPE],
        )


def refreshed(credentials: Any, clock: Clock, *, provider: str = "", account: str = "", project: str = "") -> Token:
    """The token of google-auth's credentials, made anew."""
    from google.auth import exceptions

    asked = Asking()
    try:
        credentials.refresh(asked)
    except (exceptions.TransportError, OSError) as error:
        told = f"no answer while signing in to Google Cloud: {no_answer.why(error)}"
        raise TransientError(told, what_to_do="run it again") from error
    except exceptions.GoogleAuthError as error:
        raise _classed(asked.status, _said(error), provider=provider, account=account) from error
    except (
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        RecursionError,
    ) as error:  # an answer that is none of Google's
        raise TransientError("Google's answer to the sign-in cannot be read", what_to_do="run it again") from error
    # google-auth's expiry is naive UTC by its own clock: only the span is right on ours.
    left = credentials.expiry - dt.datetime.now(dt.UTC).replace(tzinfo=None)
    # A service account's expiry is by Google's clock: with ours behind, a dead token would be taken for a living one.
    left_s = min(left.total_seconds(), LIVES_S)
    now = clock.now()
    return kept_token.made(credentials.token, expires_at=now + left_s, now=now, project=project)


class Asking:
    """google-auth's way to ask over HTTP, with a timeout that fits into what a cancelled job has left, and a second try."""

    def __init__(self) -> None:
        from google.auth.transport.requests import Request

        self._request = Request()
        bounded_http.bound(self._request.session)
        self.status = 0

    def __call__(self, url: str, method: str = "GET", timeout: float | None = CALL_S, **more: Any) -> Any:
        """The answer, whatever its status; TransportError without any. Making a token twice does no harm."""
        from google.auth import exceptions

        # google-auth asks for two minutes.
        limit_s = min(timeout or CALL_S, CALL_S)
        try:
            answer = self._request(url=url, method=method, timeout=limit_s, **more)
        except (exceptions.TransportError, BrokenAnswerError):
            answer = None
        if answer is None or answer.status >= 500:
            answer = self._request(url=url, method=method, timeout=limit_s, **more)
        self.status = int(answer.status)
        return answer


def _classed(status: int, text: str, *, provider: str, account: str) -> AccelError:
    told = output.one_line(text, MESSAGE_CHARACTERS)
    if status >= 500 or status == 429:
        return TransientError(f"signing in to Google Cloud failed: HTTP {status}: {told}", what_to_do="run it again")
    for rule in _RULES:
        if re.search(rule.text, text, re.IGNORECASE):
            names = {"provider": provider or "(see your credential file)", "account": account or "the service account"}
            return rule.kind(f"{rule.happened.format(**names)} ({told})", what_to_do=rule.fix.format(**names))
    return AccessError(f"Google refuses the sign-in: {told}", what_to_do="see docs/sign-in.md")


def _said(error: Exception) -> str:
    """What Google says, from the answer that the error carries: never the error's own text, which may quote what we sent."""
    body = error.args[1] if len(error.args) > 1 else ""
    try:
        document = json.loads(body) if isinstance(body, str | bytes) else {}
        # The token service answers as OAuth does, the others as Google does: a text, or an object.
        told = document["error"] if isinstance(document["error"], dict) else document
    except (ValueError, KeyError, TypeError):
        return f"an answer that says nothing ({type(error).__name__})"
    reasons = " ".join(str(each.get("reason", "")) for each in told.get("details", ()) if isinstance(each, dict))
    parts = (told.get(name) for name in ("error", "error_description", "status", "message"))
    return ": ".join([str(part) for part in parts if isinstance(part, str)] + ([reasons] if reasons.strip() else []))
