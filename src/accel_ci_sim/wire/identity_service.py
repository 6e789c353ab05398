"""Signing in without a key, over HTTP: GitHub's identity tokens, Google's token exchange, and acting as a service account.

https://docs.github.com/actions/reference/security/oidc · https://cloud.google.com/iam/docs/reference/sts/rest/v1/TopLevel/token
https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/generateAccessToken
"""

from __future__ import annotations

import json
import re
import secrets
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

from accel_ci_sim.wire import identity_tokens
from accel_ci_sim.wire.http_server import Answer, Request
from accel_ci_sim.wire.identity_tokens import Signer
from accel_ci_sim.world import tpu, tpu_status
from accel_ci_sim.world.identity import GITHUB, LIFETIME_S, Identities, Provider, SignInError
from accel_ci_sim.world.tpu_knobs import Knobs
from accel_ci_sim.world.tpu_status import Code, RefusedError, Status

ISSUER = "/github/oidc"
ACT_AS = re.compile(r"/v1/projects/-/serviceAccounts/([^/:]+):generateAccessToken")
TOKEN_TYPES = ("urn:ietf:params:oauth:token-type:jwt", "urn:ietf:params:oauth:token-type:id_token")
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
IDENTITY_S = 300
JOB = {
    "repository": "org/hello",
    "repository_id": "4711",
    "repository_owner": "org",
    "repository_owner_id": "17",
    "repository_visibility": "public",
    "ref": "refs/heads/main",
    "ref_type": "branch",
    "event_name": "push",
    "actor": "ada",
    "actor_id": "23",
    "run_id": "77",
    "run_number": "7",
    "run_attempt": "1",
    "workflow": "tests",
    "workflow_ref": "org/hello/.github/workflows/tests.yml@refs/heads/main",
    "job_workflow_ref": "org/hello/.github/workflows/tests.yml@refs/heads/main",
    "runner_environment": "github-hosted",
}


class IdentityService:
    """Answers what belongs to signing in, and says who may use the rest. `bearer` is the job's secret for GitHub."""

    def __init__(self, project: str, knobs: Callable[[], Knobs], *, now: Callable[[], float]) -> None:
        self._knobs = knobs
        self._now = now
        self._signer = Signer()
        self.bearer = secrets.token_hex(16)
        number = tpu.project_number(project)
        self.provider = f"projects/{number}/locations/global/workloadIdentityPools/github/providers/github"
        self.account = f"accel-ci@{project}.iam.gserviceaccount.com"
        self.state = Identities(providers={self.provider: Provider(name=self.provider)})

    def answer(self, request: Request) -> Answer | None:
        """The answer; None for a request that has nothing to do with signing in."""
        if request.path.startswith(ISSUER):
            return self._github(request, request.path.removeprefix(ISSUER))
        if (request.method, request.path) == ("POST", "/v1/token"):
            return self._exchanged(request)
        match = ACT_AS.fullmatch(request.path)
        return self._acting(request, match[1]) if match and request.method == "POST" else None

    def admit(self, request: Request) -> None:
        """RefusedError for a request that nobody signed in for, where the knob says that somebody must."""
        who = self.state.who(request.headers.get("authorization", ""), now=self._now())
        if self._knobs().sign_in_required and who is None:
            raise RefusedError(
                Status(
                    Code.UNAUTHENTICATED,
                    "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other"
                    " valid authentication credential.",
                )
            )

    def _github(self, request: Request, path: str) -> Answer:
        match path:
            case "/.well-known/jwks":
                return Answer(200, self._signer.keys())
            case "/.well-known/openid-configuration":
                algorithms = {"id_token_signing_alg_values_supported": ["RS256"]}
                return Answer(200, {"issuer": GITHUB, "jwks_uri": f"{ISSUER}/.well-known/jwks", **algorithms})
            case "/token" if request.method == "GET":
                return self._identity(request)
        return Answer(404, {"message": "Not Found"})

    def _identity(self, request: Request) -> Answer:
        """A new identity token of the job, for the audience that was asked for."""
        if request.headers.get("authorization") != f"Bearer {self.bearer}" or "github" in self._knobs().sign_in_refused:
            return Answer(401, {"message": "Unauthorized"})
        job, now = JOB | self._knobs().identity_claims, int(self._now())
        subject = {"sub": f"repo:{job['repository']}:ref:{job['ref']}"}
        audience = dict(request.query).get("audience") or f"https://github.com/{job['repository_owner']}"
        times = {"jti": str(uuid.uuid4()), "iss": GITHUB, "nbf": now - 300, "exp": now + IDENTITY_S, "iat": now}
        token = self._signer.token({**subject, "aud": audience, **job, **times})
        return Answer(200, {"count": len(token), "value": token})

    def _exchanged(self, request: Request) -> Answer:
        """The token service: an identity token for an access token."""
        asked = {name: values[-1] for name, values in parse_qs(request.body.decode("latin-1")).items()}
        try:
            token = self._federated(asked)
        except SignInError as refusal:
            return Answer(400, {"error": refusal.error, "error_description": refusal.description})
        access_token = "urn:ietf:params:oauth:token-type:access_token"
        return Answer(
            200,
            {
                "access_token": token,
                "issued_token_type": access_token,
                "token_type": "Bearer",
                "expires_in": int(self._knobs().sign_in_s),
            },
        )

    def _federated(self, asked: dict[str, str]) -> str:
        if asked.get("grant_type") != EXCHANGE or asked.get("subject_token_type") not in TOKEN_TYPES:
            raise SignInError("unsupported_grant_type", "Only a token exchange of a JSON web token is known here.")
        if not asked.get("scope"):
            raise SignInError("invalid_scope", "Empty or missing scope not allowed.")
        if "google" in self._knobs().sign_in_refused:
            raise SignInError("unauthorized_client", "The given credential is rejected by the attribute condition.")
        provider = self.state.provider(asked.get("audience", ""))
        provider.condition = self._knobs().identity_condition or provider.condition
        claims = identity_tokens.claims(asked.get("subject_token", ""), self._signer.keys())
        if claims is None:
            raise SignInError("invalid_grant", "Unable to verify the ID Token signature.")
        return self._granted(self.state.check(provider, claims, now=self._now()), lasts_s=self._knobs().sign_in_s)

    def _granted(self, principal: str, *, lasts_s: float) -> str:
        token = f"ya29.simulated-{secrets.token_hex(16)}"
        self.state.grant(token, principal, expires_at=self._now() + lasts_s)
        return token

    def _acting(self, request: Request, account: str) -> Answer:
        """IAM credentials: an access token of a service account, for a principal that may act as it."""
        principal = self.state.who(request.headers.get("authorization", ""), now=self._now())
        if principal is None:
            raise RefusedError(Status(Code.UNAUTHENTICATED, "Request had invalid authentication credentials."))
        # Whoever the pool lets in may act as its own account, as in the guide; others have to be told.
        pooled = account == self.account and principal.startswith("principal://")
        allowed = pooled or self.state.may_act_as(principal, account)
        if not allowed or "account" in self._knobs().sign_in_refused:
            raise RefusedError(_denied())
        lasts_s = min(_lifetime(request.body), LIFETIME_S, self._knobs().sign_in_s)
        ends_at = datetime.fromtimestamp(int(self._now() + lasts_s), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return Answer(
            200, {"accessToken": self._granted(f"serviceAccount:{account}", lasts_s=lasts_s), "expireTime": ends_at}
        )


def _lifetime(body: bytes) -> float:
    try:
        document: Any = json.loads(body or b"{}")
        lasts_s = float(str(document.get("lifetime", "3600s")).removesuffix("s"))
    except (ValueError, AttributeError) as error:
        raise tpu_status.invalid("Request contains an invalid argument.") from error
    if not 0 < lasts_s <= LIFETIME_S:
        raise tpu_status.invalid("Request contains an invalid argument.")
    return lasts_s


def _denied() -> Status:
    detail = {
        "@type": f"{tpu_status.TYPES}ErrorInfo",
        "reason": "IAM_PERMISSION_DENIED",
        "domain": "iam.googleapis.com",
        "metadata": {"permission": "iam.serviceAccounts.getAccessToken"},
    }
    text = "Permission 'iam.serviceAccounts.getAccessToken' denied on resource (or it may not exist)."
    return Status(Code.PERMISSION_DENIED, text, (detail,))
