"""Keyless sign-in on the wire, judged by google-auth and by gcloud; and what the token service refuses."""

from __future__ import annotations

import json
import subprocess
from typing import Any
from urllib.parse import urlencode

import pytest

from accel_ci_sim.wire import identity_tokens
from accel_ci_sim.wire.identity_tokens import Signer
from tests import judges
from tests.servers.simulator import SimulatorProcess

NODES = "/v2/projects/p/locations/us-central1-b/nodes"
JWT = "urn:ietf:params:oauth:token-type:jwt"
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
Call = tuple[int, Any]


def minted(simulator: SimulatorProcess, audience: str = "") -> str:
    """An identity token of the job, by default for the provider's own name."""
    path = simulator.exports["ACTIONS_ID_TOKEN_REQUEST_URL"].removeprefix(simulator.url)
    audience = audience or f"https://iam.googleapis.com/{simulator.exports['ACCEL_CI_SIM_PROVIDER']}"
    bearer = {"Authorization": f"Bearer {simulator.exports['ACTIONS_ID_TOKEN_REQUEST_TOKEN']}"}
    status, document = simulator.call("GET", f"{path}&{urlencode({'audience': audience})}", headers=bearer)
    assert status == 200, document
    return str(document["value"])


def exchanged(simulator: SimulatorProcess, token: str, **fields: str) -> Call:
    """What the token service says."""
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "audience": f"//iam.googleapis.com/{simulator.exports['ACCEL_CI_SIM_PROVIDER']}",
        "scope": SCOPE,
        "requested_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "subject_token": token,
        "subject_token_type": JWT,
    } | fields
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    return simulator.call("POST", "/v1/token", urlencode(form).encode(), kind)


def listed(simulator: SimulatorProcess, access_token: str) -> int:
    """The status of a listing with this token."""
    return simulator.call("GET", NODES, headers={"Authorization": f"Bearer {access_token}"})[0]


def test_google_auth_signs_in_with_the_file(simulator: SimulatorProcess) -> None:
    """The credential file is one that Google's library reads, and its token is let in where nobody else is."""
    from google.auth import identity_pool
    from google.auth.transport.requests import Request

    simulator.turn(sign_in_required=True)
    assert simulator.call("GET", NODES)[0] == 401
    file = simulator.exports["ACCEL_CI_SIM_CREDENTIAL_FILE"]
    credentials = identity_pool.Credentials.from_file(file, scopes=[SCOPE])  # type: ignore[no-untyped-call]
    credentials.refresh(Request())
    assert listed(simulator, credentials.token) == 200
    assert credentials.service_account_email == simulator.exports["ACCEL_CI_SIM_SERVICE_ACCOUNT"]


@pytest.mark.judge("gcloud")
def test_gcloud_signs_in_with_the_file(simulator: SimulatorProcess) -> None:
    """`gcloud auth login --cred-file` takes it, and gcloud lists TPUs with what it got."""
    simulator.turn(sign_in_required=True)
    environ = {name: value for name, value in simulator.environ.items() if name != "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE"}

    def gcloud(*words: str) -> subprocess.CompletedProcess[str]:
        command = [judges.require("gcloud"), *words, "--quiet"]
        return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)

    login = gcloud("auth", "login", f"--cred-file={simulator.exports['ACCEL_CI_SIM_CREDENTIAL_FILE']}")
    assert login.returncode == 0, login.stderr
    try:
        nodes = gcloud("compute", "tpus", "tpu-vm", "list", "--format=json")
        assert nodes.returncode == 0 and json.loads(nodes.stdout) == [], nodes.stderr
    finally:
        gcloud("auth", "revoke", "--all")


def test_the_identity_token_is_githubs(simulator: SimulatorProcess) -> None:
    """Signed with a key of the published set, with GitHub's issuer, the audience asked for, numeric ids, minutes to live."""
    keys = simulator.call("GET", "/github/oidc/.well-known/jwks")[1]
    claims = identity_tokens.claims(minted(simulator, "a b&c"), keys)
    assert claims is not None
    assert (claims["aud"], claims["iss"]) == ("a b&c", "https://token.actions.githubusercontent.com")
    assert (claims["repository_id"], claims["sub"]) == ("4711", "repo:org/hello:ref:refs/heads/main")
    assert claims["exp"] - claims["iat"] == 300


def test_only_the_job_gets_an_identity_token(simulator: SimulatorProcess) -> None:
    """Without the job's secret there is none."""
    path = simulator.exports["ACTIONS_ID_TOKEN_REQUEST_URL"].removeprefix(simulator.url)
    assert simulator.call("GET", path)[0] == 401
    assert simulator.call("GET", path, headers={"Authorization": "Bearer wrong"})[0] == 401


def test_a_living_token_is_let_in(simulator: SimulatorProcess) -> None:
    """The exchange gives a token that works; another one, none, and one that has ended do not."""
    status, document = exchanged(simulator, minted(simulator))
    assert (status, document["token_type"], document["expires_in"]) == (200, "Bearer", 3600)
    simulator.turn(sign_in_required=True)
    assert listed(simulator, document["access_token"]) == 200
    assert listed(simulator, "wrong") == 401 and simulator.call("GET", NODES)[0] == 401
    simulator.turn(sign_in_required=True, sign_in_s=0)
    ended = exchanged(simulator, minted(simulator))[1]["access_token"]
    assert listed(simulator, ended) == 401


def tampered(token: str) -> str:
    """The same token for another repository."""
    head, body, signature = token.split(".")
    return f"{head}.{body[:-2]}{'AA' if not body.endswith('AA') else 'BB'}.{signature}"


def test_a_forged_token_is_worth_nothing(simulator: SimulatorProcess) -> None:
    """Changed claims, another key under the same name, no signature, the algorithm `none`, and noise: all are refused."""
    token = minted(simulator)
    head, body, _ = token.split(".")
    keys = simulator.call("GET", "/github/oidc/.well-known/jwks")[1]
    claims = identity_tokens.claims(token, keys)
    assert claims is not None
    unsigned = f"eyJhbGciOiJub25lIn0.{body}."
    for forged in (tampered(token), Signer().token(claims), f"{head}.{body}.", unsigned, "", "a.b.c", "ä"):
        status, document = exchanged(simulator, forged)
        assert (status, document["error"]) == (400, "invalid_grant"), forged


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        (
            {"audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/a/providers/b"},
            "invalid_target",
        ),
        ({"audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/a"}, "invalid_request"),
        ({"audience": "github"}, "invalid_request"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"subject_token_type": "urn:ietf:params:oauth:token-type:saml2"}, "unsupported_grant_type"),
        ({"scope": ""}, "invalid_scope"),
    ],
)
def test_refused_exchanges(simulator: SimulatorProcess, fields: dict[str, str], error: str) -> None:
    """Each mistake has OAuth's own word."""
    status, document = exchanged(simulator, minted(simulator), **fields)
    assert (status, document["error"]) == (400, error)


def test_a_token_for_somebody_else(simulator: SimulatorProcess) -> None:
    """One that was made for another audience is not taken, so that a service it was shown to cannot use it here."""
    status, document = exchanged(simulator, minted(simulator, "https://example.org"))
    assert (status, document["error"]) == (400, "invalid_grant") and "example.org" in document["error_description"]


def test_acting_as_an_account_that_is_not_ours(simulator: SimulatorProcess) -> None:
    """Nobody may, and the answer does not tell whether it exists."""
    token = exchanged(simulator, minted(simulator))[1]["access_token"]
    path = "/v1/projects/-/serviceAccounts/admin@p.iam.gserviceaccount.com:generateAccessToken"
    status, document = simulator.call("POST", path, {}, {"Authorization": f"Bearer {token}"})
    assert (status, document["error"]["status"]) == (403, "PERMISSION_DENIED")
    assert "or it may not exist" in document["error"]["message"]


@pytest.mark.parametrize("lifetime", ["7200s", "-1s", "soon"])
def test_a_lifetime_that_no_token_has(simulator: SimulatorProcess, lifetime: str) -> None:
    """An hour is the most."""
    token = exchanged(simulator, minted(simulator))[1]["access_token"]
    path = f"/v1/projects/-/serviceAccounts/{simulator.exports['ACCEL_CI_SIM_SERVICE_ACCOUNT']}:generateAccessToken"
    status, _ = simulator.call("POST", path, {"lifetime": lifetime}, {"Authorization": f"Bearer {token}"})
    assert status == 400
