"""end: one named machine is gone, or somebody knows why not."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest

from accel_ci.domain import errors
from accel_ci.domain.lease import Owner
from accel_ci.domain.machine import Machine
from accel_ci.domain.record import CleanupFacts
from accel_ci.operations import records
from accel_ci.usecases import end, keep, provision
from tests.fakes.files import FakeFiles
from tests.fakes.machines import Script
from tests.usecases import worlds
from tests.usecases.worlds import KEY, Fakes

MINE = Owner(repository_id=KEY.repository_id)
TTL_S = 600


def _leased(script: Script | None = None) -> tuple[Fakes, Machine]:
    fakes = Fakes(zones={"zone-a": script or Script()})
    fakes.machines._native = False
    provision.provision(fakes.world, worlds.record(), KEY, order=worlds.order(ttl_s=TTL_S))
    return fakes, records.load_machine(fakes.files, "")


def _elsewhere(script: Script | None = None) -> tuple[Fakes, Machine]:
    """The machine as somebody sees it who did not lease it from here."""
    fakes, machine = _leased(script)
    fakes.files = FakeFiles()
    return fakes, machine


def _ended(
    fakes: Fakes, wanted: str, *, owner: Owner = MINE, known: Machine | None = None, force: bool = False
) -> CleanupFacts:
    return end.end(fakes.world, wanted, owner=owner, known=known, force=force)


@pytest.mark.parametrize("by_name", [True, False])
def test_what_outlived_its_lease_ends(by_name: bool) -> None:
    """Named by handle or name it is released, looked up until it is gone, and proven so where people look."""
    fakes, machine = _elsewhere(Script(release_s=30))
    fakes.clock.advance(TTL_S + 1)
    facts = _ended(fakes, machine.name if by_name else machine.handle)
    assert fakes.machines.living() == [] and facts.released == [machine.handle] and facts.left == []
    assert facts.verified_at == fakes.clock.now()
    assert "1 machine existed and ended" in "".join(fakes.job.summaries)


def test_only_the_named_one_ends() -> None:
    """The repository's other machines live on."""
    fakes, machine = _leased()
    other = dataclasses.replace(KEY, job="other")
    provision.provision(fakes.world, worlds.record(other), other, order=worlds.order(ttl_s=TTL_S))
    _ended(fakes, machine.name, force=True)
    assert [handle.endswith(other.name) for handle in fakes.machines.living()] == [True]


def test_a_live_runs_machine_needs_force() -> None:
    """While the lease goes on its run may use it: it is said whose it is and until when, and nothing ends without force."""
    fakes, machine = _elsewhere()
    with pytest.raises(errors.ConfigurationError, match=r"its lease goes on for 10 minutes, until .* UTC") as refused:
        _ended(fakes, machine.handle)
    assert "`--force`" in refused.value.what_to_do
    assert fakes.machines.living() == [machine.handle] and "release" not in dict(fakes.machines.calls)
    assert f"found {machine.handle}, leased by run 77, attempt 1" in fakes.job.of_kind("log")
    assert _ended(fakes, machine.handle, force=True).released == [machine.handle]


def test_what_somebody_keeps_needs_force() -> None:
    """keep-until is honoured after the lease, too; with force it ends."""
    fakes, machine = _elsewhere()
    keep.keep(fakes.world, machine.handle, owner=MINE, seconds=7200)
    fakes.clock.advance(TTL_S + 1)
    with pytest.raises(errors.ConfigurationError, match=r"somebody keeps it .*, until .* UTC"):
        _ended(fakes, machine.name)
    assert _ended(fakes, machine.name, force=True).released == [machine.handle]


def test_without_an_expiry_nobody_knows() -> None:
    """A machine of ours whose expiry was taken off may be in use: force decides."""
    fakes, machine = _elsewhere()
    fakes.machines.annotate(machine.handle, "accel-ci-expires", "")
    with pytest.raises(errors.ConfigurationError, match=r"no expiry, and its run may go on$"):
        _ended(fakes, machine.name)


def test_what_ends_already_is_only_watched() -> None:
    """Whoever asked first has decided: a machine that is being ended needs no force, and is verified."""
    fakes, machine = _elsewhere(Script(release_s=30))
    fakes.machines.release(machine.handle)
    assert _ended(fakes, machine.name).released == [machine.handle]


@pytest.mark.parametrize("force", [True, False])
def test_another_repositorys_machine_is_not_touched(force: bool) -> None:
    """Its handle is known, its labels name another repository: it is refused, with what exists of one's own."""
    fakes, machine = _elsewhere()
    fakes.clock.advance(TTL_S + 1)
    with pytest.raises(errors.ConfigurationError, match="no machine") as refused:
        _ended(fakes, machine.handle, owner=Owner(repository_id=815), force=force)
    assert refused.value.what_to_do == "these exist now: none"
    assert fakes.machines.living() == [machine.handle]


def test_a_machine_without_our_labels_is_not_touched() -> None:
    """A name like ours is not enough."""
    fakes, machine = _elsewhere()
    fakes.machines.lose_labels(machine.handle)
    with pytest.raises(errors.ConfigurationError, match="no machine"):
        _ended(fakes, machine.handle, force=True)
    assert fakes.machines.living() == [machine.handle]


def test_a_mistyped_name_ends_nothing() -> None:
    """The machines that exist are named instead."""
    fakes, machine = _elsewhere()
    with pytest.raises(errors.ConfigurationError, match="no machine") as refused:
        _ended(fakes, f"{machine.handle}x", force=True)
    assert machine.handle in refused.value.what_to_do


def test_what_does_not_go_is_exit_5_with_the_command() -> None:
    """Unverified is never success: within the limit it fails with the command for that very machine."""
    fakes, machine = _leased(Script(immortal=True))
    started = fakes.clock.now()
    with pytest.raises(errors.CleanupUnverifiedError) as raised:
        _ended(fakes, machine.name, force=True)
    assert raised.value.exit_code == 5
    assert raised.value.commands == (f"fake-cloud delete {machine.handle}",)
    assert end.LIMIT_S <= fakes.clock.now() - started < end.LIMIT_S + 10
    record = records.load(fakes.files, "")
    assert record.cleanup and record.cleanup.left == [machine.handle] and record.machine
    assert record.machine.released_at is None


@pytest.mark.parametrize("by_name", [True, False])
def test_a_cloud_that_does_not_answer_is_exit_5(by_name: bool) -> None:
    """Who gave the handle gets the command for that machine; who gave a name gets how to look for it."""
    fakes, machine = _elsewhere()
    fakes.machines.fail("list_owned", errors.TransientError("silent"), times=1000)
    with pytest.raises(errors.CleanupUnverifiedError) as raised:
        _ended(fakes, machine.name if by_name else machine.handle, force=True)
    command = "fake-cloud delete --run None" if by_name else f"fake-cloud delete {machine.handle}"
    assert raised.value.commands == (command,) and fakes.machines.living() == [machine.handle]


def test_whose_it_is_and_what_it_cost_where_it_was_leased() -> None:
    """From the run's record: job, person and repository, and dollars from the request to the end."""
    fakes, machine = _leased()
    record = records.load(fakes.files, "")
    record.identity.actor = "ada"
    records.save(fakes.files, record)
    fakes.clock.advance(1800)
    _ended(fakes, machine.handle)
    log = fakes.job.of_kind("log")
    assert f"found {machine.handle}, leased by run 77, attempt 1, job tpu of ada in org/hello" in log
    assert "cost: $0.50 (30 m 00 s of machine time, $1.00 an hour)" in log


def test_the_price_is_told_where_nobody_knows_the_time() -> None:
    """Without the run's record the price of an hour is told, and who knows the rest."""
    fakes, machine = _elsewhere()
    _ended(fakes, machine.handle, force=True)
    assert "cost: $1.00 an hour; for how long says the record of its run" in fakes.job.of_kind("log")


def test_the_runs_record_knows() -> None:
    """Later steps of the run, its report and its own cleanup, see that the machine was ended and when."""
    fakes, machine = _leased()
    _ended(fakes, machine.name, force=True)
    record = records.load(fakes.files, "")
    assert record.cleanup and record.cleanup.released == [machine.handle]
    assert record.machine and record.machine.released_at == fakes.clock.now()


def test_a_damaged_record_keeps_no_machine_alive() -> None:
    """The proof is in the log then."""
    fakes, machine = _leased()
    fakes.files.write("main/record.json", b"{")
    assert _ended(fakes, machine.name, force=True).released == [machine.handle]


def test_twice_is_no_mistake_where_it_was_leased() -> None:
    """What was leased from here and is gone is said to be gone, by its own look-up."""
    fakes, machine = _leased()
    _ended(fakes, machine.handle, force=True)
    facts = _ended(fakes, machine.handle, known=machine)
    assert (facts.found, facts.left) == ([], []) and facts.verified_at is not None
    assert f"{machine.handle} is gone already" in fakes.job.of_kind("log")


def test_what_the_listing_does_not_show_yet_ends_too() -> None:
    """A listing lags behind: what was leased from here a moment ago is looked up by name, with the same care."""
    fakes, machine = _leased()
    fakes.machines._listing_lag_s = 300
    with pytest.raises(errors.ConfigurationError, match="its lease goes on"):
        _ended(fakes, machine.handle, known=machine)
    assert _ended(fakes, machine.handle, known=machine, force=True).released == [machine.handle]
    assert fakes.machines.living() == []


def test_what_no_list_shows_may_be_kept() -> None:
    """The labels of the lease do not tell who keeps it since: while a cloud is silent nothing ends without force."""
    fakes, machine = _leased()
    keep.keep(fakes.world, machine.handle, owner=MINE, seconds=7200)
    fakes.clock.advance(TTL_S + 1)
    fakes.machines.fail("list_owned", errors.TransientError("silent"), times=1000)
    with pytest.raises(errors.ConfigurationError, match="no list says now whether somebody keeps it"):
        _ended(fakes, machine.handle, known=machine)
    assert fakes.machines.living() == [machine.handle]
    assert _ended(fakes, machine.handle, known=machine, force=True).released == [machine.handle]


def test_another_repositorys_number_does_not_mean_what_was_leased_from_here() -> None:
    """Who says whose machines are meant does not mean one of ours, although its name is known here."""
    fakes, machine = _leased()
    with pytest.raises(errors.ConfigurationError, match="no machine"):
        _ended(fakes, machine.handle, owner=Owner(repository_id=815), known=machine, force=True)
    assert fakes.machines.living() == [machine.handle]


@pytest.mark.parametrize("silent", [False, True])
def test_a_name_that_two_machines_have_ends_none(silent: bool) -> None:
    """Somebody's copy bears our name and labels: the handles are told, and one of them is enough."""
    fakes, machine = _elsewhere()
    there = fakes.machines.list_owned(MINE)
    copy = dataclasses.replace(machine, handle=f"{machine.handle}-copy")

    def listed(owner: Owner) -> Iterator[Machine]:
        yield from [*there, copy]
        if silent:
            raise errors.TransientError("a zone is silent")

    fakes.machines.list_owned = listed  # type: ignore[assignment, method-assign]
    with pytest.raises(errors.ConfigurationError, match="2 machines are called") as refused:
        _ended(fakes, machine.name, force=True)
    assert f"{machine.handle}, {copy.handle}" in refused.value.what_to_do
    assert fakes.machines.living() == [machine.handle]
    assert _ended(fakes, machine.handle, force=True).released == [machine.handle]


def test_what_is_seen_of_it_ends_although_a_zone_is_silent() -> None:
    """A name that is found in the rest of the cloud is enough."""
    fakes, machine = _elsewhere()
    there = fakes.machines.list_owned(MINE)

    def listed(owner: Owner) -> Iterator[Machine]:
        yield from there
        raise errors.TransientError("a zone is silent")

    fakes.machines.list_owned = listed  # type: ignore[assignment, method-assign]
    assert _ended(fakes, machine.name, force=True).released == [machine.handle]


def test_a_full_disk_does_not_hide_what_may_still_live() -> None:
    """Where the record cannot be written, exit 5 and the command are told all the same."""
    fakes, machine = _leased(Script(immortal=True))

    def full(name: str, content: bytes) -> None:
        raise errors.ComputerError("no space left on device")

    fakes.files.write = full  # type: ignore[method-assign]
    with pytest.raises(errors.CleanupUnverifiedError) as raised:
        _ended(fakes, machine.name, force=True)
    assert raised.value.commands == (f"fake-cloud delete {machine.handle}",)
    assert any("this log only" in each for each in fakes.job.of_kind("warning"))


def test_silence_about_what_was_leased_from_here_is_exit_5() -> None:
    """Neither listed nor looked up: it may live, and the command for it is told."""
    fakes, machine = _leased()
    fakes.machines._listing_lag_s = 300
    fakes.machines.fail("released", errors.TransientError("silent"))
    with pytest.raises(errors.CleanupUnverifiedError) as raised:
        _ended(fakes, machine.handle, known=machine, force=True)
    assert raised.value.commands == (f"fake-cloud delete {machine.handle}",)
