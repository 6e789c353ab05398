"""cleanup and sweep: gone, and proven to be gone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from accel_ci.domain import errors, lease
from accel_ci.domain.machine import Machine
from accel_ci.operations import records
from accel_ci.usecases import cleanup, provision
from tests.fakes.machines import Script
from tests.usecases import worlds
from tests.usecases.worlds import KEY, Fakes


def _with_machines(zones: dict[str, Script] | None = None, *keys: object) -> Fakes:
    fakes = Fakes(zones=zones)
    for key in keys or (KEY,):
        provision.provision(fakes.world, worlds.record(key), key, order=worlds.order())  # type: ignore[arg-type]
    return fakes


def test_the_jobs_machine_is_gone_and_the_record_knows() -> None:
    """What existed, what was released and when that was verified."""
    fakes = _with_machines({"a": Script(release_s=30)})
    facts = cleanup.cleanup(fakes.world, KEY, owner=lease.of_job(KEY))
    assert facts.found == facts.released and len(facts.found) == 1 and facts.left == []
    assert fakes.machines.living() == []
    kept = records.load(fakes.files, "")
    assert kept.cleanup == facts and kept.machine is not None and kept.machine.released_at == facts.verified_at


def test_twice_is_as_good_as_once() -> None:
    """A second cleanup finds nothing and says so."""
    fakes = _with_machines()
    cleanup.cleanup(fakes.world, KEY, owner=lease.of_job(KEY))
    again = cleanup.cleanup(fakes.world, KEY, owner=lease.of_job(KEY))
    assert (again.found, again.left) == ([], [])


def test_it_needs_no_state() -> None:
    """A cleanup job on another runner, without any file of the first one, ends the machine."""
    fakes = _with_machines()
    fakes.files.documents.clear()
    assert len(cleanup.cleanup(fakes.world, KEY, owner=lease.of_run(KEY)).released) == 1
    assert fakes.machines.living() == []


def test_a_machine_that_the_listing_hides_is_found_by_name() -> None:
    """A stale listing does not leave a machine behind."""
    fakes = Fakes()
    fakes.machines._listing_lag_s = 600
    provision.provision(fakes.world, worlds.record(), KEY, order=worlds.order())
    assert len(cleanup.cleanup(fakes.world, KEY, owner=lease.of_job(KEY)).released) == 1


def test_lost_requests_are_sent_again() -> None:
    """A release without effect is repeated until the machine is gone."""
    fakes = _with_machines({"a": Script(lost_releases=2)})
    assert cleanup.cleanup(fakes.world, KEY, owner=lease.of_job(KEY)).left == []


def test_transient_answers_do_not_stop_it() -> None:
    """Listing, looking and releasing go on over a cloud that answers with errors for a while."""
    fakes = _with_machines()
    for method in ("list_owned", "find", "release", "released"):
        fakes.machines.fail(method, errors.TransientError("503"), times=2)
    assert cleanup.cleanup(fakes.world, KEY, owner=lease.of_job(KEY)).left == []


def test_what_cannot_be_verified_fails_loudly() -> None:
    """A machine that does not go is an error with the command for a person, inside the limit, and in the record."""
    fakes = _with_machines({"a": Script(immortal=True)})
    began = fakes.clock.now()
    with pytest.raises(errors.CleanupUnverifiedError) as raised:
        cleanup.cleanup(fakes.world, KEY, owner=lease.of_job(KEY))
    assert raised.value.exit_code == 5 and "fake-cloud delete" in raised.value.commands[0]
    assert fakes.clock.now() - began <= 285
    kept = records.load(fakes.files, "").cleanup
    assert kept is not None and len(kept.left) == 1 and kept.verified_at is None
    assert kept.commands == list(raised.value.commands)


def test_a_listing_that_never_works_is_unverified_for_a_run() -> None:
    """A cleanup job, which only the listing can tell what the run leased, does not claim anything without it."""
    fakes = _with_machines()
    fakes.machines.fail("list_owned", errors.TransientError("503"), times=1000)
    with pytest.raises(errors.CleanupUnverifiedError):
        cleanup.cleanup(fakes.world, KEY, owner=lease.of_run(KEY))


def test_a_silent_zone_elsewhere_does_not_keep_a_job_from_its_own_machine() -> None:
    """Without any listing the job's own machine is found by its name, ended and proven gone; people are warned."""
    fakes = _with_machines()
    fakes.machines.calls.clear()
    fakes.machines.fail("list_owned", errors.TransientError("503"), times=1000)
    facts = cleanup.cleanup(fakes.world, KEY, owner=lease.of_job(KEY))
    assert len(facts.released) == 1 and fakes.machines.living() == []
    assert "looked up by name" in fakes.job.of_kind("warning")[0]
    first = next(call for call, _ in fakes.machines.calls if call in ("release", "list_owned"))
    assert first == "release"


def test_siblings_live_on() -> None:
    """A job's cleanup leaves the machines of other matrix instances and other jobs alone."""
    sibling, other = replace(KEY, instance="v6e-8"), replace(KEY, job="gpu")
    fakes = _with_machines(None, KEY, sibling, other)
    cleanup.cleanup(fakes.world, KEY, owner=lease.of_job(KEY))
    assert {handle.rsplit("/", 1)[1] for handle in fakes.machines.living()} == {sibling.name, other.name}


def test_keep_until_is_honoured() -> None:
    """A machine that somebody keeps for debugging stays, with a warning that it costs money."""
    fakes = _with_machines()
    (handle,) = fakes.machines.living()
    fakes.machines.annotate(handle, "accel-ci-keep-until", str(int(fakes.clock.now()) + 600))
    facts = cleanup.cleanup(fakes.world, KEY, owner=lease.of_job(KEY))
    assert (facts.found, facts.kept) == ([], [handle])
    assert fakes.machines.living() == [handle]
    assert any("keep-until" in str(warning) for warning in fakes.job.of_kind("warning"))


def test_a_dry_run_ends_nothing() -> None:
    """It says what it would end."""
    fakes = _with_machines()
    facts = cleanup.cleanup(fakes.world, KEY, owner=lease.of_job(KEY), dry_run=True)
    assert len(facts.found) == 1 and facts.released == [] and len(fakes.machines.living()) == 1


def test_every_slot_of_the_job_is_cleaned_and_told() -> None:
    """Two machines of one job, one of them hidden by the listing: both go, and both records hold the proof."""
    second = replace(KEY, slot="second")
    fakes = _with_machines(None, KEY, second)
    fakes.machines._listing_lag_s = 600
    facts = cleanup.cleanup(fakes.world, KEY, owner=lease.of_job(KEY))
    assert len(facts.released) == 2 and fakes.machines.living() == []
    assert all(records.load(fakes.files, slot).cleanup == facts for slot in ("", "second"))


def test_a_kept_machine_is_not_called_released() -> None:
    """The record of a machine under keep-until has no end, so that its cost goes on."""
    fakes = _with_machines()
    (handle,) = fakes.machines.living()
    fakes.machines.annotate(handle, "accel-ci-keep-until", str(int(fakes.clock.now()) + 600))
    cleanup.cleanup(fakes.world, KEY, owner=lease.of_job(KEY))
    kept = records.load(fakes.files, "").machine
    assert kept is not None and kept.released_at is None


def test_a_listing_that_fails_afterwards_spoils_no_proof() -> None:
    """Once the machine's own look-up says gone, a broken listing changes nothing."""
    fakes = _with_machines()
    listing, calls = fakes.machines.list_owned, []

    def once(owner: lease.Owner) -> list[Machine]:
        calls.append(owner)
        if len(calls) > 1:
            raise errors.TransientError("503")
        return listing(owner)

    fakes.machines.list_owned = once  # type: ignore[method-assign]
    assert cleanup.cleanup(fakes.world, KEY, owner=lease.of_job(KEY)).left == []


def test_an_outage_ends_inside_the_limit() -> None:
    """Whatever the cloud refuses, cleanup gives its answer within 240 s."""
    fakes = _with_machines({"a": Script(immortal=True)})
    fakes.machines.fail("list_owned", errors.TransientError("503"), times=20)
    fakes.machines.fail("find", errors.TransientError("503"), times=20)
    began = fakes.clock.now()
    with pytest.raises(errors.CleanupUnverifiedError):
        cleanup.cleanup(fakes.world, KEY, owner=lease.of_job(KEY))
    assert fakes.clock.now() - began <= cleanup.LIMIT_S + 5


def test_a_machine_that_lands_while_cleanup_looks_is_ended_too() -> None:
    """What only the listing afterwards shows is released and proven gone like the rest."""
    fakes = _with_machines()
    listing, calls = fakes.machines.list_owned, []
    sibling = replace(KEY, slot="late")

    def late(owner: lease.Owner) -> list[Machine]:
        calls.append(owner)
        if len(calls) == 2:
            provision.provision(fakes.world, worlds.record(sibling), sibling, order=worlds.order())
        return listing(owner)

    fakes.machines.list_owned = late  # type: ignore[method-assign]
    facts = cleanup.cleanup(fakes.world, KEY, owner=lease.of_job(KEY))
    assert len(facts.released) == 2 and fakes.machines.living() == []


def test_the_jobs_cleanup_leaves_what_the_run_owns() -> None:
    """A machine that was leased for the whole run outlives its job's cleanup, and ends with the run's."""
    fakes = Fakes()
    order = replace(worlds.order(), scope=lease.Scope.RUN)
    provision.provision(fakes.world, worlds.record(), KEY, order=order)
    assert cleanup.cleanup(fakes.world, KEY, owner=lease.of_job(KEY)).found == []
    assert len(cleanup.cleanup(fakes.world, KEY, owner=lease.of_run(KEY)).released) == 1


def test_a_cleanup_job_takes_the_named_jobs_of_every_attempt_so_far() -> None:
    """`for: tpu` on another runner ends that job's machines of attempts 1 and 2, even unlisted, and spares siblings."""
    first, second, third = (replace(KEY, attempt=attempt) for attempt in (1, 2, 3))
    gpu = replace(KEY, job="gpu", attempt=2)
    fakes = _with_machines(None, first, second, third, gpu)
    fakes.files.documents.clear()
    own = replace(KEY, job="cleanup", attempt=2)
    facts = cleanup.cleanup(fakes.world, own, owner=lease.of_run(own, jobs=("tpu",)), jobs=("tpu",))
    assert {handle.rsplit("/", 1)[1] for handle in facts.released} == {first.name, second.name}
    assert {handle.rsplit("/", 1)[1] for handle in fakes.machines.living()} == {third.name, gpu.name}
    fakes = _with_machines(None, second)
    fakes.machines._listing_lag_s = 600
    assert len(cleanup.cleanup(fakes.world, own, owner=lease.of_run(own, jobs=("tpu",)), jobs=("tpu",)).released) == 1


def test_the_proof_is_in_the_summary() -> None:
    """What existed, that it is gone, and the empty listing afterwards stand where people look."""
    fakes = _with_machines()
    facts = cleanup.cleanup(fakes.world, KEY, owner=lease.of_job(KEY))
    (summary,) = fakes.job.summaries
    assert facts.listed == []
    assert "1 machine existed and ended" in summary and facts.found[0] in summary
    assert "The listing afterwards shows none." in summary


def test_each_machine_that_may_live_has_its_command() -> None:
    """Every machine that could not be verified is an error of its own, with the command that ends it."""
    second = replace(KEY, slot="second")
    fakes = _with_machines({"a": Script(immortal=True)}, KEY, second)
    with pytest.raises(errors.CleanupUnverifiedError):
        cleanup.cleanup(fakes.world, KEY, owner=lease.of_job(KEY))
    told = fakes.job.of_kind("error")
    assert len(told) == 2 and all(f"fake-cloud delete {handle}" in str(told) for handle in fakes.machines.living())
    assert all(handle in fakes.job.summaries[0] for handle in fakes.machines.living())


def test_names_that_cannot_be_looked_up_do_not_save_what_the_listing_shows() -> None:
    """A look-up that never answers leaves the cleanup unverified, after it ended all that it could see."""
    fakes = _with_machines()
    fakes.machines.fail("find", errors.TransientError("503"), times=1000)
    with pytest.raises(errors.CleanupUnverifiedError, match="could not look up"):
        cleanup.cleanup(fakes.world, KEY, owner=lease.of_job(KEY))
    assert fakes.machines.living() == []


def test_nothing_is_called_empty_that_could_not_be_looked_at() -> None:
    """Without an answer neither summary nor record says that there was no machine, and every way to look is a command."""
    fakes = Fakes(zones={"a": Script(), "b": Script()})
    records.save(fakes.files, worlds.record())
    fakes.machines.fail("find", errors.TransientError("503"), times=1000)
    with pytest.raises(errors.CleanupUnverifiedError) as raised:
        cleanup.cleanup(fakes.world, KEY, owner=lease.of_job(KEY))
    assert raised.value.commands == tuple(f"fake-cloud delete fake://{zone}/{KEY.name}" for zone in "ab")
    (summary,) = fakes.job.summaries
    assert "There was no machine" not in summary and all(command in summary for command in raised.value.commands)
    kept = records.load(fakes.files, "").cleanup
    assert kept is not None and kept.verified_at is None and "could not look up" in kept.unseen[0]


def test_whoever_may_not_look_has_proven_nothing() -> None:
    """A refused identity is no proof of an empty cloud: exit 5, with the commands for somebody who may."""
    fakes = _with_machines()
    fakes.machines.fail("list_owned", errors.AccessError("403"), times=10)
    with pytest.raises(errors.CleanupUnverifiedError, match="403") as raised:
        cleanup.cleanup(fakes.world, KEY, owner=lease.of_run(KEY))
    assert raised.value.commands == (f"fake-cloud delete --run {KEY.run_id}",)


def test_what_a_broken_listing_shows_is_ended() -> None:
    """A zone that is silent does not save the machines of the zones that answer; the proof is refused all the same."""
    fakes = _with_machines()
    fakes.files.documents.clear()
    listing = fakes.machines.list_owned

    def partial(owner: lease.Owner) -> Iterator[Machine]:
        yield from listing(owner)
        raise errors.TransientError("zone b did not answer")

    fakes.machines.list_owned = partial  # type: ignore[assignment, method-assign]
    with pytest.raises(errors.CleanupUnverifiedError, match="zone b"):
        cleanup.cleanup(fakes.world, KEY, owner=lease.of_run(KEY))
    assert fakes.machines.living() == []


@pytest.mark.parametrize("content", [b"", b"{", b'{"schema_version": 99}'])
def test_a_record_that_cannot_be_read_saves_no_machine(content: bytes) -> None:
    """What a crash or another version left of the record is no obstacle: the machine has its name without it."""
    fakes = _with_machines()
    fakes.machines._listing_lag_s = 600
    fakes.files.write(records.place("", "record.json"), content)
    assert len(cleanup.cleanup(fakes.world, KEY, owner=lease.of_job(KEY)).released) == 1
    assert fakes.machines.living() == []


def test_the_proof_is_shown_once() -> None:
    """Whoever comes after a proof and finds nothing, as the post step does, adds nothing; and the record keeps what ended."""
    fakes = _with_machines()
    first = cleanup.cleanup(fakes.world, KEY, owner=lease.of_job(KEY))
    cleanup.cleanup(fakes.world, KEY, owner=lease.of_job(KEY))
    assert len(fakes.job.summaries) == 1
    kept = records.load(fakes.files, "").cleanup
    assert kept is not None and kept.released == first.released


def test_the_key_goes_with_the_machine() -> None:
    """The private key of the run is gone once its machines are, and stays as long as one is kept or may live."""
    fakes = _with_machines()
    fakes.files.write("ssh-key", b"private")
    (handle,) = fakes.machines.living()
    fakes.machines.annotate(handle, "accel-ci-keep-until", str(int(fakes.clock.now()) + 600))
    cleanup.cleanup(fakes.world, KEY, owner=lease.of_job(KEY))
    assert fakes.files.read("ssh-key") == b"private"
    fakes.clock.advance(601)
    cleanup.cleanup(fakes.world, KEY, owner=lease.of_job(KEY))
    assert fakes.files.read("ssh-key") is None


def test_a_kept_machine_is_told_with_its_price() -> None:
    """Who keeps a machine is told until when it costs money, and how much."""
    fakes = _with_machines()
    (handle,) = fakes.machines.living()
    fakes.machines.annotate(handle, "accel-ci-keep-until", str(int(fakes.clock.now()) + 600))
    cleanup.cleanup(fakes.world, KEY, owner=lease.of_job(KEY))
    (warning,) = fakes.job.of_kind("warning")
    assert "UTC, $1.00 an hour" in str(warning)
