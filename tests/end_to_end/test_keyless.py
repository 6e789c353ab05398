"""A workflow with nothing but `id-token: write`, in a real runner, on a cloud that lets nobody in without signing in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from accel_ci.domain.verdict import Verdict
from tests.end_to_end import runner as runners
from tests.end_to_end.runner import ALWAYS, Runner, uses
from tests.end_to_end.terminal import Terminal
from tests.servers.simulator import SimulatorProcess

CONDITION = "assertion.repository_id == '4711' && assertion.ref == 'refs/heads/main'"
KEYS = ("CLOUDSDK_AUTH_ACCESS_TOKEN_FILE", "PATH")  # what leads to a key, and what only a terminal needs
TPU = {"accelerator": "v6e-1", "backend": "tpu", "zones": "us-central1-b"}


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[SimulatorProcess]:
    """A cloud that refuses every call without a token of its own, and whose provider trusts one repository's main branch."""
    simulator = SimulatorProcess(tmp_path / "cloud")
    try:
        simulator.turn(sign_in_required=True, identity_condition=CONDITION)
        yield simulator
    finally:
        simulator.close()


def variables(cloud: SimulatorProcess) -> dict[str, Any]:
    """What the job sees of it."""
    return {name: value for name, value in cloud.exports.items() if name not in KEYS}


def identity(cloud: SimulatorProcess) -> dict[str, str]:
    """The two inputs."""
    return {
        "workload-identity-provider": cloud.exports["ACCEL_CI_SIM_PROVIDER"],
        "service-account": cloud.exports["ACCEL_CI_SIM_SERVICE_ACCOUNT"],
    }


@pytest.mark.judge("node")
@pytest.mark.judge("ssh")
def test_a_workflow_without_any_key(runner: Runner, cloud: SimulatorProcess) -> None:
    """Machine, tests and cleanup; one sign-in serves the whole job, the cleanup job has its own, and no log holds a secret."""
    assert cloud.call("GET", "/v2/projects/sim-project/locations/us-central1-b/nodes")[0] == 401
    steps: list[dict[str, Any]] = [
        uses("provision", {**TPU, **identity(cloud)}),
        uses("run-remote", {"run": "python3 -c 'print(6 * 7)'"}),
        uses("cleanup", **ALWAYS),
        uses("report", **ALWAYS),
    ]
    permissions = {"id-token": "write"}
    jobs = {
        "tpu": {"runs-on": "ubuntu-latest", "permissions": permissions, "steps": steps},
        "cleanup": {
            "runs-on": "ubuntu-latest",
            "permissions": permissions,
            "needs": ["tpu"],
            **ALWAYS,
            "steps": [uses("cleanup", {"for": "tpu", "project": "sim-project", **identity(cloud)})],
        },
    }
    done = runner.run(jobs, **variables(cloud))
    log = done.stdout + done.stderr
    assert runners.results(done) == {"tpu": "success", "cleanup": "success"}, log[-6000:]
    (record,) = runner.kept()
    assert record.verdict is Verdict.PASSED and record.machine is not None
    assert record.machine.handle.startswith("tpu://sim-project/us-central1-b/")
    assert [machine["state"] for machine in cloud.machines()] == ["GONE"]
    signed_in = [line for line in cloud.log().splitlines() if "/github/oidc/token" in line]
    assert len(signed_in) == 2, signed_in
    assert "ya29." not in log and cloud.exports["ACTIONS_ID_TOKEN_REQUEST_TOKEN"] not in log


def test_another_repository_gets_no_machine(terminal: Terminal, cloud: SimulatorProcess) -> None:
    """Its workflow is the same and its name may be: the numeric id is not, and the refusal says what to look at."""
    cloud.turn(sign_in_required=True, identity_condition=CONDITION, identity_claims={"repository_id": "4712"})
    given = [word for name, value in {**TPU, **identity(cloud)}.items() for word in (f"--{name}", value)]
    done = terminal("provision", *given, **variables(cloud))
    told = done.stdout + done.stderr
    assert done.returncode == 3, told
    assert "condition does not let this repository, branch or event in" in told and "providers describe" in told
    assert cloud.machines() == []


def test_a_cancelled_job_ends_its_machine(terminal: Terminal, cloud: SimulatorProcess, tmp_path: Path) -> None:
    """GitHub makes no identity tokens any more; cleanup, told nothing, signs in with what provision kept for us alone."""
    job = {
        **variables(cloud),
        "GITHUB_ACTIONS": "true",
        "GITHUB_REPOSITORY": "org/hello",
        "GITHUB_REPOSITORY_ID": "4711",
        "GITHUB_RUN_ID": "77",
        "GITHUB_JOB": "tpu",
        "GITHUB_EVENT_NAME": "push",
        "GITHUB_SHA": "5" * 40,
        "RUNNER_TEMP": str(tmp_path / "temp"),
    }
    given = [word for name, value in {**TPU, **identity(cloud)}.items() for word in (f"--{name}", value)]
    leased = terminal("provision", *given, **job)
    assert leased.returncode == 0, leased.stdout + leased.stderr
    cloud.turn(sign_in_required=True, sign_in_refused=["github"])
    done = terminal("cleanup", **job)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [machine["state"] for machine in cloud.machines()] == ["GONE"]
    (kept,) = (tmp_path / "temp").rglob("sign-in/*")
    assert kept.stat().st_mode & 0o777 == 0o600 and kept.parent.stat().st_mode & 0o777 == 0o700
    assert "ya29." not in leased.stdout + leased.stderr + done.stdout + done.stderr


def test_a_person_signs_in_as_before(terminal: Terminal, cloud: SimulatorProcess) -> None:
    """A token file, or default credentials, work where no provider is named."""
    everything: dict[str, Any] = {**cloud.exports}
    done = terminal("list", "--backend", "tpu", **everything)
    assert done.returncode == 0, done.stdout + done.stderr
    without = terminal("list", "--backend", "tpu", "--project", "sim-project", NO_GCE_CHECK="true", **variables(cloud))
    assert without.returncode == 2 and "no credentials for Google Cloud" in without.stdout + without.stderr
