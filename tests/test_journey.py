"""The journey: whatever happens inside, it ends cleaned and reported."""

from __future__ import annotations

from typing import Any

import pytest

from accel_ci import journey
from accel_ci.domain import errors
from accel_ci.domain.record import RunRecord
from accel_ci.domain.verdict import Verdict
from accel_ci.journey import Plan
from accel_ci.operations import records
from accel_ci.usecases import provision
from tests.fakes.machines import Script as Zone
from tests.fakes.remote import Script
from tests.usecases import worlds
from tests.usecases.worlds import KEY, WORK, Fakes

PLAN = Plan(order=worlds.order(), work=WORK, paths=("results/**",))


def _journey(fakes: Fakes, plan: Plan = PLAN) -> RunRecord:
    return journey.run(fakes.world, worlds.record(), KEY, plan=plan)


@pytest.mark.parametrize(
    ("scripts", "zones", "verdict"),
    [
        ({}, None, Verdict.PASSED),
        ({"run": Script(exit_code=1)}, None, Verdict.FAILED),
        ({"run": Script(never_ends=True)}, None, Verdict.TIMED_OUT),
        ({"run": Script(no_record=True)}, None, Verdict.INFRA_ERROR),
        ({}, {"a": Zone(error=errors.NoCapacityError("full"))}, Verdict.NO_CAPACITY),
        ({}, {"a": Zone(error=errors.QuotaError("limit"))}, Verdict.QUOTA),
        ({}, {"a": Zone(boot_s=10_000)}, Verdict.BOOT_FAILED),
    ],
)
def test_every_end_is_reported_and_clean(scripts: dict[str, Any], zones: Any, verdict: Verdict) -> None:
    """Each verdict comes with a report in the history and no machine left."""
    fakes = Fakes(scripts, zones=zones, files={"results/a": b"1"})
    record = _journey(fakes)
    assert (record.verdict, fakes.machines.living()) == (verdict, [])
    assert fakes.history.names() == [record.identity.name]


def test_a_first_request_that_is_refused_is_the_error() -> None:
    """Whoever may do nothing may not look either: what is said is the missing right, not a machine that may live."""
    fakes = Fakes(zones={"a": Zone(error=errors.AccessError("403 create"))})
    fakes.machines.fail("list_owned", errors.AccessError("403 list"), times=100)
    fakes.machines.fail("find", errors.AccessError("403 get"), times=100)
    with pytest.raises(errors.AccessError, match=r"create|get"):
        _journey(fakes)


def test_the_page_of_the_run_tells_the_cleanup_once() -> None:
    """The proof stands there when the report is written, which does not repeat it."""
    fakes = Fakes()
    _journey(fakes)
    headings = [line for text in fakes.job.summaries for line in text.splitlines() if line.startswith("### ")]
    assert [each for each in headings if "Cleanup" in each] == ["### 🧹 Cleanup"]


def test_files_come_back_after_a_failure_too() -> None:
    """A failed run still brings its artifacts."""
    record = _journey(Fakes({"run": Script(exit_code=1)}, files={"results/a": b"1"}))
    assert [artifact.name for artifact in record.artifacts] == ["results/a"]


def test_a_cancelled_journey_is_clean_reported_and_cancelled() -> None:
    """A signal in the middle ends as CancelledError after cleanup and report."""
    fakes = Fakes({"run": Script(never_ends=True)})
    fakes.clock.cancel_at = fakes.clock.now() + 60
    with pytest.raises(errors.CancelledError):
        _journey(fakes)
    assert fakes.machines.living() == []
    assert records.load(fakes.files, "").verdict is Verdict.CANCELLED
    assert len(fakes.history.names()) == 1


def test_a_machine_that_does_not_go_is_reported_and_raised() -> None:
    """The report is written, and CleanupUnverifiedError outranks the verdict."""
    fakes = Fakes(zones={"a": Zone(immortal=True)})
    with pytest.raises(errors.CleanupUnverifiedError):
        _journey(fakes)
    assert records.load(fakes.files, "").verdict is Verdict.PASSED
    assert len(fakes.history.names()) == 1


def test_our_own_bug_still_cleans_up() -> None:
    """An unexpected exception leaves no machine behind."""
    fakes = Fakes()

    def broken(*_: object) -> None:
        raise RuntimeError("bug")

    fakes.remote.put = broken  # type: ignore[method-assign, assignment]
    with pytest.raises(RuntimeError):
        _journey(fakes)
    assert fakes.machines.living() == []


def test_a_bad_commit_is_the_users_error_and_clean() -> None:
    """A commit that does not exist is raised as a configuration error, after cleanup and report."""
    fakes = Fakes()
    fakes.sources.error = errors.ConfigurationError("no such commit")
    with pytest.raises(errors.ConfigurationError):
        _journey(fakes)
    assert fakes.machines.living() == []


def test_a_killed_client_is_gone_on_with() -> None:
    """A journey over a record that has a machine attaches to what runs there, and ends as if nothing had happened."""
    fakes = Fakes({"run": Script(output=b"a" * 100, lasts_s=50)})
    record = provision.provision(fakes.world, worlds.record(), KEY, order=worlds.order())
    finished = journey.run(fakes.world, record, KEY, plan=PLAN)
    assert (finished.verdict, len(finished.tries), fakes.machines.living()) == (Verdict.PASSED, 1, [])


def test_a_full_disk_leaves_no_machine() -> None:
    """Whichever write is the first to find no room: the machine is gone, and the disk is what is told."""
    whole = Fakes()
    before = whole.files.room
    _journey(whole)
    for room in range(before - whole.files.room):
        fakes = Fakes()
        fakes.files.room = room
        with pytest.raises(errors.ComputerError):
            _journey(fakes)
        assert fakes.machines.living() == [], room


def test_a_full_disk_does_not_hide_what_may_live() -> None:
    """A machine that does not go outranks the report that could not be written."""
    fakes = Fakes({"run": Script(never_ends=True)}, zones={"a": Zone(immortal=True)})
    fakes.files.room = 5
    with pytest.raises(errors.CleanupUnverifiedError):
        _journey(fakes)
