"""sweep: what outlived its lease ends, and is an incident; nothing else is touched."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from accel_ci.domain import errors
from accel_ci.domain.lease import Owner
from accel_ci.domain.machine import Machine
from accel_ci.domain.queued import WorkflowRun
from accel_ci.operations import incident, sweeping
from accel_ci.usecases import cleanup, provision
from tests.fakes.github import FakeGitHub
from tests.fakes.machines import Script
from tests.usecases import worlds
from tests.usecases.worlds import KEY, Fakes

GRACE_S = 3600.0
TTL_S = 600.0


def _with_machines(count: int = 1, script: Script | None = None, *, github: bool = False) -> Fakes:
    fakes = Fakes(zones={"a": script or Script()})
    fakes.machines._native = False
    fakes.github = FakeGitHub() if github else None
    for number in range(count):
        key = replace(KEY, slot=f"slot{number}") if number else KEY
        provision.provision(fakes.world, worlds.record(key), key, order=worlds.order(ttl_s=TTL_S))
    fakes.machines.calls.clear()
    return fakes


def _sweep(fakes: Fakes, *, dry_run: bool = False, repository_id: int = KEY.repository_id) -> list[str]:
    url = "https://github.com/org/hello/actions/runs/99"
    return cleanup.sweep(fakes.world, repository_id, grace_s=GRACE_S, dry_run=dry_run, url=url).released


def test_only_what_outlived_its_lease_ends() -> None:
    """Before expiry plus grace nothing happens; after it the machine goes, with a warning and a proof."""
    fakes = _with_machines()
    fakes.clock.advance(TTL_S + GRACE_S - 1)
    assert _sweep(fakes) == []
    fakes.clock.advance(10)
    assert len(_sweep(fakes)) == 1 and fakes.machines.living() == []
    assert "its lease ended 60 minutes ago" in str(fakes.job.of_kind("warning"))
    assert "1 machine existed and ended" in fakes.job.summaries[-1]


def test_other_repositories_are_never_touched() -> None:
    """Another repository's expired machine is not ours to end, and one without labels neither."""
    fakes = _with_machines()
    fakes.clock.advance(100_000)
    assert _sweep(fakes, repository_id=1) == []
    fakes.machines.lose_labels(fakes.machines.living()[0])
    assert _sweep(fakes) == []


def test_a_machine_is_seen_overdue_twice() -> None:
    """Who keeps a machine between the two looks of a sweep keeps it."""
    fakes = _with_machines()
    fakes.clock.advance(100_000)
    (handle,) = fakes.machines.living()
    listing = fakes.machines.list_owned
    later = str(int(fakes.clock.now()) + 600)

    def then_kept(owner: object) -> object:
        listed = listing(owner)  # type: ignore[arg-type]
        fakes.machines.annotate(handle, "accel-ci-keep-until", later)
        return listed

    fakes.machines.list_owned = then_kept  # type: ignore[assignment, method-assign]
    assert _sweep(fakes) == []
    assert fakes.machines.living() == [handle] and not any(call == "release" for call, _ in fakes.machines.calls)


@pytest.mark.parametrize(("over_for_s", "ends"), [(GRACE_S - 10, 0), (GRACE_S + 10, 1)])
def test_github_may_know_earlier(over_for_s: float, ends: int) -> None:
    """A machine whose run has been over for the grace goes long before its lease ends."""
    fakes = _with_machines(github=True)
    assert fakes.github is not None
    now = fakes.clock.now()
    fakes.github.runs[KEY.run_id] = WorkflowRun(
        id=KEY.run_id, workflow="t.yml", attempt=1, status="completed", url="u", updated_at=now - over_for_s
    )
    assert len(_sweep(fakes)) == ends


def test_without_github_the_expiry_decides_alone() -> None:
    """A GitHub that is down, or does not know the run, costs nothing but the earlier end."""
    fakes = _with_machines(github=True)
    assert fakes.github is not None
    fakes.github.denied["run"] = errors.TransientError("502")
    assert _sweep(fakes) == []
    fakes.clock.advance(100_000)
    assert len(_sweep(fakes)) == 1


def test_a_dry_run_tells_what_and_why() -> None:
    """Every machine of the repository is named with what would be done and why; nothing ends, no issue is opened."""
    fakes = _with_machines(2, github=True)
    (first, second) = fakes.machines.living()
    fakes.clock.advance(100_000)
    fakes.machines.annotate(second, "accel-ci-keep-until", str(int(fakes.clock.now()) + 600))
    assert _sweep(fakes, dry_run=True) == []
    log = str(fakes.job.of_kind("log"))
    assert f"to end: {first}: its lease ended" in log
    assert f"left alone: {second}: somebody keeps it" in log
    assert f"{second} has keep-until and goes on costing money until" in str(fakes.job.of_kind("warning"))
    assert len(fakes.machines.living()) == 2
    assert fakes.github is not None and fakes.github.written == []


def test_a_find_is_an_incident_until_a_clean_sweep() -> None:
    """One issue is opened, says what was found; the next sweep finds nothing, says so, and closes it."""
    fakes = _with_machines(github=True)
    github = fakes.github
    assert github is not None
    fakes.clock.advance(100_000)
    (handle,) = _sweep(fakes)
    (issue,) = github.issues(incident.MARKER)
    comment = "".join(github.comments[issue.number].values())
    assert handle in comment and "actions/runs/99" in comment and "| gone |" in comment
    assert _sweep(fakes) == []
    assert github.issues(incident.MARKER) == []
    assert "found nothing" in "".join(github.comments[issue.number].values())


def test_an_issue_that_cannot_be_written_is_a_warning() -> None:
    """The machine is gone whatever the token may do."""
    fakes = _with_machines(github=True)
    assert fakes.github is not None
    fakes.github.denied["open_issue"] = errors.AccessError("issues: write is missing")
    fakes.clock.advance(100_000)
    assert len(_sweep(fakes)) == 1
    assert "could not be written" in str(fakes.job.of_kind("warning"))


def test_deletions_keep_to_the_rate() -> None:
    """Of many leaked machines no more than a batch is asked to end in any minute."""
    fakes = _with_machines(2 * sweeping.BATCH + 3)
    asked: list[float] = []
    release = fakes.machines.release

    def counted(handle: str) -> None:
        asked.append(fakes.clock.now())
        release(handle)

    fakes.machines.release = counted  # type: ignore[method-assign]
    fakes.clock.advance(100_000)
    assert len(_sweep(fakes)) == 2 * sweeping.BATCH + 3
    assert all(sum(start <= at < start + 60 for at in asked) <= sweeping.BATCH for start in asked)


def test_more_than_the_limit_allows_is_left_for_the_next_sweep() -> None:
    """What could not be ended in time is named, with its command, and the exit code says so."""
    fakes = _with_machines(6 * sweeping.BATCH)
    fakes.clock.advance(100_000)
    began = fakes.clock.now()
    with pytest.raises(errors.CleanupUnverifiedError):
        _sweep(fakes)
    assert fakes.clock.now() - began < 285
    assert 0 < len(fakes.machines.living()) < 3 * sweeping.BATCH
    fakes.clock.advance(600)
    _sweep(fakes)
    assert fakes.machines.living() == []


def test_a_listing_that_never_works_is_not_clean() -> None:
    """A sweeper that saw nothing does not say that there is nothing, and closes no incident."""
    fakes = _with_machines(github=True)
    fakes.machines.fail("list_owned", errors.TransientError("503"), times=1000)
    with pytest.raises(errors.CleanupUnverifiedError):
        _sweep(fakes)
    assert fakes.github is not None and fakes.github.written == []


def test_a_silent_zone_saves_no_leak_elsewhere() -> None:
    """What the answering part shows overdue twice ends; the sweep fails all the same, and says how to look by hand."""
    fakes = _with_machines(github=True)
    fakes.clock.advance(TTL_S + GRACE_S + 1)
    listing = fakes.machines.list_owned

    def partial(owner: Owner) -> Iterator[Machine]:
        yield from listing(owner)
        raise errors.TransientError("zone b did not answer")

    fakes.machines.list_owned = partial  # type: ignore[assignment, method-assign]
    with pytest.raises(errors.CleanupUnverifiedError, match="zone b"):
        _sweep(fakes)
    assert fakes.machines.living() == []
    assert fakes.github is not None and "outlived" in str(fakes.github.open_issues)


def test_provision_sweeps_beside_itself() -> None:
    """Once its own machine is asked for, provision ends what is past its lease and grace, by that alone."""
    fakes = _with_machines(github=True)
    (old,) = fakes.machines.living()
    assert fakes.github is not None
    fakes.github.denied["run"] = errors.TransientError("must not be asked")
    fakes.clock.advance(100_000)
    new = replace(KEY, run_id=78)
    provision.provision(fakes.world, worlds.record(new), new, order=worlds.order())
    assert [handle.rsplit("/", 1)[1] for handle in fakes.machines.living()] == [new.name]
    order = [call for call, _ in fakes.machines.calls if call in ("begin_create", "list_owned", "release")]
    assert order == ["begin_create", "list_owned", "release"]
    assert old in str(fakes.job.of_kind("warning"))


def test_provision_goes_on_without_a_listing() -> None:
    """A listing that fails is a line in the log and no more."""
    fakes = Fakes()
    fakes.machines.fail("list_owned", errors.TransientError("503"), times=1000)
    provision.provision(fakes.world, worlds.record(), KEY, order=worlds.order())
    assert len(fakes.machines.living()) == 1
