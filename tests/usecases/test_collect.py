"""collect: named files come back, and what is refused says why."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from accel_ci.domain import errors
from accel_ci.domain.record import RunRecord
from accel_ci.domain.workload import Caps
from accel_ci.usecases import collect, provision
from tests.fakes.clock import FakeClock
from tests.usecases import worlds
from tests.usecases.worlds import KEY, Fakes

FILES = {"results/a.json": b"{}", "results/deep/b.bin": b"x" * 100, "secret.txt": b"no"}


class _Until(set[int]):
    """Holds every worker for the next 40 seconds."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self._clock, self._until = clock, clock.now() + 40

    def __contains__(self, worker: object) -> bool:
        return self._clock.now() < self._until


def _collect(fakes: Fakes, *patterns: str, caps: Caps | None = None, secrets: Sequence[str] = ()) -> RunRecord:
    provision.provision(fakes.world, worlds.record(), KEY, order=worlds.order())
    fakes.remote.prepare(fakes.machines._seen()[0])
    fakes.files.write("main/source-sent", b"workspace")
    return collect.collect(fakes.world, patterns, caps=caps or Caps(), slot="", secrets=secrets)


def test_matching_files_come_back_with_their_digests() -> None:
    """Each artifact has its name, size and sha256, and its bytes lie among the run's documents."""
    fakes = Fakes(files=FILES)
    record = _collect(fakes, "results/**")
    assert [artifact.name for artifact in record.artifacts] == ["results/a.json", "results/deep/b.bin"]
    assert fakes.files.read(record.artifacts[1].path) == b"x" * 100
    assert all(len(artifact.sha256) == 64 for artifact in record.artifacts)


def test_a_file_whose_name_holds_a_secret_is_refused() -> None:
    """The record and the log show the name without it, wherever that is cut, and no file of such a name stays here."""
    fakes = Fakes(files={"out/s3cret-value.bin": b"x", f"{'d' * 195}/s3cret-value": b"x"})
    record = _collect(fakes, "**", secrets=["s3cret-value"])
    assert [artifact.name for artifact in record.artifacts][-1] == "out/***.bin"
    assert all(artifact.refused for artifact in record.artifacts) and not fakes.files.names("main/artifacts")
    assert "s3cret" not in fakes.job.text + record.model_dump_json()


@pytest.mark.parametrize("name", ["out/s3cret\u200d-value", "out/*** s3cret\x1b[m-value", "***/s3\0cret-value.bin"])
def test_a_secret_that_only_a_reader_would_see_in_a_name_is_found(name: str) -> None:
    """Names are cleaned when they are shown: what cleaning puts together is refused as well, stars or not."""
    fakes = Fakes(files={name: b"x"})
    record = _collect(fakes, "**", secrets=["s3cret-value"])
    assert record.artifacts[0].refused == "its name holds a secret" and not fakes.files.names("main/artifacts")
    assert "s3cret-value" not in fakes.job.text + record.model_dump_json()


def test_what_is_beyond_the_caps_is_refused_and_said() -> None:
    """A file that is too large has no bytes here, and its reason."""
    record = _collect(Fakes(files=FILES), "results/**", caps=Caps(file_bytes=10))
    assert [bool(artifact.refused) for artifact in record.artifacts] == [False, True]
    assert record.artifacts[1].path == ""


def test_nothing_that_matches_is_a_warning() -> None:
    """Patterns without any match are said, and are no error."""
    fakes = Fakes(files=FILES)
    assert _collect(fakes, "nothing/*").artifacts == []
    assert "nothing/*" in fakes.job.of_kind("warning")[0]


def test_without_a_machine_it_says_what_is_missing() -> None:
    """collect before provision is a configuration error."""
    with pytest.raises(errors.ConfigurationError):
        collect.collect(Fakes().world, ["x"], caps=Caps(), slot="")


@pytest.mark.parametrize("why", ["preempted", ""])
def test_a_machine_that_is_gone_is_waited_for_by_nobody(why: str) -> None:
    """Whoever took it, the first failed call is followed by a look, and that by the error: cleanup needs the time."""
    fakes = Fakes(files=FILES)
    _collect(fakes, "results/**")
    (handle,) = fakes.machines.living()
    fakes.machines.interrupt(handle) if why else fakes.machines.release(handle)
    fakes.clock.sleep(60)
    fakes.remote.unreachable = {0}
    began = fakes.clock.now()
    with pytest.raises(errors.CloudError, match=f"is gone, .*: {why or 'somebody ended it'}"):
        collect.collect(fakes.world, ["results/**"], caps=Caps(), slot="")
    assert fakes.clock.now() == began


@pytest.mark.parametrize("silent", [False, True])
def test_a_living_machine_out_of_reach_is_waited_for(silent: bool) -> None:
    """Its files come once it answers again, though the cloud cannot even say whether it lives."""
    fakes = Fakes(files=FILES)
    _collect(fakes, "results/**")
    fakes.remote.unreachable = _Until(fakes.clock)
    if silent:
        fakes.machines.fail("interruption", errors.TransientError("503"), times=1000)
    record = collect.collect(fakes.world, ["results/**"], caps=Caps(), slot="")
    assert [artifact.name for artifact in record.artifacts] == ["results/a.json", "results/deep/b.bin"]


def test_a_machine_that_was_sent_nothing_is_not_asked() -> None:
    """When run-remote was refused before it began there is nothing to wait for."""
    fakes = Fakes(files=FILES)
    provision.provision(fakes.world, worlds.record(), KEY, order=worlds.order())
    began = fakes.clock.now()
    assert collect.collect(fakes.world, ["x"], caps=Caps(), slot="").artifacts == []
    assert fakes.clock.now() == began and "nothing was sent" in fakes.job.of_kind("warning")[0]
