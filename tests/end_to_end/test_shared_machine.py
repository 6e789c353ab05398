"""Leased in one job, used in the next, ended by the last: as processes on runners that know nothing of one another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end import runner as runners
from tests.end_to_end.kills import LEASES, Job, Jobs
from tests.end_to_end.runner import Runner
from tests.servers.simulator import SimulatorProcess

SLOT = {"slot": "run:trainer"}
LIMIT_S = 120
pytestmark = pytest.mark.judge("ssh")


def _does(job: Job, verb: str, given: dict[str, str]) -> None:
    assert job.begin(verb, given).wait(timeout=LIMIT_S) == 0, job.log()


@pytest.mark.parametrize("lease", LEASES, ids=lambda lease: lease["backend"])
def test_a_machine_of_the_run_is_used_by_a_job_that_did_not_lease_it(tmp_path: Path, lease: dict[str, str]) -> None:
    """Its own key is let in over ssh, its tests run there, and only `for: run:trainer` of the last job ends the machine."""
    jobs = Jobs(tmp_path)
    cloud = SimulatorProcess(tmp_path)
    try:
        first = Job(cloud, tmp_path, sha=jobs.sha, server=tmp_path / "server", run_id=77, job="build")
        _does(first, "provision", {**lease, **SLOT})
        _does(first, "run-remote", {"run": "echo built > ~/built", **SLOT})
        _does(first, "cleanup", {})
        second = first.fresh("test")
        _does(second, "provision", {**lease, **SLOT})
        # What the first job left in the home directory is there; its working directory is not this one's.
        _does(second, "run-remote", {"run": "grep built ~/built && test -f file && echo again > file", **SLOT})
        _does(second, "cleanup", {})
        (machine,) = cloud.machines()
        assert machine["gone_at"] is None
        last = first.fresh("cleanup")
        _does(last, "cleanup", {"for": "build, test"})
        assert cloud.machines()[0]["gone_at"] is None
        _does(last, "cleanup", {"for": "build, run:trainer"})
        assert cloud.machines()[0]["gone_at"] is not None, last.log()
    finally:
        cloud.kill()


@pytest.mark.judge("node")
def test_a_workflow_whose_jobs_share_a_machine(runner: Runner) -> None:
    """In a real runner: the post step and the end of the first job leave the machine to the second, and the last ends it."""
    provision = runners.uses("provision", {"accelerator": "local", **SLOT})
    jobs: dict[str, Any] = {
        "build": [provision, runners.uses("run-remote", {"run": "echo built > ../built", **SLOT})],
        "test": [provision, runners.uses("run-remote", {"run": "test -f ../../built", **SLOT})],
        "cleanup": [runners.uses("cleanup", {"for": "run:trainer"})],
    }
    described = {name: {"runs-on": "ubuntu-latest", "steps": steps} for name, steps in jobs.items()}
    described["test"]["needs"] = "build"
    described["cleanup"] |= {"needs": ["build", "test"], "if": "always()"}
    done = runner.run(described)
    assert runners.results(done) == dict.fromkeys(jobs, "success"), done.stdout[-6000:]
    assert done.stdout.count("is gone") == 1 and runner.terminal.machines() == []
