"""The whole journey on Compute Engine machines that are not there: the simulated cloud on the wire, ssh that is real."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from accel_ci.domain.verdict import Verdict
from accel_ci.render import summary
from accel_ci_sim.wire import github_shapes
from tests.contracts import github_worlds
from tests.contracts.github_worlds import Wired
from tests.end_to_end import runner as runners
from tests.end_to_end.runner import ALWAYS, Runner, uses
from tests.end_to_end.terminal import Terminal
from tests.servers.simulator import SimulatorProcess
from tests.wire.github import description

pytestmark = pytest.mark.judge("ssh")
ZONES = "us-central1-a,us-east4-a,europe-west1-b"
L4 = ("run", "--accelerator", "l4-1", "--zones", ZONES)
FULL = {"us-central1-a": 1.0, "us-east4-a": 1.0}
COMMAND = "python3 -m pytest -q -p no:cacheprovider"


def _left(cloud: SimulatorProcess) -> list[str]:
    project = cloud.exports["CLOUDSDK_CORE_PROJECT"]
    listed = cloud.call("GET", f"/compute/v1/projects/{project}/aggregated/instances")[1]["items"]
    return [each["name"] for zone in listed.values() for each in zone.get("instances", ())]


def test_a_gpu_machine_from_its_request_to_its_verified_end(terminal: Terminal, cloud: SimulatorProcess) -> None:
    """The driver is waited for, the tests run, hardware and price are in the record, and nothing is left."""
    cloud.turn(driver_s=1.0, guest_boot_s=0.2)
    done = terminal(*L4, "--", "nvidia-smi -L", timeout=120, **cloud.exports)
    record = terminal.record()
    assert (done.returncode, record.verdict) == (0, Verdict.PASSED), done.stdout + done.stderr
    assert "GPU 0: NVIDIA L4" in done.stdout
    assert record.machine is not None and record.machine.handle.startswith("gce://")
    assert record.machine.hardware["name"] == "NVIDIA L4" and record.machine.hardware["devices"] == "1"
    assert record.machine.dollars_per_hour == pytest.approx(0.2818)
    assert record.cleanup is not None and record.cleanup.left == [] and record.cleanup.found != []
    assert _left(cloud) == []


def test_full_zones_lead_to_the_next(terminal: Terminal, cloud: SimulatorProcess) -> None:
    """Two stockouts before success, all three tries told; what landed all the same was ended before the next try."""
    cloud.turn(stockout=FULL, lands_anyway=1.0)
    done = terminal(*L4, "--", "exit 3", timeout=120, **cloud.exports)
    record = terminal.record()
    assert (done.returncode, record.verdict) == (1, Verdict.FAILED), done.stdout + done.stderr
    tried = {each.zone: each.outcome for each in record.tries}
    assert tried == {"us-central1-a": "no-capacity", "us-east4-a": "no-capacity", "europe-west1-b": "ready"}
    assert _left(cloud) == []


def test_no_quota_in_any_region_is_said_at_once(terminal: Terminal, cloud: SimulatorProcess) -> None:
    """GPUS_ALL_REGIONS is 0 in new projects: one try tells, exit code 3 and what to do, and no machine."""
    cloud.turn(gpus_all_regions=0)
    done = terminal(*L4, "--", "true", timeout=120, **cloud.exports)
    record = terminal.record()
    assert (done.returncode, record.verdict) == (3, Verdict.QUOTA), done.stdout + done.stderr
    assert len(record.tries) == 1 and "GPUS_ALL_REGIONS" in record.reason
    assert _left(cloud) == []


def test_a_plain_machine_for_a_first_green_run(terminal: Terminal, cloud: SimulatorProcess) -> None:
    """Without any quota for accelerators e2-standard-4 gives a first green run, for a few cents an hour."""
    cloud.turn(gpus_all_regions=0)
    zones = ("--zones", "us-east5-a")
    done = terminal(
        "run", "--accelerator", "e2-standard-4", *zones, "--", "python3 --version", timeout=120, **cloud.exports
    )
    record = terminal.record()
    assert (done.returncode, record.verdict) == (0, Verdict.PASSED), done.stdout + done.stderr
    assert record.machine is not None and record.machine.dollars_per_hour == pytest.approx(0.0337)
    assert record.machine.hardware == {} and _left(cloud) == []


def test_a_preempted_machine_is_the_clouds_doing(terminal: Terminal, cloud: SimulatorProcess) -> None:
    """Taken away in the middle of the tests: the verdict says so, the exit code is the cloud's, and nothing is left."""
    cloud.turn(preempt_after_s=4.0)
    done = terminal(*L4, "--", "sleep 60", timeout=120, **cloud.exports)
    record = terminal.record()
    assert (done.returncode, record.verdict) == (3, Verdict.PREEMPTED), done.stdout + done.stderr
    assert _left(cloud) == []


def test_one_walk_over_both_backends(terminal: Terminal, cloud: SimulatorProcess) -> None:
    """A full zone is full for both: Compute Engine's place, the TPU API's, then Compute Engine's in the dearer zone."""
    cloud.turn(stockout={"us-central1-b": 1.0})
    zones = ("--zones", "us-central1-b,us-east5-b")
    done = terminal(
        "run", "--accelerator", "v6e-1", *zones, "--", 'echo "on $PJRT_DEVICE"', timeout=120, **cloud.exports
    )
    record = terminal.record()
    assert (done.returncode, record.verdict) == (0, Verdict.PASSED), done.stdout + done.stderr
    assert [(each.backend, each.zone, each.outcome) for each in record.tries] == [
        ("gce", "us-central1-b", "no-capacity"),
        ("tpu", "us-central1-b", "no-capacity"),
        ("gce", "us-east5-b", "ready"),
    ]
    assert "on TPU" in done.stdout and "by tpu" in summary.render(record)
    assert record.cleanup is not None and record.cleanup.left == [] and _left(cloud) == []


def test_bad_weather_leaves_nothing(terminal: Terminal, cloud: SimulatorProcess) -> None:
    """Errors, lost replies, deletions refused while a machine is made, lagging lists: one machine, one verdict, none left."""
    cloud.turn(
        seed=7, boot_s=1.0, delete_s=0.5, error_rate=0.15, lost_reply_rate=0.15, not_ready=0.5, list_lag_s=1.0,
        stockout={"us-central1-a": 1.0}, lands_anyway=1.0,
    )  # fmt: skip
    done = terminal(*L4, "--", "true", timeout=120, **cloud.exports)
    record = terminal.record()
    cloud.turn()
    assert (done.returncode, record.verdict) == (0, Verdict.PASSED), done.stdout + done.stderr
    assert record.cleanup is not None and record.cleanup.left == [] and _left(cloud) == []


def test_mistakes_are_told_before_any_call(terminal: Terminal, cloud: SimulatorProcess) -> None:
    """A count, a zone or an option that cannot be is exit code 2, with the ones that can; nothing was asked for."""
    before = cloud.log()
    done = terminal("run", "--accelerator", "l4-3", "--", "true", timeout=120, **cloud.exports)
    assert done.returncode == 2 and "l4-1" in done.stdout + done.stderr
    wrong = ("run", "--accelerator", "h100-1", "--zones", "us-west2-a", "--options", "disc-size=9", "--", "true")
    told = terminal(*wrong, timeout=120, **cloud.exports)
    text = told.stdout + told.stderr
    assert told.returncode == 2 and "`us-west2-a` has no h100-1" in text and "did you mean `disk-size`" in text
    assert "POST " not in cloud.log().removeprefix(before), "nothing was asked for"


@pytest.fixture
def github() -> Iterator[Wired]:
    """The simulated GitHub; whatever goes over the wire is held against GitHub's description at the end."""
    with github_worlds.wired() as opened:
        opened.state.collaborators["Codertocat"] = "write"
        yield opened


def _labeled(runner: Runner, github: Wired) -> dict[str, Any]:
    event = copy.deepcopy(description.event("pull_request.labeled"))
    event["label"]["name"] = "run-gpu-tests"
    event["pull_request"]["head"]["sha"] = runner.sha
    event["pull_request"]["updated_at"] = github_shapes.moment(github.clock.now())
    github.state.add_pull(event["number"], head_sha=runner.sha, labels=["run-gpu-tests"])
    return event


def _jobs() -> dict[str, Any]:
    jobs = runners.composed(COMMAND)
    jobs["gate"]["steps"][0]["with"] = {"label": "run-gpu-tests"}
    jobs["tpu"]["steps"] = [
        uses("provision", {"accelerator": "l4-1", "zones": ZONES, "grant": "${{ needs.gate.outputs.grant }}"}),
        uses("run-remote", {"run": COMMAND}),
        uses("cleanup", **ALWAYS),
        uses("report", **ALWAYS),
    ]
    # Said, so that the second runner installs one library, not those of all backends.
    jobs["cleanup"]["steps"] = [uses("cleanup", {"for": "tpu", "backend": "gce"})]
    return jobs


@pytest.mark.judge("node")
def test_from_the_label_to_the_summary(runner: Runner, github: Wired, cloud: SimulatorProcess) -> None:
    """A label, two full zones, then an L4 in a real runner: each try is in the summary, and no machine is left."""
    cloud.turn(stockout=FULL)
    event = _labeled(runner, github)
    variables = {**cloud.exports, "GITHUB_API_URL": github.address}
    done = runner.run(_jobs(), event="pull_request_target", payload=event, **variables)
    assert runners.results(done)["tpu"] == "failure", done.stdout[-6000:]
    (record,) = [each for each in runner.kept() if each.machine is not None]
    assert [each.outcome for each in record.tries] == ["no-capacity", "no-capacity", "ready"]
    told = done.stdout  # act shows what steps write to their summary
    for number, attempt in enumerate(record.tries, 1):
        assert f"| try {number}: {attempt.zone} spot | {attempt.outcome} |" in told
    assert "gce, chosen by auto" in told
    assert "1 NVIDIA L4, driver" in told
    (comment,) = github.comments(event["number"])
    assert "test_fail" in comment and "| 1 | 1 | 1 | 3 |" in comment
    assert _left(cloud) == []
