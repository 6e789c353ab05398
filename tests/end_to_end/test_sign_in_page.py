"""The commands of docs/sign-in.md, run as they stand there by the real gcloud; and whom they let in."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from accel_ci_sim.wire.identity_service import JOB
from accel_ci_sim.world.identity import GITHUB, Identities, Provider, SignInError
from tests.house.source_tree import REPOSITORY
from tests.servers.google_setup import NUMBER, SetupServer
from tests.servers.proxy import Serving

PAGE = (REPOSITORY / "docs" / "sign-in.md").read_text()
POOL = f"projects/{NUMBER}/locations/global/workloadIdentityPools/github"
PROJECT, ACCOUNT = "my-ci-project", "accel-ci@my-ci-project.iam.gserviceaccount.com"
MEMBER = f"principalSet://iam.googleapis.com/{POOL}/attribute.repository_id/4711"
pytestmark = [pytest.mark.judge("gcloud")]


def block(begins: str) -> str:
    """The block of commands that begins so."""
    blocks = re.finditer(r"```bash\n(.*?)```", PAGE, re.DOTALL)
    return next(found[1] for found in blocks if found[1].startswith(begins))


@pytest.fixture(scope="module")
def google(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SetupServer, str]]:
    """What Google was asked by both blocks, and what they printed."""
    home, serving = tmp_path_factory.mktemp("home"), Serving()
    server = SetupServer(serving)
    try:
        yield server, ran(f"set -euo pipefail\n{block('PROJECT=')}\n{block('gcloud projects')}", home, server)
    finally:
        server.close()
        serving.close()


def ran(script: str, home: Path, server: SetupServer) -> str:
    """What the script printed; it must succeed."""
    (home / "token").write_text("a-token")
    settings = {
        "CLOUDSDK_CONFIG": str(home / "gcloud"),
        "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE": str(home / "token"),
        "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
        "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "1",
        "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK": "1",
    }
    environ = {"PATH": os.environ["PATH"], "HOME": str(home), **settings, **server.environment()}
    done = subprocess.run(["bash", "-c", script], env=environ, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def provider(server: SetupServer) -> Provider:
    """The identity provider that the commands made."""
    body = server.made[f"projects/{PROJECT}/locations/global/workloadIdentityPools/github/providers/github"]
    return Provider(
        name=f"{POOL}/providers/github",
        issuer=body["oidc"]["issuerUri"],
        audiences=tuple(body["oidc"].get("allowedAudiences", ())),
        condition=body["attributeCondition"],
        subject=body["attributeMapping"]["google.subject"],
    )


def test_what_it_prints_are_the_inputs(google: tuple[SetupServer, str]) -> None:
    """The last lines can be pasted into the workflow."""
    printed = dict(line.split(": ") for line in google[1].splitlines() if line.startswith(("workload", "service")))
    assert printed == {"workload-identity-provider": f"{POOL}/providers/github", "service-account": ACCOUNT}


def test_the_grants(google: tuple[SetupServer, str]) -> None:
    """The repository, by its number, may act as the account; the account, and in the second way the repository, leases TPUs."""
    server = google[0]
    assert server.members(f"projects/{PROJECT}/serviceAccounts/{ACCOUNT}", "roles/iam.workloadIdentityUser") == [MEMBER]
    assert server.members(f"projects/{PROJECT}", "roles/tpu.admin") == [f"serviceAccount:{ACCOUNT}", MEMBER]
    body = server.made[f"projects/{PROJECT}/locations/global/workloadIdentityPools/github/providers/github"]
    assert body["attributeMapping"]["attribute.repository_id"] == "assertion.repository_id"
    assert "sts.googleapis.com" in server.made[f"projects/{PROJECT}/services:batchEnable"]["serviceIds"]


@pytest.mark.parametrize(
    ("claims", "let_in"),
    [
        ({}, True),
        ({"event_name": "schedule"}, True),
        ({"event_name": "pull_request_target"}, True),
        ({"event_name": "pull_request", "ref": "refs/pull/7/merge"}, False),
        ({"event_name": "pull_request"}, False),
        ({"ref": "refs/heads/evil"}, False),
        ({"repository_id": "4712"}, False),
        ({"repository_id": "47110"}, False),
        ({"repository": "thief/hello", "repository_id": "666"}, False),
        ({"repository": "org/renamed"}, True),
    ],
)
def test_whom_the_condition_lets_in(google: tuple[SetupServer, str], claims: dict[str, str], let_in: bool) -> None:
    """Runs of main of this very repository, whatever it is called by now; nobody else, whatever they call themselves."""
    made, token = provider(google[0]), {**JOB, **claims, "iss": GITHUB, "nbf": 0, "exp": 10}
    token["aud"] = f"https://iam.googleapis.com/{made.name}"
    if let_in:
        principal = Identities().check(made, token, now=5)
        assert principal == f"principal://iam.googleapis.com/{POOL}/subject/4711/77/1"
    else:
        with pytest.raises(SignInError, match="attribute condition"):
            Identities().check(made, token, now=5)
