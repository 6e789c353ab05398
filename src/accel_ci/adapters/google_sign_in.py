"""Who we are to Google, and which project pays. No credential is made, kept or shown here."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accel_ci.domain import errors
from accel_ci.formats import output

if TYPE_CHECKING:
    from google.auth.credentials import Credentials

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
TOKEN_FILE = "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE"
PROJECTS = ("CLOUDSDK_CORE_PROJECT", "GOOGLE_CLOUD_PROJECT")
SIGNS = (TOKEN_FILE, *PROJECTS, "GOOGLE_APPLICATION_CREDENTIALS", "CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE")
TOKEN_BYTES = 64 * 1024
# google-auth counts a token as stale 225 s before its end, so the file is read again after 75 s at the latest.
TOKEN_S = 300


def credentials(cloud: Mapping[str, str]) -> tuple[Credentials, str]:
    """Credentials and the project that goes with them ("" when none is known), from the variables of `cloud`.

    A file with an access token, as gcloud takes it, comes first; then application default credentials. Without the
    library, or without any credentials: ConfigurationError.
    """
    project = next((cloud[name] for name in PROJECTS if cloud.get(name)), "")
    try:
        if cloud.get(TOKEN_FILE):
            return _from_file(Path(cloud[TOKEN_FILE])), project
        return _default(project)
    except ModuleNotFoundError as error:
        raise errors.ConfigurationError(
            "the library for Google Cloud is not installed", what_to_do="pip install 'accel-ci[tpu]'"
        ) from error


def likely(cloud: Mapping[str, str]) -> bool:
    """True when there are signs of credentials: variables that lead to some, or gcloud's own file in the home directory."""
    kept = cloud.get("CLOUDSDK_CONFIG") or f"{cloud.get('HOME', '')}/.config/gcloud"
    return any(cloud.get(name) for name in SIGNS) or Path(kept, "application_default_credentials.json").is_file()


def _from_file(path: Path) -> Credentials:
    """The token in the file is somebody else's to keep fresh; we only read it again now and then."""
    from google.oauth2.credentials import Credentials as TokenCredentials

    def read(request: Any, scopes: Any) -> tuple[str, dt.datetime]:
        try:
            with path.open("rb") as file:
                token = file.read(TOKEN_BYTES).decode("ascii").strip()
        except (OSError, ValueError) as error:
            raise _unreadable(f"cannot be read: {type(error).__name__}") from error
        if not token:
            raise _unreadable("is empty")
        end = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=TOKEN_S)
        return token, end.replace(tzinfo=None)

    return TokenCredentials(token=None, refresh_handler=read, scopes=[SCOPE])  # type: ignore[no-untyped-call]


def _unreadable(how: str) -> Exception:
    from google.auth import exceptions

    error: Exception = exceptions.RefreshError(f"the access token file {how}")  # type: ignore[no-untyped-call]
    return error


def _default(project: str) -> tuple[Credentials, str]:
    import google.auth
    from google.auth import exceptions

    try:
        found, theirs = google.auth.default(scopes=[SCOPE])
    except exceptions.GoogleAuthError as error:
        raise errors.ConfigurationError(
            f"no credentials for Google Cloud: {output.one_line(str(error), 300)}",
            what_to_do="in a workflow use google-github-actions/auth; on your computer gcloud auth application-default login",
        ) from error
    return found, project or theirs or ""
