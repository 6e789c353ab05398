"""A machine that all jobs of a run share: leased by whoever comes first, joined by the others, ended by the run's last job."""

from __future__ import annotations

from dataclasses import replace

import pytest

from accel_ci.domain import errors, lease, runkey
from accel_ci.domain.context import Context
from accel_ci.domain.doors import Tried
from accel_ci.domain.lease import Scope
from accel_ci.domain.machine import Candidate, Creation, Machine, MachineSpec
from accel_ci.domain.record import RunRecord
from accel_ci.domain.runkey import RunKey
from accel_ci.domain.verdict import Verdict
from accel_ci.operations import joining, records
from accel_ci.usecases import cleanup, provision, report, run_remote
from tests.fakes.files import FakeFiles
from tests.fakes.machines import Script
from tests.usecases import worlds
from tests.usecases.worlds import HERE, WORK, Fakes

SLOT = "run:trainer"
BUILD, TEST = replace(HERE, job="build"), replace(HERE, job="test")
KEY = BUILD.key(slot=SLOT)


def _provision(fakes: Fakes, here: Context, *, ttl_s: float = 3600.0) -> RunRecord:
    """The step in a job of its own: its documents are its runner's."""
    fakes.files = FakeFiles()
    fakes.remote._lands_in = fakes.files
    record = worlds.record(here.key(slot=SLOT))
    record.identity.job, record.identity.slot = here.job, SLOT
    order = replace(worlds.order(ttl_s=ttl_s), scope=lease.scope_of(SLOT))
    return provision.provision(fakes.world, record, here.key(slot=SLOT), order=order)


def _creations(fakes: Fakes) -> int:
    return [call for call, _ in fakes.machines.calls].count("begin_create")


def test_every_job_of_the_run_has_the_same_key_for_it() -> None:
    """Whatever the job and its matrix values are; but another call of the same reusable workflow has another machine."""
    sibling = replace(TEST, instance='[{"a":1},0]')
    assert KEY == TEST.key(slot=SLOT) == sibling.key(slot=SLOT)
    assert lease.scope_of(SLOT) is Scope.RUN and lease.scope_of("trainer") is Scope.JOB
    names = {each.key(slot=SLOT).name for each in (BUILD, replace(BUILD, call="1"), replace(BUILD, call="2"))}
    assert len(names) == 3
    assert KEY.name not in (BUILD.key().name, BUILD.key(slot="trainer").name)


def test_leased_in_one_job_and_used_in_the_next() -> None:
    """The second job asks for no machine, is let in with a key of its own, and works in a directory of its own."""
    fakes = Fakes()
    first = _provision(fakes, BUILD)
    cleanup.cleanup(fakes.world, BUILD.key(), owner=lease.of_job(BUILD.key()))
    second = _provision(fakes, TEST)
    assert first.machine is not None and second.machine is not None
    assert first.machine.handle == second.machine.handle and second.machine.expires_at == first.machine.expires_at
    assert _creations(fakes) == 1
    assert fakes.machines.joined == [(first.machine.handle, fakes.remote.public_key())]
    machine = records.load_machine(fakes.files, SLOT)
    assert machine.root not in ("accel-ci", "") and machine.root.startswith("accel-ci-")
    assert run_remote.run_remote(fakes.world, WORK, slot=SLOT).verdict is Verdict.PASSED


def test_the_jobs_spare_it_and_the_last_one_ends_it() -> None:
    """Neither job's own cleanup touches it; `for: run:trainer`, said on another runner, ends it and nobody else's."""
    fakes = Fakes()
    provision.provision(fakes.world, worlds.record(), worlds.KEY, order=worlds.order())
    for here in (BUILD, TEST):
        _provision(fakes, here)
        assert cleanup.cleanup(fakes.world, here.key(), owner=lease.of_job(here.key())).found == []
    fakes.files = FakeFiles()
    last = replace(HERE, job="cleanup")
    jobs = (last.job_of(SLOT),)
    owner = lease.of_run(last.key(), jobs=jobs)
    facts = cleanup.cleanup(fakes.world, last.key(), owner=owner, jobs=jobs)
    assert [handle.rpartition("/")[2] for handle in facts.released] == [KEY.name]
    assert [handle.rpartition("/")[2] for handle in fakes.machines.living()] == [worlds.KEY.name]


def test_a_second_try_is_joined_too() -> None:
    """Where the first zone had none, the machine bears the name of a later try, which follows from the same key."""
    fakes = Fakes(zones={"a": Script(error=errors.NoCapacityError("full")), "b": Script()})
    assert _provision(fakes, BUILD).identity.name == KEY.next_try().name
    joined = _provision(fakes, TEST).machine
    assert joined is not None and joined.zone == "b" and _creations(fakes) == 2


def test_what_is_still_being_made_is_waited_for() -> None:
    """A job that comes while another one's request is under way waits for that machine."""
    fakes = Fakes(zones={"a": Script(boot_s=60)})
    _begin(fakes, KEY)
    began = fakes.clock.now()
    assert _provision(fakes, TEST).machine is not None
    assert fakes.clock.now() - began >= 60 and _creations(fakes) == 1


def test_where_that_one_fails_the_next_try_is_joined() -> None:
    """The job that leases goes on to the next place after a while; whoever waits for its machine goes with it."""
    fakes = _failing(boot_s=30)
    machine = _provision(fakes, TEST).machine
    assert machine is not None and machine.zone == "b" and _creations(fakes) == 2
    assert any("1 of 4 devices; next: " in line for line in fakes.job.of_kind("log"))


def test_who_comes_while_that_one_fails_joins_the_next_try_too() -> None:
    """The name is still the failed machine's: that is no mistake in the job's configuration."""
    fakes = _failing(boot_s=0)
    machine = _provision(fakes, TEST).machine
    assert machine is not None and machine.zone == "b"


def test_where_that_one_fails_for_good_its_error_is_told() -> None:
    """Nobody asks elsewhere within a minute: no second machine is asked for, and the reason is the first one's."""
    fakes = Fakes(zones={"a": Script(boot_error=errors.UnhealthyError("1 of 4 devices"), boot_s=1), "b": Script()})
    _begin(fakes, KEY)
    began = fakes.clock.now()
    with pytest.raises(errors.UnhealthyError, match="1 of 4 devices"):
        _provision(fakes, TEST)
    assert _creations(fakes) == 1 and joining.FOLLOW_S <= fakes.clock.now() - began < 2 * joining.FOLLOW_S


def test_two_that_ask_at_once_share_one() -> None:
    """Whoever is second learns from the taken name that there is a machine, and joins it."""
    fakes = Fakes()
    finding, asked = fakes.machines.find, []

    def too_early(key: RunKey, zones: tuple[str, ...]) -> object:
        asked.append(key)
        if len(asked) == 1:
            _begin(fakes, KEY)
            return []
        return finding(key, zones)

    fakes.machines.find = too_early  # type: ignore[assignment, method-assign]
    fakes.machines._listing_lag_s = 600
    machine = _provision(fakes, TEST).machine
    assert machine is not None and len(fakes.machines.living()) == 1


def test_a_name_that_is_free_again_is_another_jobs() -> None:
    """Once the sick machine is gone, another job of the run takes its name at once: that one is not asked to end."""
    sick = Script(boot_error=errors.UnhealthyError("1 of 4 devices"), release_s=3)
    fakes = Fakes(zones={"a": [sick, Script()], "b": Script()})
    called, name = fakes.machines._called, f"fake://a/{KEY.name}"

    def meanwhile(method: str, what: str) -> None:
        called(method, what)
        made = fakes.machines._entries.get(name)
        if made is not None and made.script is sick and name not in fakes.machines.living():
            fakes.machines._called = called  # type: ignore[method-assign]
            _begin(fakes, KEY)

    fakes.machines._called = meanwhile  # type: ignore[method-assign]
    _provision(fakes, TEST)
    assert name in fakes.machines.living()
    assert [what for call, what in fakes.machines.calls if call == "release"] == [name]


def test_a_lease_that_is_over_is_not_joined() -> None:
    """The machine may end at any moment: the job is told that the shared lease was too short."""
    fakes = Fakes()
    fakes.machines._native = False
    _provision(fakes, BUILD, ttl_s=60)
    fakes.clock.advance(100)
    with pytest.raises(errors.BootError, match=r"lease .* is over"):
        _provision(fakes, TEST)


def test_another_runs_machine_is_nobodys_to_join() -> None:
    """The same slot in another run, or another attempt, is another machine."""
    fakes = Fakes()
    _provision(fakes, BUILD)
    _provision(fakes, replace(TEST, run_id=78))
    _provision(fakes, replace(TEST, attempt=2))
    assert len(fakes.machines.living()) == 3


def test_each_job_says_its_key_until_it_is_let_in() -> None:
    """Of two that join a TPU at once one undoes the other's key: whoever is kept out says it again."""
    fakes = Fakes()
    _provision(fakes, BUILD)
    kept_out, preparing = [errors.ConnectionLostError("Permission denied")] * 2, fakes.remote.prepare

    def prepare(machine: Machine) -> list[Tried]:
        if kept_out:
            raise kept_out.pop()
        return preparing(machine)

    fakes.remote.prepare = prepare  # type: ignore[method-assign]
    assert _provision(fakes, TEST).machine is not None
    assert len(fakes.machines.joined) == 3


def test_the_history_has_a_record_of_each_job() -> None:
    """The machine and its name are one; the jobs that used it are two, and so are matrix siblings."""
    fakes = Fakes()
    for here in (BUILD, TEST, replace(TEST, instance='[{"a":1},0]')):
        record = _provision(fakes, here)
        record.identity.instance = here.instance
        record.verdict = Verdict.PASSED
        report.report(fakes.world, record)
    names = fakes.history.names()
    assert len(names) == 3 and all(name.startswith(KEY.name) for name in names)


def test_its_documents_have_no_colon_in_their_paths() -> None:
    """The upload of artifacts refuses such paths; the slot is read back as it was."""
    fakes = Fakes()
    _provision(fakes, BUILD)
    assert all(":" not in name for name in fakes.files.names(""))
    assert records.slots(fakes.files) == [SLOT] and runkey.shared(SLOT)


def _failing(*, boot_s: float) -> Fakes:
    """Another job's machine is sick after `boot_s`; 50 s from now that job ends it, and asks in the next zone."""
    sick = Script(boot_error=errors.UnhealthyError("1 of 4 devices"), boot_s=boot_s, release_s=3)
    fakes = Fakes(zones={"a": sick, "b": Script(boot_s=60)})
    failed, began, sleeping = _begin(fakes, KEY), fakes.clock.now(), fakes.clock.sleep

    def sleep(seconds: float) -> None:
        sleeping(seconds)
        if fakes.clock.now() - began >= 50:
            fakes.clock.sleep = sleeping  # type: ignore[method-assign]
            fakes.machines.release(failed.handle)
            _begin(fakes, KEY.next_try(), zone="b")

    fakes.clock.sleep = sleep  # type: ignore[method-assign]
    return fakes


def _begin(fakes: Fakes, key: RunKey, *, zone: str = "") -> Creation:
    spec = MachineSpec(backend="fake", accelerator="v6e-1")
    wanted = lease.Lease(key=key, expires_at=int(fakes.clock.now()) + 3600, scope=Scope.RUN, nonce="another")
    return fakes.machines.begin_create(
        spec, wanted, Candidate(zone=zone or next(iter(fakes.machines._zones)), spot=True), public_key=""
    )
