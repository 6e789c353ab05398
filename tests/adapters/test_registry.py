"""Which backend serves what, and how all of them are looked through at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from accel_ci.adapters import registry
from accel_ci.adapters.every_backend import EveryBackend
from accel_ci.adapters.local import LocalMachines
from accel_ci.adapters.registry import BACKENDS, Site
from accel_ci.adapters.tpu import TpuMachines
from accel_ci.domain import lease
from accel_ci.domain.errors import ConfigurationError
from accel_ci.domain.lease import Lease
from accel_ci.domain.machine import Creation, MachineSpec
from accel_ci.domain.runkey import RunKey
from tests.fakes.clock import FakeClock
from tests.fakes.machines import FakeMachines

KEY = RunKey(repository_id=1, repository="org/repo", run_id=7, job="tests")


def _site(tmp_path: Path, **cloud: str) -> Site:
    return Site(state=str(tmp_path / "state"), run=str(tmp_path / "run"), environment={}, cloud=cloud)


@pytest.mark.parametrize(
    ("accelerator", "name"),
    [("local", "local"), ("local-4", "local"), ("v6e-8", "tpu"), ("v5litepod-16", "tpu"), ("v2-8", "tpu")],
)
def test_auto_follows_the_accelerator(accelerator: str, name: str) -> None:
    """The catalogue says which backend has a type."""
    assert registry.backend("auto", accelerator=accelerator) is BACKENDS[name]


@pytest.mark.parametrize("name", BACKENDS)
def test_a_named_backend_is_that_one(name: str) -> None:
    """A name is taken as it is; whether it has the accelerator is for the backend to say."""
    assert registry.backend(name, accelerator="v6e-8") is BACKENDS[name]


@pytest.mark.parametrize(
    ("name", "accelerator", "hints"),
    [
        ("gce", "l4-1", []),
        ("auto", "tpu7x-8", []),
        ("auto", "l4-1", []),
        ("auto", "v5e-8", ["accelerator: `v5e-8` is not known (did you mean `v5litepod-8`?)"]),
    ],
)
def test_what_is_not_there_is_said(name: str, accelerator: str, hints: list[str]) -> None:
    """A backend that comes later, or a type that nobody has, names what there is, and what was meant."""
    with pytest.raises(ConfigurationError, match="not in this version") as error:
        registry.backend(name, accelerator=accelerator)
    assert "local, tpu" in error.value.what_to_do
    assert [str(mistake) for mistake in error.value.mistakes] == hints


def test_making_a_backend_touches_nothing(tmp_path: Path) -> None:
    """No library, no key, no directory of the run: cleanup on another runner has none of them."""
    site = _site(tmp_path, CLOUDSDK_CORE_PROJECT="p")
    assert isinstance(BACKENDS["tpu"].machines(site), TpuMachines)
    with BACKENDS["tpu"].remote(site):
        assert list(tmp_path.iterdir()) == []


def test_the_runs_key_is_made_when_it_is_asked_for(tmp_path: Path) -> None:
    """Every step of a run has the same key, which is nobody else's to read."""
    site = _site(tmp_path)
    (tmp_path / "run").mkdir()
    keys = []
    for _ in range(2):
        with BACKENDS["tpu"].remote(site) as remote:
            keys.append(remote.public_key())
    assert keys[0] == keys[1] and keys[0].startswith("ssh-ed25519 ")
    assert (tmp_path / "run" / "ssh-key").stat().st_mode & 0o777 == 0o600


def test_everywhere_is_where_we_can_go(tmp_path: Path) -> None:
    """Looking everywhere leaves out a cloud to which nothing leads, so that nobody needs one to clean up at home."""
    every = registry.backend("every", accelerator="")
    assert isinstance(every.machines(_site(tmp_path)), EveryBackend)
    assert every.machines(_site(tmp_path)).list_owned(lease.of_run(KEY)) == []
    signed_in = every.machines(_site(tmp_path, CLOUDSDK_AUTH_ACCESS_TOKEN_FILE="/nowhere"))
    with pytest.raises(ConfigurationError, match="project"):
        signed_in.list_owned(lease.of_run(KEY))


@pytest.fixture
def two(tmp_path: Path) -> tuple[EveryBackend, FakeMachines, LocalMachines]:
    """A fake cloud and this computer, each with one machine of the run."""
    clock = FakeClock(1_700_000_000.0)
    fake, local = FakeMachines(clock), LocalMachines(str(tmp_path))
    both = EveryBackend({"fake": fake, "local": local})
    for machines, accelerator in ((fake, "v6e-1"), (local, "local")):
        spec = MachineSpec(backend="any", accelerator=accelerator)
        wanted = Lease(key=KEY, expires_at=4_000_000_000)
        machines.begin_create(spec, wanted, machines.candidates(spec)[0], public_key="")
    return both, fake, local


def test_all_machines_are_found_and_ended(two: tuple[EveryBackend, FakeMachines, LocalMachines]) -> None:
    """Whatever backend a machine is in, it is listed, found, annotated, released and verified by its handle."""
    both, fake, local = two
    handles = [f"fake://zone-a/{KEY.name}", f"local://{KEY.name}"]
    assert [machine.handle for machine in both.list_owned(lease.of_run(KEY))] == handles
    assert [machine.handle for machine in both.find(KEY, ())] == handles
    for handle in handles:
        both.annotate(handle, "accel-ci-keep-until", "4000000001")
        assert both.poll(Creation(handle=handle, stage="")).machine is not None
        assert KEY.name in both.release_command(handle)
        assert (both.interruption(handle), isinstance(both.console_tail(handle), str)) == ("", True)
        assert not both.released(handle)
        both.release(handle)
    while not both.released(handles[1]):
        both.release(handles[1])
    assert both.released(handles[0]) and fake.living() == [] and local.list_owned(lease.of_run(KEY)) == []


def test_everywhere_leases_nothing(two: tuple[EveryBackend, FakeMachines, LocalMachines]) -> None:
    """A machine comes from one backend, which has to be named; a stranger's handle is refused."""
    both, _, _ = two
    spec = MachineSpec(backend="auto", accelerator="")
    capabilities = both.capabilities()
    assert (capabilities.native_lifetime_limit, capabilities.zones) == (True, True)
    with pytest.raises(ConfigurationError, match="no backend was chosen"):
        both.candidates(spec)
    with pytest.raises(ConfigurationError, match="nothing here can work on"):
        both.release("gce://p/z/n")
