"""Signing in without a key: from a job's identity token to an access token, and what is said when somebody refuses."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from accel_ci.adapters import google_exchange
from accel_ci.adapters.files_dir import FilesDirectory
from accel_ci.adapters.google_sign_in import GoogleSignIn
from accel_ci.domain.errors import AccelError, AccessError, ConfigurationError, TransientError
from tests.fakes.clock import FakeClock
from tests.fakes.files import FakeFiles
from tests.servers import identity
from tests.servers.identity import IdentityServer

EXCHANGE, ACT_AS, MINT = "/v1/token", ":generateAccessToken", "/github/oidc/token"


@pytest.fixture
def clock() -> FakeClock:
    """Time that tests move; it begins now, because google-auth reads the real one."""
    return FakeClock(time.time())


@pytest.fixture
def server(clock: FakeClock) -> Iterator[IdentityServer]:
    """GitHub and Google."""
    with identity.opened(clock) as opened:
        yield opened


def sign_in(server: IdentityServer, clock: FakeClock, **given: Any) -> GoogleSignIn:
    """The workflow's own identity, unless said otherwise."""
    given = {"provider": server.service.provider, "files": FakeFiles(), "clock": clock, **given}
    return GoogleSignIn(given.pop("variables", server.variables()), **given)


def token(signed_in: GoogleSignIn) -> str:
    """An access token, as a client of Google's gets it."""
    credentials, _ = signed_in.credentials()
    credentials.refresh(None)  # type: ignore[no-untyped-call]
    assert credentials.valid
    return str(credentials.token)


def who(server: IdentityServer, access_token: str) -> str | None:
    """Whom Google sees behind the token."""
    return server.service.state.who(f"Bearer {access_token}", now=0.0)


def test_the_workflow_acts_as_itself(server: IdentityServer, clock: FakeClock) -> None:
    """Without a service account two calls do: an identity token for the provider's own name, and the exchange."""
    signed_in = sign_in(server, clock)
    principal = who(server, token(signed_in))
    pool = server.service.provider.partition("/providers/")[0]
    assert principal == f"principal://iam.googleapis.com/{pool}/subject/repo:org/hello:ref:refs/heads/main"
    assert server.paths() == [MINT, EXCHANGE]
    assert dict(server.requests[0].query) == {
        "api-version": "2.0",
        "audience": f"https://iam.googleapis.com/{server.service.provider}",
    }
    assert signed_in.credentials()[1] == "", "the number of the pool's project is not the project that pays"


def test_the_workflow_acts_as_a_service_account(server: IdentityServer, clock: FakeClock) -> None:
    """With one, its token is what is used, and its project pays where none is named."""
    signed_in = sign_in(server, clock, account=server.service.account)
    assert who(server, token(signed_in)) == f"serviceAccount:{server.service.account}"
    assert signed_in.credentials()[1] == "sim-project"
    named = sign_in(
        server,
        clock,
        account=server.service.account,
        variables=server.variables() | {"CLOUDSDK_CORE_PROJECT": "other"},
    )
    assert named.credentials()[1] == "other"


@pytest.mark.parametrize(
    ("account", "project"),
    [
        ("ci@my-project.iam.gserviceaccount.com", "my-project"),
        ("ci@proj.example.com.iam.gserviceaccount.com", "example.com:proj"),
        ("123-compute@developer.gserviceaccount.com", ""),
    ],
)
def test_the_project_of_an_account(account: str, project: str) -> None:
    """It stands in the address of accounts that people make, and in no other."""
    assert GoogleSignIn({}, provider="p", account=account).credentials()[1] == project


def test_one_token_serves_all_steps(server: IdentityServer, clock: FakeClock, tmp_path: Path) -> None:
    """What the first step kept, the next ones use without asking anybody; only we can read it."""
    tokens = set()
    for _ in range(3):
        tokens.add(token(sign_in(server, clock, files=FilesDirectory(str(tmp_path)))))
        clock.advance(600)
    assert len(tokens) == 1 and len(server.requests) == 2
    (kept,) = (path for path in tmp_path.rglob("*") if path.is_file())
    assert kept.stat().st_mode & 0o777 == 0o600 and kept.parent.stat().st_mode & 0o777 == 0o700
    assert set(json.loads(kept.read_bytes())) == {"text", "expires_at", "renew_at", "project"}


def test_another_identity_has_another_token(server: IdentityServer, clock: FakeClock) -> None:
    """A job that signs in as two accounts gets each one's own."""
    files = FakeFiles()
    first = token(sign_in(server, clock, files=files))
    second = token(sign_in(server, clock, files=files, account=server.service.account))
    assert first != second and len(files.documents) == 2


def test_a_cancelled_job_signs_in_with_what_is_kept(server: IdentityServer, clock: FakeClock) -> None:
    """GitHub makes no tokens for a job that is over: until its very end the kept one is used, then the refusal is told."""
    files = FakeFiles()
    first = token(sign_in(server, clock, files=files))
    server.turn(sign_in_refused=("github",))
    clock.advance(3500)
    assert token(sign_in(server, clock, files=files)) == first
    clock.advance(95)
    with pytest.raises(AccessError, match="HTTP 401"):
        token(sign_in(server, clock, files=files))


def test_a_broken_document_is_no_document(server: IdentityServer, clock: FakeClock) -> None:
    """Half a file, or one of another version, costs a new sign-in and nothing else."""
    files = FakeFiles()
    first = token(sign_in(server, clock, files=files))
    (name,) = files.documents
    for content in (b"", b"{", b"[]", b'{"text": 1}', b"\xff"):
        files.write(name, content)
        assert token(sign_in(server, clock, files=files)) != first


def test_the_permission_is_missing(server: IdentityServer, clock: FakeClock) -> None:
    """The commonest mistake is told with the line that mends it, before anybody is asked."""
    with pytest.raises(ConfigurationError, match="no permission to get an identity token") as error:
        token(sign_in(server, clock, variables={"GITHUB_ACTIONS": "true"}))
    assert "id-token: write" in error.value.what_to_do and "fork" in error.value.what_to_do
    assert server.requests == []


def test_outside_of_github_actions(server: IdentityServer, clock: FakeClock) -> None:
    """On a laptop the input cannot work, and what does is named."""
    with pytest.raises(ConfigurationError, match="in a GitHub Actions job only") as error:
        token(sign_in(server, clock, variables={}))
    assert "application default credentials" in error.value.what_to_do


CONDITION = "assertion.repository_id == '4711' && assertion.ref == 'refs/heads/main'"


@pytest.mark.parametrize(
    ("knobs", "kind", "says", "fix"),
    [
        ({"sign_in_refused": ("github",)}, AccessError, "HTTP 401", "permissions"),
        (
            {"identity_condition": CONDITION, "identity_claims": {"repository_id": "4712"}},
            AccessError,
            "condition does not let this repository",
            "providers describe projects/",
        ),
        (
            {"identity_condition": CONDITION, "identity_claims": {"ref": "refs/heads/evil"}},
            AccessError,
            "condition does not let this repository",
            "providers describe projects/",
        ),
        (
            {"identity_claims": {"ref": f"refs/heads/{'b' * 120}"}},
            ConfigurationError,
            "attribute mapping does not fit",
            "127 characters",
        ),
        (
            {"sign_in_refused": ("account",)},
            AccessError,
            "may not act as accel-ci@sim-project",
            "roles/iam.workloadIdentityUser",
        ),
    ],
)
def test_refusals_in_plain_words(
    server: IdentityServer, clock: FakeClock, knobs: dict[str, Any], kind: type[AccelError], says: str, fix: str
) -> None:
    """Each says who refuses what, and what to change; whatever is secret stays out of it."""
    server.turn(**knobs)
    with pytest.raises(kind, match=says) as error:
        token(sign_in(server, clock, account=server.service.account))
    assert type(error.value) is kind and fix in error.value.what_to_do
    told = f"{error.value} {error.value.what_to_do}"
    assert not [secret for secret in server.secrets() if secret.removeprefix("Bearer ") in told]


def test_a_condition_that_holds(server: IdentityServer, clock: FakeClock) -> None:
    """The numeric id of the repository lets its own workflow in."""
    server.turn(identity_condition=CONDITION)
    assert token(sign_in(server, clock))


def test_a_provider_that_is_not_there(server: IdentityServer, clock: FakeClock) -> None:
    """Its full name is demanded."""
    with pytest.raises(ConfigurationError, match="no identity provider of this name") as error:
        token(sign_in(server, clock, provider=f"{server.service.provider}-typo"))
    assert "number of the project" in error.value.what_to_do


def test_a_provider_with_another_audience(server: IdentityServer, clock: FakeClock) -> None:
    """One that was made with --allowed-audiences does not take the usual token."""
    server.service.state.providers[server.service.provider].audiences = ("https://example.org",)
    with pytest.raises(ConfigurationError, match="another audience") as error:
        token(sign_in(server, clock))
    assert "--allowed-audiences" in error.value.what_to_do


def test_a_provider_for_others(server: IdentityServer, clock: FakeClock) -> None:
    """One that trusts another issuer lets no GitHub workflow in."""
    server.service.state.providers[server.service.provider].issuer = "https://gitlab.com"
    with pytest.raises(ConfigurationError, match="does not trust GitHub"):
        token(sign_in(server, clock))


@pytest.mark.parametrize("part", [MINT, EXCHANGE, ACT_AS])
@pytest.mark.parametrize("status", [503, 0])
def test_one_hiccup_is_nothing(server: IdentityServer, clock: FakeClock, part: str, status: int) -> None:
    """An overloaded server or a cut connection, once, at any of the three: asked again, and signed in."""
    server.broken = {part: [status]}
    assert token(sign_in(server, clock, account=server.service.account))


@pytest.mark.parametrize("part", [MINT, EXCHANGE, ACT_AS])
@pytest.mark.parametrize("status", [503, 0])
def test_an_outage_is_transient(server: IdentityServer, clock: FakeClock, part: str, status: int) -> None:
    """Nothing is wrong with the workflow then, and the error says so by its kind."""
    server.broken = {part: [status] * 8}
    with pytest.raises(TransientError):
        token(sign_in(server, clock, account=server.service.account))
    assert len(server.broken[part]) == 6


@pytest.mark.parametrize("part", [MINT, EXCHANGE, ACT_AS])
def test_silence_has_a_limit(
    server: IdentityServer, clock: FakeClock, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is waited for longer than the limit, twice: a cancelled job has no time to lose."""
    monkeypatch.setattr(google_exchange, "CALL_S", 0.1)
    server.broken = {part: [-1, -1]}
    with pytest.raises(TransientError):
        token(sign_in(server, clock, account=server.service.account))
    assert server.broken[part] == []


def test_credentials_of_a_file_are_kept_too(
    server: IdentityServer, clock: FakeClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What google-github-actions/auth leaves is made from identity tokens as well: cleanup gets in when the file is gone."""
    audience = f"https://iam.googleapis.com/{server.service.provider}"
    document = {
        "type": "external_account",
        "audience": audience.removeprefix("https:"),
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": f"{server.url}{EXCHANGE}",
        "service_account_impersonation_url": f"{server.url}/v1/projects/-/serviceAccounts/{server.service.account}{ACT_AS}",
        "credential_source": {
            "url": f"{server.url}{MINT}?audience={audience}",
            "headers": {"Authorization": f"Bearer {server.service.bearer}"},
            "format": {"type": "json", "subject_token_field_name": "value"},
        },
    }
    file, files = tmp_path / "gha-creds.json", FakeFiles()
    file.write_text(json.dumps(document))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
    variables = {"GOOGLE_APPLICATION_CREDENTIALS": str(file), "CLOUDSDK_CORE_PROJECT": "p"}
    # It would ask the real resource manager, for which there is no simulator.
    monkeypatch.setattr("google.auth.identity_pool.Credentials.get_project_id", lambda *_, **__: None)
    first = token(sign_in(server, clock, provider="", variables=variables, files=files))
    assert who(server, first) == f"serviceAccount:{server.service.account}"
    file.unlink()
    server.turn(sign_in_refused=("github",))
    again = sign_in(server, clock, provider="", variables=variables, files=files)
    assert token(again) == first and again.credentials()[1] == "p"
