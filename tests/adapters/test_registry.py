"""Which backend serves what, and how all of them are looked through at once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from accel_ci.adapters import registry
from accel_ci.adapters.every_backend import EveryBackend
from accel_ci.adapters.local import LocalMachines
from accel_ci.adapters.registry import BACKENDS, Site
from accel_ci.adapters.tpu import TpuMachines
from accel_ci.domain import lease
from accel_ci.domain.errors import AccessError, ConfigurationError
from accel_ci.domain.lease import Lease, Owner
from accel_ci.domain.machine import Creation, Machine, MachineSpec
from accel_ci.domain.runkey import RunKey
from tests.fakes.clock import FakeClock
from tests.fakes.machines import FakeMachines

KEY = RunKey(repository_id=1, repository="org/repo", run_id=7, job="tests")


def _site(tmp_path: Path, **cloud: str) -> Site:
    return Site(state=str(tmp_path / "state"), run=str(tmp_path / "run"), environment={}, cloud=cloud)


@pytest.mark.parametrize(
    ("accelerator", "name"),
    [
        ("local", "local"),
        ("local-4", "local"),
        ("v6e-16", "tpu"),
        ("v5litepod-16", "tpu"),
        ("v2-8", "tpu"),
        ("l4-1", "gce"),
        ("n1-standard-8+t4-1", "gce"),
        ("e2-standard-4", "gce"),
        ("tpu7x-8", "gce"),
    ],
)
def test_auto_follows_the_accelerator(accelerator: str, name: str) -> None:
    """The catalogue says which backend has a type."""
    assert registry.backend("auto", accelerator=accelerator) is BACKENDS[name]


@pytest.mark.parametrize("name", BACKENDS)
def test_a_named_backend_is_that_one(name: str) -> None:
    """A name is taken as it is; whether it has the accelerator is for the backend to say."""
    assert registry.backend(name, accelerator="v6e-8") is BACKENDS[name]


@pytest.mark.parametrize(("name", "accelerator"), [("gke", "l4-1"), ("auto", "mi300-8")])
def test_what_is_not_there_is_said(name: str, accelerator: str) -> None:
    """A backend that comes later, or a type that nobody has, names what there is."""
    with pytest.raises(ConfigurationError, match="not in this version") as error:
        registry.backend(name, accelerator=accelerator)
    assert "local, gce, tpu" in error.value.what_to_do


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({}, []),
        ({"backend": "gke"}, ["backend: `gke` is not in this version"]),
        ({"zone": "us-centrl1-b"}, ["zone: `us-centrl1-b` is not known (did you mean `us-central1-b`?"]),
        ({"zone": "us-central1-b"}, []),
        ({"zone": ""}, []),
        ({"accelerator": "v6e-8", "backend": "auto", "zones": (), "options": {}}, []),
        ({"accelerator": "l4-3", "backend": "auto"}, ["accelerator: `l4-3` is not known (one of l4-1, l4-2"]),
        ({"accelerator": "l4-1", "backend": "tpu"}, ["accelerator: `l4-1` is not a type of backend `tpu`"]),
        ({"accelerator": "local-99"}, ["accelerator: this computer has no accelerator 'local-99'"]),
        ({"accelerator": "local-2", "backend": "local", "zones": ()}, []),
        # Only the second one knows `queued`, and that is enough.
        ({"accelerator": "v6e-8", "options": {"queued": "true"}}, []),
        ({"accelerator": "v6e-16", "zones": ("us-centrl1-b",)}, ["zones: `us-centrl1-b` has no v6e-16"]),
        # What could not be read does not hide what is wrong with the others.
        (
            {"zones": ("us-centrl1-b",), "options": {"disk": "3"}},
            ["zones: `us-centrl1-b` is not", "options: `disk` is"],
        ),
        ({"backend": "gce", "zones": ("mars",), "options": {}}, ["zones: `mars` is not known"]),
        (
            {"backend": "jarvis", "accelerator": "v5e-8", "zones": ("mars",), "options": {"disk": "3"}},
            ["backend: `jarvis`", "accelerator: `v5e-8` is not known", "zones: `mars` is", "options: `disk` is"],
        ),
    ],
)
def test_what_can_never_be_leased_is_known_ahead(values: dict[str, object], told: list[str]) -> None:
    """The catalogue judges what inputs say before anybody is called, as far as the inputs could be read."""
    found = [str(mistake) for mistake in registry.mistakes(values)]
    assert len(found) == len(told)
    assert all(line.startswith(start) for line, start in zip(found, told, strict=True))
    assert all(line.endswith(")") for line in found)  # each says what to do


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
    assert list(every.machines(_site(tmp_path)).list_owned(lease.of_run(KEY))) == []
    signed_in = every.machines(_site(tmp_path, CLOUDSDK_AUTH_ACCESS_TOKEN_FILE="/nowhere"))
    with pytest.raises(ConfigurationError, match="project"):
        list(signed_in.list_owned(lease.of_run(KEY)))


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


def test_each_machine_has_its_own_backends_limits(two: tuple[EveryBackend, FakeMachines, LocalMachines]) -> None:
    """What one cloud lacks says nothing about a machine of another; without a machine only what all can counts."""
    both, fake, _ = two
    fake._native = False
    assert not both.capabilities().native_lifetime_limit
    assert both.capabilities(f"local://{KEY.name}").native_lifetime_limit
    assert not both.capabilities(f"fake://zone-a/{KEY.name}").native_lifetime_limit


def test_what_both_have_is_leased_from_either(tmp_path: Path) -> None:
    """Equal prices: Compute Engine's places, where the cloud ends machines by itself, come before the TPU API's."""
    both = registry.backend("auto", accelerator="v6e-1").machines(_site(tmp_path, CLOUDSDK_CORE_PROJECT="p"))
    assert isinstance(both, EveryBackend)
    spec = MachineSpec(backend="auto", accelerator="v6e-1", zones=("us-central1-b", "us-west1-c"))
    assert [(each.zone, each.backend) for each in both.candidates(spec)] == [
        ("us-central1-b", "gce"),
        ("us-west1-c", "gce"),
        ("us-central1-b", "tpu"),
        ("us-west1-c", "tpu"),
    ]


def test_an_option_decides_which_backend_it_is(tmp_path: Path) -> None:
    """A backend that does not know an option is left out; when all refuse, the first one's mistakes are told."""
    both = registry.backend("auto", accelerator="v6e-1").machines(_site(tmp_path, CLOUDSDK_CORE_PROJECT="p"))
    for options, expected in (
        ({"queued": "true"}, {"tpu"}),
        ({"disk-size": "50"}, {"gce"}),
        ({"sudo": "true"}, {"gce", "tpu"}),
    ):
        spec = MachineSpec(backend="auto", accelerator="v6e-1", options=options)
        assert {each.backend for each in both.candidates(spec)} == expected
    with pytest.raises(ConfigurationError, match="Compute Engine"):
        both.candidates(MachineSpec(backend="auto", accelerator="v6e-1", options={"colour": "blue"}))


def test_what_cannot_be_reached_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the library of Compute Engine a TPU that both have comes from the TPU API."""
    monkeypatch.setattr("accel_ci.adapters.gce_library.installed", lambda: False)
    site = _site(tmp_path, CLOUDSDK_CORE_PROJECT="p")
    only = registry.backend("auto", accelerator="v6e-1").machines(site)
    spec = MachineSpec(backend="auto", accelerator="v6e-1")
    assert {each.backend for each in only.candidates(spec)} == {"tpu"}


def test_a_lease_goes_to_the_candidates_backend(two: tuple[EveryBackend, FakeMachines, LocalMachines]) -> None:
    """Every candidate says whose it is, and that backend makes the machine."""
    both, fake, _ = two
    spec = MachineSpec(backend="auto", accelerator="v6e-1")
    candidate = next(each for each in both.candidates(spec) if each.backend == "fake")
    wanted = Lease(key=replace(KEY, job="other"), expires_at=4_000_000_000)
    assert both.begin_create(spec, wanted, candidate, public_key="").handle.startswith("fake://")
    assert len(fake.living()) == 2
    with pytest.raises(ConfigurationError, match="nothing here can work on"):
        both.release("gce://p/z/n")


class Closed(FakeMachines):
    """A cloud that does not let us look."""

    def list_owned(self, owner: Owner) -> list[Machine]:
        raise AccessError("the API is not enabled")


def test_a_closed_cloud_is_no_obstacle_to_the_others(tmp_path: Path) -> None:
    """Whoever may not look into a cloud leased nothing there; when no cloud lets us look, nothing is proven."""
    clock = FakeClock(1_700_000_000.0)
    opened, closed, local = FakeMachines(clock), Closed(clock), LocalMachines(str(tmp_path))
    assert list(EveryBackend({"a": closed, "b": opened, "local": local}).list_owned(lease.of_run(KEY))) == []
    with pytest.raises(AccessError):
        list(EveryBackend({"a": closed, "local": local}).list_owned(lease.of_run(KEY)))
