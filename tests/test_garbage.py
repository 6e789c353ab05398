"""APIs that answer anything but what they should: one error of ours, in bounded time, and no token in it or anywhere else."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from accel_ci import cli, wiring
from accel_ci.adapters import bounded_http, gce_instances, google_calls, tpu_nodes
from accel_ci.adapters.gce_api import GceApi
from accel_ci.adapters.github_calls import Calls
from accel_ci.adapters.github_rest import GitHubRest
from accel_ci.adapters.google_exchange import IAM, STS, Exchange
from accel_ci.adapters.system_clock import SystemClock
from accel_ci.adapters.tpu_api import TpuApi
from accel_ci.domain.check import Check
from accel_ci.domain.errors import CloudError, ConfigurationError
from tests.fakes.clock import FakeClock
from tests.fakes.entropy import FakeEntropy
from tests.servers import garbage
from tests.servers.garbage import ANSWERS, Garbage, GarbageServer
from tests.wire.github import description

TOKEN = "ya29.a-token-that-nobody-may-see"
SHA = "a" * 40
PROVIDER = "projects/1/locations/global/workloadIdentityPools/github/providers/github"
ACCOUNT = "accel-ci@p.iam.gserviceaccount.com"
FASTER = 60.0
Ask = Callable[[], object]
Call = Callable[..., "Ended"]


class FastClock:
    """A minute a second."""

    def __init__(self) -> None:
        self._began = time.time()

    def now(self) -> float:
        return self._began + FASTER * (time.time() - self._began)

    def sleep(self, seconds: float) -> None:
        time.sleep(max(0.0, seconds) / FASTER)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is waited for is waited for briefly."""
    monkeypatch.setattr(google_calls, "PAUSE_S", 0.001)
    monkeypatch.setattr(bounded_http, "SECONDS", 0.1)
    monkeypatch.setattr(bounded_http, "BYTES", 4 << 20)


@pytest.fixture
def elsewhere() -> Iterator[GarbageServer]:
    """Another host, where nothing of ours has any business."""
    with garbage.serving() as server:
        server.url = server.url.replace("127.0.0.1", "localhost")
        yield server
        assert server.seen == []


def signed_in(place: Path) -> dict[str, str]:
    """The variables of somebody who is signed in by a token in a file."""
    (place / "token").write_text(TOKEN)
    return {"CLOUDSDK_AUTH_ACCESS_TOKEN_FILE": str(place / "token"), "CLOUDSDK_CORE_PROJECT": "p"}


def gce(url: str, place: Path) -> dict[str, Ask]:
    """What we ask of Compute Engine, by name."""
    api = GceApi({"CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE": f"{url}/compute/v1/", **signed_in(place)})
    there = gce_instances.Place("p", "us-central1-b", "n")
    return {
        "get": lambda: api.instance(there),
        "list": lambda: list(api.listed("x")),
        "insert": lambda: api.insert(there, {"name": "n"}, request_id="1"),
        "delete": lambda: api.delete(there),
        "operation": lambda: api.operation(there, "o"),
    }


def tpu(url: str, place: Path) -> dict[str, Ask]:
    """What we ask of the Cloud TPU API."""
    api = TpuApi({"CLOUDSDK_API_ENDPOINT_OVERRIDES_TPU": f"{url}/", **signed_in(place)})
    there = tpu_nodes.Place("p", "us-central1-b", "n")
    return {
        "get": lambda: api.node(there),
        "queued": lambda: api.queued(there),
        "list": lambda: list(api.nodes()),
        "create": lambda: api.create_node(there, {}),
        "delete": lambda: api.delete_node(there),
        "operation": lambda: api.operation("projects/p/locations/us-central1-b/operations/o"),
    }


def github(url: str, place: Path) -> dict[str, Ask]:
    """What we ask of GitHub."""

    def api() -> GitHubRest:
        """One step's, with a budget of its own."""
        return GitHubRest(Calls(TOKEN, "org/hello", api_url=url, clock=FakeClock(), entropy=FakeEntropy()))

    check = Check(sha=SHA, name="n", external_id="1", title="t", summary="s", text="t", url="")
    return {
        "role": lambda: api().role("ada"),
        "pull request": lambda: api().pull_request(5),
        "files": lambda: list(api().changed_files(5)),
        "push": lambda: api().last_push("main"),
        "change": lambda: api().last_change(".github/workflows/tests.yml"),
        "approvals": lambda: api().approvers(5, SHA),
        "check": lambda: api().put_check(check),
        "comment": lambda: api().put_comment(5, "report", "text"),
        "issue": lambda: api().open_issue("issue", "title", "text"),
        "label": lambda: api().issues("issue"),
        "runs": lambda: api().waiting_runs("tests.yml"),
        "run": lambda: api().run(7),
    }


def sign_in(url: str, place: Path) -> dict[str, Ask]:
    """What we ask to be signed in, with garbage from GitHub, from the token service, and from IAM."""
    identity = {"GITHUB_ACTIONS": "true", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": TOKEN}

    def exchange(**hosts: str) -> Ask:
        variables = identity | {"ACTIONS_ID_TOKEN_REQUEST_URL": f"{hosts.pop('oidc', url)}/token", **hosts}
        return Exchange(variables, provider=PROVIDER, account=ACCOUNT, clock=SystemClock()).token

    return {"identity token": exchange(**{STS: url, IAM: url})}


APIS = (gce, tpu, github, sign_in)
# Google leaves out what is empty: its listing of no nodes is this very document.
EMPTY = {("tpu", "list", told) for told in ("another document", "another alphabet", "limits that are none")}


@pytest.mark.parametrize("told", ANSWERS)
@pytest.mark.parametrize("api", APIS, ids=lambda api: api.__name__)
def test_garbage_is_an_error_of_ours(
    api: Callable[[str, Path], dict[str, Ask]], told: str, elsewhere: GarbageServer, tmp_path: Path
) -> None:
    """Whatever is asked, garbage is no answer: not an empty one, not a machine that is gone, and no trouble of our own."""
    with garbage.serving(ANSWERS[told], elsewhere=elsewhere.url) as server:
        for name, ask in api(server.url, tmp_path).items():
            if (api.__name__, name, told) in EMPTY:
                continue
            with pytest.raises((CloudError, ConfigurationError)) as caught:
                pytest.fail(f"{name} takes it for {ask()!r}")
            text = f"{caught.value} {caught.value.what_to_do}"
            assert TOKEN not in text and "\n" not in text and len(text) < 900
            assert caught.value.what_to_do


@pytest.fixture
def everything(elsewhere: GarbageServer) -> Iterator[GarbageServer]:
    """A server that gives one kind of garbage after the other."""
    with garbage.serving(*ANSWERS.values(), elsewhere=elsewhere.url) as server:
        yield server


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a verb ended: its exit code and all that it said."""

    code: int
    said: str


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Call:
    """The program in this process, on a clock that is fast, in an environment of nothing but these variables."""
    monkeypatch.setattr(wiring, "SystemClock", FastClock)
    monkeypatch.chdir(tmp_path)

    def run(*words: str, **environ: str) -> Ended:
        for name in [*os.environ]:
            if name not in ("PATH", "LANG"):
                monkeypatch.delenv(name)
        for name, value in ({"HOME": str(tmp_path)} | environ).items():
            monkeypatch.setenv(name, value)
        code = cli.main(words)
        told = capsys.readouterr()
        return Ended(code=code, said=told.out + told.err)

    return run


def endpoints(url: str) -> dict[str, str]:
    """Both clouds, at one address."""
    return {
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE": f"{url}/compute/v1/",
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_TPU": f"{url}/",
    }


LEASES = {"gce": "e2-standard-2", "tpu": "v6e-1"}
VERBS = {
    "provision": (("--zones", "us-central1-b"), (3, 5)),
    "cleanup": ((), (5,)),
    "cleanup --mode sweep": ((), (5,)),
    "list": ((), (3,)),
}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("backend", LEASES)
def test_a_verb_that_meets_garbage_only(
    verb: str, backend: str, call: Call, everything: GarbageServer, tmp_path: Path
) -> None:
    """One error, the cloud's exit code, or that of a cleanup without proof with the commands; no traceback, no token."""
    more, codes = VERBS[verb]
    lease = ("--accelerator", LEASES[backend]) if verb == "provision" else ()
    ended = call(*verb.split(), "--backend", backend, *lease, *more, **endpoints(everything.url), **signed_in(tmp_path))
    assert ended.code in codes, ended.said
    assert "Traceback" not in ended.said and TOKEN not in ended.said
    assert len(re.findall("^error: accel-ci:", ended.said, re.MULTILINE)) == 1
    assert "What to do: " in ended.said
    assert ended.code != 5 or "gcloud compute" in ended.said


def job(place: Path, github_url: str) -> dict[str, str]:
    """The variables of a job of a pull request that somebody labelled."""
    event = description.event("pull_request.labeled")
    (place / "event.json").write_text(json.dumps(event))
    facts = {"EVENT_NAME": "pull_request_target", "JOB": "gate", "REPOSITORY": "org/hello", "REPOSITORY_ID": "4711"}
    facts |= {"RUN_ID": "77", "SHA": SHA, "EVENT_PATH": str(place / "event.json"), "TOKEN": TOKEN, "ACTIONS": "true"}
    facts |= {"API_URL": github_url, "REF": f"refs/pull/{event['number']}/merge", "ACTOR": event["sender"]["login"]}
    return {f"GITHUB_{name}": value for name, value in facts.items()} | {"RUNNER_TEMP": str(place)}


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("gate", "--label", "bug"), 3),
        (("reap-queued", "--workflows", "tests.yml"), 3),
        (("report",), 0),
    ],
    ids=lambda words: str(words[0]) if isinstance(words, tuple) else "",
)
def test_github_gives_garbage_only(
    words: tuple[str, ...], code: int, call: Call, everything: GarbageServer, tmp_path: Path
) -> None:
    """gate lets nobody in, and nothing is cancelled; a report that cannot be written is a warning, and no verdict."""
    ended = call(*words, **job(tmp_path, everything.url))
    assert ended.code == code, ended.said
    assert "Traceback" not in ended.said and TOKEN not in ended.said.replace(f"::add-mask::{TOKEN}", "")
    assert len(re.findall("^::error", ended.said, re.MULTILINE)) == (code != 0)
    assert ("What to do: " if code else "::warning") in ended.said
    assert "grant=" not in ended.said and b"POST" not in b"".join(everything.seen)


@pytest.mark.parametrize("told", ["502", "404", "another document", "moved elsewhere"])
def test_the_token_service_gives_garbage(told: str, elsewhere: GarbageServer) -> None:
    """Between GitHub's good identity token and IAM: the one in the request's body goes to no other host either."""
    good = Garbage(body=json.dumps({"value": "head.identity.tail"}).encode())
    with garbage.serving(good) as oidc, garbage.serving(ANSWERS[told], elsewhere=elsewhere.url) as server:
        variables = {
            "GITHUB_ACTIONS": "true",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": TOKEN,
            STS: server.url,
            IAM: server.url,
        }
        variables["ACTIONS_ID_TOKEN_REQUEST_URL"] = f"{oidc.url}/token"
        with pytest.raises((CloudError, ConfigurationError)) as caught:
            Exchange(variables, provider=PROVIDER, account=ACCOUNT, clock=SystemClock()).token()
    assert "head.identity.tail" not in str(caught.value) and b"head.identity.tail" in server.seen[0]
