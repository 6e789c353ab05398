"""The identity token that GitHub makes for a job with `id-token: write`: a JSON web token that says which job it is."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from accel_ci.domain.errors import AccessError, ConfigurationError, TransientError

URL, BEARER = "ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"
BYTES = 64 * 1024

Request = Callable[..., Any]  # google.auth.transport.Request, with a timeout of its own


class GitHubIdentity:
    """What google-auth calls a subject token supplier, over the variables of a GitHub Actions job."""

    def __init__(self, variables: Mapping[str, str], *, audience: str) -> None:
        self._variables = variables
        self._audience = audience

    def get_subject_token(self, context: object, request: Request) -> str:
        """A new identity token for the audience; nothing of it is kept. Errors say what the workflow lacks."""
        url, bearer = self._variables.get(URL), self._variables.get(BEARER)
        if not url or not bearer:
            raise self._no_permission()
        address = f"{url}{'&' if '?' in url else '?'}audience={quote(self._audience, safe='')}"
        answer = request(url=address, method="GET", headers={"Authorization": f"Bearer {bearer}"})
        if answer.status != 200 and (answer.status < 400 or answer.status >= 500 or answer.status == 429):
            raise TransientError(f"GitHub made no identity token: HTTP {answer.status}", what_to_do="run it again")
        if answer.status != 200:
            raise AccessError(
                f"GitHub refuses to make an identity token: HTTP {answer.status}",
                what_to_do="a job that is over gets none; otherwise look at the `permissions` of the job",
            )
        return _value(answer.data)

    def _no_permission(self) -> ConfigurationError:
        if self._variables.get("GITHUB_ACTIONS") == "true":
            return ConfigurationError(
                "this job may not sign in without a key: it has no permission to get an identity token from GitHub",
                what_to_do="give the job `permissions: {id-token: write}`; GitHub gives it to no `pull_request` of a fork",
            )
        return ConfigurationError(
            "`workload-identity-provider` works in a GitHub Actions job only",
            what_to_do="leave it out here: application default credentials are used, see docs/sign-in.md",
        )


def _value(data: bytes) -> str:
    try:
        value = json.loads(data[:BYTES])["value"]
    except (ValueError, KeyError, TypeError, RecursionError):
        value = None
    if not isinstance(value, str) or not value:
        raise TransientError("GitHub's answer holds no identity token", what_to_do="run it again")
    return value
