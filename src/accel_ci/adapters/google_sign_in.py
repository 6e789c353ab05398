"""Who we are to Google, and which project pays: keyless, by a token in a file, or by application default credentials."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accel_ci.adapters import google_exchange, libraries
from accel_ci.adapters.google_exchange import SCOPE, Exchange
from accel_ci.adapters.kept_token import KeptToken, Token
from accel_ci.adapters.system_clock import SystemClock
from accel_ci.domain import errors
from accel_ci.formats import output
from accel_ci.ports.clock import Clock
from accel_ci.ports.files import Files

if TYPE_CHECKING:
    from google.auth.credentials import Credentials

TOKEN_FILE = "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE"
ADC_FILE = "GOOGLE_APPLICATION_CREDENTIALS"
PROJECTS = ("CLOUDSDK_CORE_PROJECT", "GOOGLE_CLOUD_PROJECT")
SIGNS = (TOKEN_FILE, *PROJECTS, ADC_FILE, "CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE")
HOW_TO_SIGN_IN = (
    "in a workflow set `workload-identity-provider` and give the job `id-token: write`; "
    "on your computer run `gcloud auth application-default login`; see docs/sign-in.md"
)
OF_PROJECT = ".iam.gserviceaccount.com"
TOKEN_BYTES = 64 * 1024
# google-auth counts a token as stale 225 s before its end, so it asks again after 75 s at the latest.
STALE_S = 225.0
TOKEN_S = 300.0


class GoogleSignIn:
    """One identity for everything that speaks to Google in this process; see ports.credentials.Credentials.

    With `provider` (and `account`, a service account to act as) it is the workflow's own, and no key exists anywhere. Else a
    file with an access token, as gcloud takes it, comes first; then application default credentials. What outlives no job,
    tokens made from an identity token, is kept in `files`.
    """

    def __init__(
        self,
        variables: Mapping[str, str],
        *,
        provider: str = "",
        account: str = "",
        files: Files | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._variables = variables
        self._provider = provider
        self._account = account
        self._files = files
        self._clock = clock or SystemClock()
        self._exchange = Exchange(variables, provider=provider, account=account, clock=self._clock)
        self._kept = self._keeper()  # now: look-ups in threads must share one, or each of them would sign in

    def credentials(self) -> tuple[Credentials, str]:
        """google-auth's credentials, and the project that goes with them ("" when none is known).

        Without the library, or without any credentials: ConfigurationError. Whatever is wrong with an identity is told
        by the first call that uses the credentials: AccessError, ConfigurationError or TransientError.
        """
        try:
            libraries.load(*libraries.SIGN_IN)
            if self._provider:
                return _renewing(self._from_kept), self._project or _project_of(self._account)
            if self._variables.get(TOKEN_FILE):
                return _renewing(self._from_file), self._project
            return self._default()
        except ModuleNotFoundError as error:
            raise no_library("gce,tpu") from error

    def likely(self) -> bool:
        """True when credentials are to be expected: an identity provider, variables that lead to some, or gcloud's own file."""
        home = self._variables.get("CLOUDSDK_CONFIG") or f"{self._variables.get('HOME', '')}/.config/gcloud"
        return (
            bool(self._provider)
            or any(self._variables.get(name) for name in SIGNS)
            or Path(home, "application_default_credentials.json").is_file()
        )

    def keep_fresh(self) -> str:
        """See ports.credentials.Credentials."""
        return "" if self._kept is None else self._kept.keep_fresh()

    @property
    def _project(self) -> str:
        return next((self._variables[name] for name in PROJECTS if self._variables.get(name)), "")

    def _keeper(self) -> KeptToken | None:
        """Where this identity's token is kept; None where nothing is: a person's own credentials need no help of ours."""
        who = (self._provider, self._account) if self._provider else ("adc", self._variables.get(ADC_FILE, ""))
        if self._files is None or (not self._provider and self._variables.get(TOKEN_FILE)):
            return None
        name = f"sign-in/{hashlib.sha256(repr(who).encode()).hexdigest()[:16]}.json"
        make = self._exchange.token if self._provider else self._from_default
        return KeptToken(self._files, name, clock=self._clock, make=make)

    def _from_kept(self) -> tuple[str, float]:
        token = self._exchange.token() if self._kept is None else self._kept.token()
        return token.text, token.renew_at + STALE_S

    def _from_file(self) -> tuple[str, float]:
        """The token in the file is somebody else's to keep fresh; we only read it again now and then."""
        try:
            with open(self._variables[TOKEN_FILE], "rb") as file:
                token = file.read(TOKEN_BYTES).decode("ascii").strip()
        except (OSError, ValueError) as error:
            raise _unreadable(f"cannot be read: {type(error).__name__}") from error
        if not token:
            raise _unreadable("is empty")
        return token, 0.0

    def _default(self) -> tuple[Credentials, str]:
        """Application default credentials; those that are made from an identity token, through what is kept of them."""
        if self._kept is not None and self._kept.known() is not None:
            return _renewing(self._from_kept), self._project or self._kept.token().project
        from google.auth import external_account

        found, theirs = _found()
        if self._kept is not None and isinstance(found, external_account.Credentials):
            return _renewing(self._from_kept), self._project or theirs
        return found, self._project or theirs

    def _from_default(self) -> Token:
        found, theirs = _found()
        return google_exchange.refreshed(found, self._clock, project=theirs)


def project(known: str) -> str:
    """The project that goes with the credentials; ConfigurationError where they know none ("")."""
    if not known:
        raise errors.ConfigurationError(
            "no Google Cloud project is known", what_to_do="set the input `project`, or CLOUDSDK_CORE_PROJECT"
        )
    return known


def no_library(extra: str) -> errors.ConfigurationError:
    """The error for a library of Google's that is not installed; `extra` names ours that bring it."""
    return errors.ConfigurationError(
        "the library for Google Cloud is not installed", what_to_do=f"pip install 'accel-ci[{extra}]'"
    )


def _found() -> tuple[Credentials, str]:
    import google.auth
    from google.auth import exceptions

    try:
        asking: Any = google_exchange.Asking()
        found, theirs = google.auth.default(scopes=[SCOPE], request=asking)
    # The library trips over a file that is a directory, or JSON of another shape.
    except (exceptions.GoogleAuthError, OSError, AttributeError, KeyError, TypeError, ValueError) as error:
        why: object = error
        if isinstance(error, exceptions.GoogleAuthError):
            # Of its pairs of a sentence and an error the sentence is for people.
            why = error.args[0] if len(error.args) > 1 else error
        elif not isinstance(error, OSError):
            why = "their file is none that Google's tools write"
        raise errors.ConfigurationError(
            f"no credentials for Google Cloud: {output.one_line(str(why), 300)}",
            what_to_do=HOW_TO_SIGN_IN,
        ) from error
    return found, theirs or ""


def _renewing(read: Callable[[], tuple[str, float]]) -> Credentials:
    """google-auth's credentials over whatever gives a token and the moment at which that is to be asked again."""
    from google.oauth2.credentials import Credentials as TokenCredentials

    def refresh(request: Any, scopes: Any) -> tuple[str, dt.datetime]:
        """A token and its end in UTC without a zone, as google-auth wants it."""
        token, until = read()
        least = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=TOKEN_S)
        end = max(least, dt.datetime.fromtimestamp(until, dt.UTC))
        return token, end.replace(tzinfo=None)

    return TokenCredentials(token=None, refresh_handler=refresh, scopes=[SCOPE])  # type: ignore[no-untyped-call]


def _unreadable(how: str) -> Exception:
    from google.auth import exceptions

    error: Exception = exceptions.RefreshError(f"the access token file {how}")  # type: ignore[no-untyped-call]
    return error


def _project_of(account: str) -> str:
    """The project of a service account that somebody made, by its address; "" for Google's own accounts."""
    name, _, domain = account.partition("@")[2].removesuffix(OF_PROJECT).partition(".")
    if not account.endswith(OF_PROJECT):
        return ""
    return f"{domain}:{name}" if domain else name  # the project example.com:ci is written ci.example.com there
