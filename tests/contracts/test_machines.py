"""What every backend promises."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from accel_ci.domain import lease
from accel_ci.domain.errors import BootError, CloudError, ConfigurationError
from accel_ci.domain.lease import Lease, Owner
from accel_ci.domain.machine import Machine, State
from accel_ci.domain.runkey import RunKey
from tests.contracts.backends import BACKENDS, OTHER_REPOSITORY, REPOSITORY, Backend
from tests.servers.simulator import SimulatorProcess

KEY = RunKey(repository_id=REPOSITORY, repository="org/repo", run_id=77, job="tpu")
ATTEMPT_2 = replace(KEY, attempt=2)
SIBLING = replace(KEY, job="gpu")
OTHER_RUN = replace(KEY, run_id=78)
STRANGER = replace(KEY, repository_id=OTHER_REPOSITORY, repository="org/other")
LEASE_S = 600
LIMIT_S = 60.0

# The simulated Compute Engine takes no limit below Google's 30 s; what ends machines there has tests of its own.
native = [name for name, kind in BACKENDS.items() if kind.native_lifetime_limit and not kind.on_simulator]
extendable = [name for name, kind in BACKENDS.items() if kind.extendable]
fixed = [name for name, kind in BACKENDS.items() if not kind.extendable]
# The small servers of the adapters' tests take no metadata.
shareable = [name for name, kind in BACKENDS.items() if kind.on_simulator or name in ("fake", "local")]
zoned = [name for name, kind in BACKENDS.items() if kind.zones]


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    """One simulated cloud for all cases that need it."""
    with closing(SimulatorProcess(tmp_path_factory.mktemp("sim"))) as running:
        yield running


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    """Each backend in turn, empty."""
    kind = BACKENDS[request.param]
    simulator = [request.getfixturevalue("simulator")] if kind.on_simulator else []
    with kind.open(tmp_path / "state", *simulator) as opened:
        yield opened


def _lease(backend: Backend, key: RunKey, seconds: float = LEASE_S) -> Lease:
    return Lease(key=key, expires_at=int(backend.clock.now() + seconds))


def _ready(backend: Backend, wanted: Lease) -> Machine:
    candidate = backend.machines.candidates(backend.spec)[0]
    creation = backend.machines.begin_create(backend.spec, wanted, candidate, public_key="ssh-ed25519 AAAA")
    deadline = backend.clock.now() + LIMIT_S
    while creation.machine is None:
        assert backend.clock.now() < deadline, creation.stage
        backend.clock.sleep(0.05)
        creation = backend.machines.poll(creation)
    return creation.machine


def _made(backend: Backend, *keys: RunKey) -> list[str]:
    return [_ready(backend, _lease(backend, key)).name for key in keys]


def _listed(backend: Backend, owner: Owner) -> set[str]:
    return {machine.name for machine in backend.machines.list_owned(owner)}


def _wait(backend: Backend, over: Callable[[], bool], limit_s: float = LIMIT_S) -> None:
    deadline = backend.clock.now() + limit_s
    while not over():
        assert backend.clock.now() < deadline, "it did not happen in time"
        backend.clock.sleep(0.1)


def _end(backend: Backend, handle: str) -> None:
    backend.machines.release(handle)
    _wait(backend, lambda: backend.machines.released(handle))


def test_capabilities_choose_the_cases(backend: Backend, request: pytest.FixtureRequest) -> None:
    """The table of backends says the same as the backends themselves."""
    kind = BACKENDS[request.node.callspec.params["backend"]]
    capabilities = backend.machines.capabilities()
    assert (capabilities.native_lifetime_limit, capabilities.zones) == (kind.native_lifetime_limit, kind.zones)
    assert capabilities.extendable == kind.extendable


def test_there_is_somewhere_to_look(backend: Backend) -> None:
    """A spec that the backend knows has at least one candidate."""
    assert len(backend.machines.candidates(backend.spec)) >= 1


def test_ready_machine(backend: Backend) -> None:
    """A ready machine bears its key's name, the lease's labels, and one address per worker."""
    wanted = _lease(backend, KEY)
    machine = _ready(backend, wanted)
    assert (machine.name, machine.state, machine.backend) == (KEY.name, State.READY, backend.spec.backend)
    assert dict(machine.labels) == wanted.labels()
    assert [worker.index for worker in machine.workers] == list(range(backend.spec.workers))
    assert len({worker.address for worker in machine.workers}) == backend.spec.workers
    assert machine.handle.endswith(f"/{KEY.name}")


def test_whole_life(backend: Backend) -> None:
    """A machine is found and listed while it lives, and neither after its verified release."""
    machine = _ready(backend, _lease(backend, KEY))
    assert [found.handle for found in backend.machines.find(KEY, (machine.zone,))] == [machine.handle]
    assert [found.handle for found in backend.machines.list_owned(lease.of_run(KEY))] == [machine.handle]
    assert not backend.machines.released(machine.handle)
    _end(backend, machine.handle)
    assert list(backend.machines.find(KEY, (machine.zone,))) == []
    assert list(backend.machines.list_owned(lease.of_run(KEY))) == []


def test_found_by_name_in_every_zone(backend: Backend) -> None:
    """No zone at all means every zone; another key's name finds nothing."""
    _made(backend, KEY)
    assert [found.name for found in backend.machines.find(KEY, ())] == [KEY.name]
    assert list(backend.machines.find(SIBLING, ())) == []


def test_its_handle_is_known_before_it_exists(backend: Backend) -> None:
    """The handles that a key's machine may have follow from the key; each can be put into a command for people."""
    zone = backend.machines.candidates(backend.spec)[0].zone
    expected = backend.machines.handles(KEY, (zone,))
    assert _ready(backend, _lease(backend, KEY)).handle in expected
    assert set(expected) <= set(backend.machines.handles(KEY, ()))
    assert all(KEY.name in backend.machines.release_command(handle) for handle in expected)
    assert all(backend.machines.search_commands(lease.of_run(KEY)))


@pytest.mark.parametrize("backend", shareable, indirect=True)
def test_another_job_joins_in_a_directory_of_its_own(backend: Backend) -> None:
    """The machine is the same but for the directory; a second time changes nothing; what is gone cannot be joined."""
    machine = _ready(backend, _lease(backend, KEY))
    public_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJoined another-job"
    joined = backend.machines.join(machine, public_key=public_key, root="accel-ci-another")
    assert joined == backend.machines.join(machine, public_key=public_key, root="accel-ci-another")
    assert (joined.root, joined.handle, len(joined.workers)) == (
        "accel-ci-another",
        machine.handle,
        len(machine.workers),
    )
    _end(backend, machine.handle)
    with pytest.raises(BootError):
        backend.machines.join(machine, public_key=public_key, root="accel-ci-another")


@pytest.mark.parametrize("backend", zoned, indirect=True)
def test_found_in_its_zone_only(backend: Backend) -> None:
    """A lookup in one zone does not answer with a machine of another."""
    here, there = (candidate.zone for candidate in backend.machines.candidates(backend.spec)[:2])
    _made(backend, KEY)
    assert [found.zone for found in backend.machines.find(KEY, (here, there))] == [here]
    assert list(backend.machines.find(KEY, (there,))) == []


def test_creation_is_idempotent(backend: Backend) -> None:
    """Asking again under the same lease gives the same machine, not a second one."""
    wanted = _lease(backend, KEY)
    first, again = _ready(backend, wanted), _ready(backend, wanted)
    assert first == again
    assert len(list(backend.machines.list_owned(Owner(repository_id=REPOSITORY)))) == 1


def test_no_adoption_of_another_lease(backend: Backend) -> None:
    """A machine of our name with other labels is refused, and lives on."""
    machine = _ready(backend, _lease(backend, KEY))
    with pytest.raises(ConfigurationError, match=KEY.name):
        _ready(backend, _lease(backend, KEY, LEASE_S + 1))
    assert not backend.machines.released(machine.handle)


def test_listing_by_repository(backend: Backend) -> None:
    """An owner that names a repository gets the machines of all its runs, and no other repository's."""
    run, other_run, _ = _made(backend, KEY, OTHER_RUN, STRANGER)
    assert _listed(backend, Owner(repository_id=REPOSITORY)) == {run, other_run}


def test_listing_by_run(backend: Backend) -> None:
    """A run's owner gets all jobs of that run, and nothing of other runs or repositories."""
    job, sibling, *_ = _made(backend, KEY, SIBLING, OTHER_RUN, STRANGER)
    assert _listed(backend, lease.of_run(KEY)) == {job, sibling}


def test_listing_up_to_the_attempt(backend: Backend) -> None:
    """A later attempt owns the machines of the earlier ones; an earlier attempt never those of a later one."""
    first, second = _made(backend, KEY, ATTEMPT_2)
    assert _listed(backend, lease.of_run(KEY)) == {first}
    assert _listed(backend, lease.of_run(ATTEMPT_2)) == {first, second}


def test_siblings_are_told_apart(backend: Backend) -> None:
    """A cleanup for one job spares the other jobs of its run."""
    job, sibling = _made(backend, KEY, SIBLING)
    assert _listed(backend, lease.of_run(KEY, jobs=("tpu",))) == {job}
    assert _listed(backend, lease.of_run(KEY, jobs=("gpu",))) == {sibling}
    assert _listed(backend, lease.of_run(KEY, jobs=("tpu", "gpu"))) == {job, sibling}
    assert _listed(backend, lease.of_run(KEY, jobs=("docs",))) == set()


def test_lost_labels(backend: Backend) -> None:
    """A machine whose labels are gone is still its run's by its name's prefix, and nobody else's."""
    machine = _ready(backend, _lease(backend, KEY))
    backend.lose_labels(machine.handle)
    assert _listed(backend, lease.of_run(KEY)) == {KEY.name}
    assert [found.name for found in backend.machines.find(KEY, ())] == [KEY.name]
    for owner in (lease.of_run(OTHER_RUN), lease.of_run(STRANGER), lease.of_run(KEY, jobs=("tpu",))):
        assert _listed(backend, owner) == set()
    _end(backend, machine.handle)


def test_release_while_creating(backend: Backend) -> None:
    """A machine can be released before it ever was ready, and a poll of it then fails."""
    candidate = backend.machines.candidates(backend.spec)[0]
    creation = backend.machines.begin_create(backend.spec, _lease(backend, KEY), candidate, public_key="")
    _end(backend, creation.handle)
    with pytest.raises(BootError):
        backend.machines.poll(creation)


def test_release_is_idempotent(backend: Backend) -> None:
    """Releasing twice, and releasing what is gone, is the same as releasing once."""
    machine = _ready(backend, _lease(backend, KEY))
    backend.machines.release(machine.handle)
    backend.machines.release(machine.handle)
    _wait(backend, lambda: backend.machines.released(machine.handle))
    backend.machines.release(machine.handle)
    assert backend.machines.released(machine.handle)


def test_release_of_what_never_was(backend: Backend) -> None:
    """A machine that never existed counts as released."""
    machine = _ready(backend, _lease(backend, KEY))
    handle = machine.handle.replace(KEY.name, SIBLING.name)
    backend.machines.release(handle)
    assert backend.machines.released(handle)
    assert not backend.machines.released(machine.handle)


def test_the_name_is_free_after_release(backend: Backend) -> None:
    """After a verified release the same name can be leased again, under another lease."""
    _end(backend, _ready(backend, _lease(backend, KEY)).handle)
    again = _lease(backend, KEY, LEASE_S + 60)
    assert dict(_ready(backend, again).labels) == again.labels()


def test_release_command_names_the_machine(backend: Backend) -> None:
    """The command for a person's own hands says which machine it ends."""
    assert KEY.name in backend.machines.release_command(_ready(backend, _lease(backend, KEY)).handle)


@pytest.mark.parametrize("backend", extendable, indirect=True)
def test_annotation(backend: Backend) -> None:
    """keep-until shows in every later look, leaves the lease's labels alone, and does not stop adoption."""
    wanted = _lease(backend, KEY)
    machine = _ready(backend, wanted)
    until = str(wanted.expires_at + 500)
    backend.machines.annotate(machine.handle, "accel-ci-keep-until", until)
    annotated = {**wanted.labels(), "accel-ci-keep-until": until}
    for found in (*backend.machines.find(KEY, ()), *backend.machines.list_owned(lease.of_run(KEY))):
        assert dict(found.labels) == annotated
        assert lease.expires_at(found.labels) == int(until)
    assert dict(_ready(backend, wanted).labels) == annotated


@pytest.mark.parametrize("backend", fixed, indirect=True)
def test_a_limit_that_nobody_can_move(backend: Backend) -> None:
    """An annotation shows in every later look; one that promises a longer life than the cloud gives is refused."""
    wanted = _lease(backend, KEY)
    machine = _ready(backend, wanted)
    backend.machines.annotate(machine.handle, "accel-ci-note", "looked-at")
    with pytest.raises(ConfigurationError, match="whatever we ask"):
        backend.machines.annotate(machine.handle, "accel-ci-keep-until", str(wanted.expires_at + 500))
    for found in (*backend.machines.find(KEY, ()), *backend.machines.list_owned(lease.of_run(KEY))):
        assert dict(found.labels) == {**wanted.labels(), "accel-ci-note": "looked-at"}
    assert dict(_ready(backend, wanted).labels) == {**wanted.labels(), "accel-ci-note": "looked-at"}


def test_annotating_what_is_gone(backend: Backend) -> None:
    """A machine that is gone cannot be annotated, and does not come back by trying."""
    machine = _ready(backend, _lease(backend, KEY))
    _end(backend, machine.handle)
    with pytest.raises(CloudError):
        backend.machines.annotate(machine.handle, "accel-ci-keep-until", "1")
    assert backend.machines.released(machine.handle)


def test_no_interruption_without_a_reason(backend: Backend) -> None:
    """Neither a living machine nor one that we released counts as interrupted."""
    machine = _ready(backend, _lease(backend, KEY))
    assert backend.machines.interruption(machine.handle) == ""
    _end(backend, machine.handle)
    assert backend.machines.interruption(machine.handle) == ""


def test_console_is_text(backend: Backend) -> None:
    """The console of a machine is some text, and that of no machine is none."""
    machine = _ready(backend, _lease(backend, KEY))
    assert isinstance(backend.machines.console_tail(machine.handle), str)
    _end(backend, machine.handle)


@pytest.mark.parametrize("backend", native, indirect=True)
def test_lifetime_limit(backend: Backend) -> None:
    """Without anybody's help the machine is gone after its lease, and says that this was why."""
    wanted = _lease(backend, KEY, backend.short_lease_s)
    machine = _ready(backend, wanted)
    _wait(backend, lambda: backend.machines.released(machine.handle))
    assert wanted.expires_at <= backend.clock.now()
    assert backend.clock.now() <= wanted.expires_at + backend.machines.capabilities().max_lateness_s + 1
    assert "lifetime limit" in backend.machines.interruption(machine.handle)
    assert _listed(backend, Owner(repository_id=REPOSITORY)) == set()


@pytest.mark.parametrize("backend", [name for name in native if name in extendable], indirect=True)
def test_keep_until_pushes_the_limit_back(backend: Backend) -> None:
    """A machine that somebody keeps outlives its lease, and ends when that time is over too."""
    wanted = _lease(backend, KEY, backend.short_lease_s)
    machine = _ready(backend, wanted)
    kept_until = wanted.expires_at + 2
    backend.machines.annotate(machine.handle, "accel-ci-keep-until", str(kept_until))
    _wait(backend, lambda: backend.clock.now() > wanted.expires_at + 1)
    assert not backend.machines.released(machine.handle)
    _wait(backend, lambda: backend.machines.released(machine.handle))
    assert backend.clock.now() >= kept_until
