"""report: the record is finished, shown and kept."""

from __future__ import annotations

import pytest

from accel_ci.domain import lease
from accel_ci.domain.record import RunRecord
from accel_ci.domain.verdict import Verdict
from accel_ci.operations import records
from accel_ci.usecases import cleanup, provision, report, run_remote
from tests.fakes.remote import Script
from tests.usecases import worlds
from tests.usecases.worlds import KEY, WORK, Fakes


def _reported(fakes: Fakes) -> RunRecord:
    provision.provision(fakes.world, worlds.record(), KEY, order=worlds.order())
    run_remote.run_remote(fakes.world, WORK, slot="")
    fakes.clock.advance(1800)
    cleanup.cleanup(fakes.world, KEY, owner=lease.of_job(KEY))
    fakes.clock.advance(3600)
    return report.report(fakes.world, records.load(fakes.files, ""))


def test_the_cost_runs_from_the_request_to_the_verified_end() -> None:
    """Half an hour at a dollar an hour costs half a dollar, however late the report is."""
    cost = _reported(Fakes()).cost
    assert cost is not None and cost.dollars is not None
    assert abs(cost.dollars - 0.5) < 0.01
    assert abs(cost.machine_seconds - 1800) < 10


def test_it_is_shown_and_kept() -> None:
    """Summary, HTML page and history all hold the run."""
    fakes = Fakes({"run": Script(exit_code=1)})
    record = _reported(fakes)
    assert "failed" in fakes.job.summaries[-1]
    assert b"failed" in (fakes.files.read("main/report.html") or b"")
    kept = fakes.history.read(record.identity.name)
    assert kept is not None and RunRecord.model_validate_json(kept) == record


def test_a_run_without_a_verdict_is_an_infra_error() -> None:
    """Something that ended before it could tell is never shown as a pass."""
    fakes = Fakes()
    record = report.report(fakes.world, worlds.record())
    assert record.verdict is Verdict.INFRA_ERROR and record.cost is not None and record.cost.dollars == 0.0


def test_reporting_twice_changes_nothing() -> None:
    """The verdict, the end and the cost are the same the second time."""
    fakes = Fakes()
    first = _reported(fakes).model_copy(deep=True)
    fakes.clock.advance(1000)
    assert report.report(fakes.world, first.model_copy(deep=True)) == first


def test_a_cancelled_job_without_a_verdict_is_cancelled() -> None:
    """What a person stopped is not blamed on the infrastructure."""
    assert report.report(Fakes().world, worlds.record(), cancelled=True).verdict is Verdict.CANCELLED


@pytest.mark.parametrize(
    ("written", "linked"),
    [
        (b"https://github.com/org/hello/actions/runs/77/artifacts/5\n", True),
        (b"https://github.com/org/hello/actions/runs/77/artifacts/5) ![x](https://evil.example/x", False),
        (b"javascript:alert(1)", False),
        (b"\xff", False),
    ],
)
def test_the_artifact_is_linked_to(written: bytes, linked: bool) -> None:
    """Where collect's upload left an artifact's address, record and summary have it; anything else is left out."""
    fakes = Fakes()
    fakes.files.write("main/artifact-url", written)
    record = _reported(fakes)
    assert record.artifact_url == (written.decode(errors="replace").strip() if linked else "")
    assert ("Download files, log and record" in fakes.job.summaries[-1]) is linked
    assert (b"Download files, log and record" in (fakes.files.read("main/report.html") or b"")) is linked
