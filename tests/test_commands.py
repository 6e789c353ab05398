"""What the verbs add to their use cases."""

from __future__ import annotations

import os
import pwd
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from accel_ci import wiring
from accel_ci.adapters import registry
from accel_ci.adapters.stop_signals import StopSignals
from accel_ci.commands import by_hand, journeys, look, showing, steps
from accel_ci.commands.call import Call
from accel_ci.domain import errors
from accel_ci.domain.machine import Machine, State
from accel_ci.formats import plain_text
from accel_ci.inputs.by_hand import EndInputs
from accel_ci.operations import records
from tests.fakes.job import FakeJob
from tests.render import samples
from tests.servers.gce_over_http import GceServer
from tests.usecases.worlds import Fakes


@pytest.mark.parametrize(("status", "limited"), [("cancelled", True), ("failure", False), ("", False)])
def test_collect_hurries_in_a_cancelled_job_only(status: str, limited: bool) -> None:
    """What is left of a cancelled job is 285 s: bringing files back keeps to 60 of them, and otherwise to none."""
    call = Call(given={}, environ={"ACCEL_CI_JOB_STATUS": status}, job=FakeJob(), stop=StopSignals())
    assert isinstance(steps._hurried(call), nullcontext) is not limited
    assert steps.COLLECT_S == 60.0


@pytest.mark.parametrize(("mode", "kind"), [("job", "log"), ("run", "log"), ("sweep", "warning")])
def test_clouds_that_nobody_can_look_into_are_named(mode: str, kind: str, tmp_path: Path) -> None:
    """Without a sign-in cleanup sees this computer only, and says so; of a sweeper, which would be green for ever, loudly."""
    call = _call(tmp_path, mode=mode)
    assert steps.cleanup_(call) == 0
    assert isinstance(call.job, FakeJob)
    (told,) = [each for each in call.job.of_kind(kind) if "not looked through" in each]
    assert told.endswith("gce, tpu")


@pytest.mark.parametrize(("leased", "told"), [("local", True), ("mi300-8", True), ("", True)])
def test_a_slip_in_what_was_leased_hides_nothing(leased: str, told: bool, tmp_path: Path) -> None:
    """A type that no cloud has narrows nothing: every backend is looked through, and what cannot be is named."""
    call = _call(tmp_path, leased=leased)
    assert steps.cleanup_(call) == 0
    assert isinstance(call.job, FakeJob)
    assert any("not looked through" in each for each in call.job.of_kind("log")) is told


def test_a_signal_anywhere_in_cleanup_begins_it_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the first request as well: whoever sends a signal wants the machine gone all the more."""
    whole, signals = wiring.world, [errors.CancelledError("SIGINT asked us to stop")]

    def interrupted(*given: Any, **named: Any) -> Any:
        if signals:
            raise signals.pop()
        return whole(*given, **named)

    monkeypatch.setattr(wiring, "world", interrupted)
    call = _call(tmp_path, mode="job")
    assert steps.cleanup_(call) == 0
    assert isinstance(call.job, FakeJob) and "group: cleanup" in [f"{kind}: {text}" for kind, text in call.job.entries]


def test_only_the_backends_of_what_was_leased_are_looked_through(tmp_path: Path) -> None:
    """`leased: l4-1` means Compute Engine: nobody asks the Cloud TPU API, or misses its library."""
    (tmp_path / "token").write_text("a-token")
    with GceServer() as server:
        call = _call(tmp_path, leased="l4-1")
        call.environ.update(server.environment(str(tmp_path / "token")))  # type: ignore[attr-defined]
        assert steps.cleanup_(call) == 0
        assert {each.path.split("/")[1] for each in server.cloud.requests} == {"compute"}
    assert isinstance(call.job, FakeJob)
    assert not any("not looked through" in each for each in call.job.of_kind("log"))


def test_a_listing_says_what_it_does_not_show(tmp_path: Path) -> None:
    """`accel-ci list` names the clouds that it could not ask: "no machine" is about the others."""
    call = _call(tmp_path)
    assert by_hand.list_(call) == 0
    assert isinstance(call.job, FakeJob)
    assert any("not looked through" in each for each in call.job.of_kind("log"))


def test_nothing_seen_is_not_no_machine(tmp_path: Path) -> None:
    """Where nobody could look, the listing is an error, and never a table that says "no machine"."""
    call = _call(tmp_path, backend="tpu")
    with pytest.raises(errors.AccelError):
        by_hand.list_(call)
    assert isinstance(call.job, FakeJob)
    assert not any("no machine" in each for each in call.job.of_kind("stream"))


def test_a_listing_is_of_all_backends(tmp_path: Path) -> None:
    """What this directory leased last is not all that may live: a cloud that cannot be asked is named all the same."""
    call = _call(tmp_path)
    here = wiring.here(call.environ)
    wiring.place(call.environ).remember(here, given={"accelerator": "local"})
    name = here.key().name
    machine = Machine(
        handle=f"local://{name}", name=name, zone="local", accelerator="local", spot=False, state=State.READY
    )
    records.save_machine(wiring.place(call.environ).files(name), "", machine)
    assert by_hand.list_(call) == 0
    assert isinstance(call.job, FakeJob)
    assert f"leased from {wiring.directory(call.environ)}:" in call.job.of_kind("log")
    assert any(each.endswith("gce, tpu") for each in call.job.of_kind("log"))


def test_a_name_is_looked_for_in_every_cloud(tmp_path: Path) -> None:
    """Where the last run leased is not where all machines are; a handle says itself which cloud is meant."""
    call = _call(tmp_path)
    here = wiring.here(call.environ)
    wiring.place(call.environ).remember(here, given={"accelerator": "local"})
    found = look.sought(call, EndInputs(machine="accel-x-1-1-0a1b2c3d"))
    assert (found.backend, found.known) == (registry.EVERY, None)
    assert isinstance(call.job, FakeJob) and any(each.endswith("gce, tpu") for each in call.job.of_kind("log"))
    assert look.sought(call, EndInputs(machine="tpu://my-project/zone/name")).backend == "tpu"


def test_a_damaged_document_hides_no_machine(tmp_path: Path) -> None:
    """What is kept of another run, and cannot be read, keeps nobody from ending a machine by its handle."""
    call = _call(tmp_path)
    here = wiring.here(call.environ)
    wiring.place(call.environ).remember(here, given={"accelerator": "local"})
    files = wiring.place(call.environ).files(here.key().name)
    for name in ("context.json", "main/machine.json", "main/record.json"):
        files.write(name, b"{")
    call = Call(given={"machine": "local://accel-x"}, environ=call.environ, job=call.job, stop=call.stop)
    with pytest.raises(errors.ConfigurationError, match="no machine 'local://accel-x'"):
        by_hand.end_(call)


def test_another_repositorys_machines_are_looked_for_by_its_number(tmp_path: Path) -> None:
    """`--repository-id` names the repository whose workflow leased; without it the one that we are in is meant."""
    assert EndInputs(repository_id="4711").owner(815).repository_id == 4711
    assert EndInputs().owner(815).repository_id == 815


def test_a_lease_is_no_run_to_go_on_with(tmp_path: Path) -> None:
    """`attach` after `provision` says what to do instead, and not that `provision`'s inputs are none of its own."""
    call = _call(tmp_path)
    here = wiring.here(call.environ)
    wiring.place(call.environ).remember(here, given={"accelerator": "local", "ttl": "30m"})
    with pytest.raises(errors.ConfigurationError, match="only a lease") as refused:
        journeys.attach_(call)
    assert "accel-ci run-remote" in refused.value.what_to_do


def _call(place: Path, **given: str) -> Call:
    environ = {"ACCEL_CI_STATE": str(place / "state"), "HOME": str(place)}
    return Call(given=given, environ=environ, job=FakeJob(), stop=StopSignals())


def test_a_user_without_a_name_is_a_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container's user need not be in any list of users."""

    def nobody(number: int) -> object:
        raise KeyError(number)

    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    assert wiring.here({"HOME": str(tmp_path)}).actor == str(os.getuid())


def test_a_directory_that_is_gone_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is in a directory that somebody removed is told to go elsewhere."""
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(errors.ConfigurationError, match="cannot be found"):
        wiring.here({"HOME": str(tmp_path)})


def test_the_verdict_has_its_colour(tmp_path: Path) -> None:
    """The last line is what eyes look for: whoever shows no colours drops them, and everybody else has them."""
    call = _call(tmp_path)
    showing.show(call, Fakes().world, samples.passed(), html="")
    assert isinstance(call.job, FakeJob)
    last = call.job.of_kind("log")[-1]
    assert "\x1b[32m" in last and plain_text.uncoloured(last).startswith("Passed on v6e-1 in ")
