"""Sending the code: not to a machine with an open door, never another commit, and with plain words about what lacks."""

from __future__ import annotations

from dataclasses import replace

import pytest

from accel_ci.domain import errors
from accel_ci.domain.doors import Tried
from accel_ci.domain.machine import Machine
from accel_ci.domain.record import RunRecord
from accel_ci.domain.verdict import Verdict
from accel_ci.domain.workload import CommitSource, Unpacked, Work
from accel_ci.operations import records
from accel_ci.usecases import provision, run_remote
from tests.fakes.remote import FakeRemote
from tests.usecases import worlds
from tests.usecases.worlds import KEY, SHA, WORK, Fakes

BASE = "b" * 40
SUDO = {"sudo": "sudo works without a password"}
MERGE = replace(WORK, source=CommitSource(repository="https://example.org/org/hello", sha=SHA, base=BASE))


def _leased(*, trust: str = "trusted", sudo: bool = False) -> Fakes:
    fakes, record = Fakes(), worlds.record()
    record.identity.trust, record.target.sudo = trust, sudo
    provision.provision(fakes.world, record, KEY, order=worlds.order())
    return fakes


def _run(fakes: Fakes, work: Work = WORK) -> RunRecord:
    return run_remote.run_remote(fakes.world, work, slot="")


def _started(fakes: Fakes) -> list[object]:
    return [call[1] for call in fakes.remote.calls if call[0] in ("put", "start")]


def test_shut_doors_are_told_and_kept() -> None:
    """What was tried from inside is in the log and in the record, for a stranger's code as for our own."""
    fakes = _leased(trust="fork")
    record = _run(fakes)
    assert record.verdict is Verdict.PASSED and record.doors is not None
    assert (record.doors.tried, record.doors.open) == (["root", "sudo"], [])
    assert "tried from inside, and shut: root, sudo" in fakes.job.of_kind("log")


def test_an_open_door_keeps_a_strangers_code_out() -> None:
    """Neither the source nor a command reaches the machine; the verdict is infra-error, and says which door and why."""
    fakes = _leased(trust="fork")
    fakes.remote.doors = SUDO
    with pytest.raises(errors.CloudError, match=r"fork's code is not run.*sudo \(w0: sudo works without") as refused:
        _run(fakes)
    assert "docs/security.md" in refused.value.what_to_do
    kept = records.load(fakes.files, "")
    assert (kept.verdict, _started(fakes)) == (Verdict.INFRA_ERROR, [])
    assert kept.doors is not None and [each.name for each in kept.doors.open] == ["sudo"]


def test_an_open_door_is_a_warning_for_our_own_code() -> None:
    """The tests run, and the run's page says what they could reach."""
    fakes = _leased()
    fakes.remote.doors = SUDO
    assert _run(fakes).verdict is Verdict.PASSED
    assert any("sudo works without a password" in text for text in fakes.job.of_kind("warning"))


def test_sudo_that_was_ordered_is_no_warning() -> None:
    """Who asked for `sudo` is told nothing new: a line in the log."""
    fakes = _leased(sudo=True)
    fakes.remote.doors = SUDO
    assert _run(fakes).verdict is Verdict.PASSED
    assert fakes.job.of_kind("warning") == []
    assert any("as ordered" in text for text in fakes.job.of_kind("log"))


def test_a_second_key_is_nobodys_way_out() -> None:
    """Somebody else's way in does not keep a stranger's code out; the warning stays."""
    fakes = _leased(trust="fork")
    fakes.remote.doors = {"logins": "2 keys open the account ci"}
    assert _run(fakes).verdict is Verdict.PASSED
    assert any("2 keys" in text for text in fakes.job.of_kind("warning"))


class Silent(FakeRemote):
    """Machines that do not say what their user can reach."""

    def prepare(self, machine: Machine) -> list[Tried]:
        """Nothing about one worker of two."""
        return super().prepare(machine)[1:]


def test_silence_about_a_worker_counts_as_open_for_a_stranger() -> None:
    """Where a worker did not try its doors a fork's code is not run."""
    fakes = _leased(trust="fork")
    fakes.remote.__class__ = Silent
    with pytest.raises(errors.CloudError, match="does not say what its user can reach"):
        _run(fakes)
    assert _started(fakes) == []


def test_what_is_told_after_the_code_ran_is_not_believed() -> None:
    """The first answer stays in the record: a later one could be the tested code's own."""
    fakes = _leased(trust="fork")
    _run(fakes)
    fakes.remote.doors = SUDO
    kept = _run(fakes).doors
    assert kept is not None and kept.open == []


def test_a_merge_is_in_the_record() -> None:
    """Both commits, the merge and its tree, as git on the machine proved them."""
    fakes = _leased()
    source = _run(fakes, MERGE).source
    assert source is not None
    assert (source.sha, source.base_sha, source.merge_sha, source.tree) == (SHA, BASE, "e" * 40, "e" * 40)
    assert any(f"merged {SHA} into {BASE}" in line for line in fakes.job.of_kind("log"))


def test_a_conflict_is_a_verdict_of_its_own() -> None:
    """No command is started; it is neither a failed test nor infrastructure, and says what to do. Again, it is the same."""
    fakes = _leased()
    fakes.remote.unpacked = Unpacked(obstacle="conflicts in a.py and b.py")
    for _ in range(2):
        record = _run(fakes, MERGE)
        assert (record.verdict, record.phases, record.source) == (Verdict.CONFLICT, [], None)
        assert f"{SHA} cannot be merged into {BASE}: conflicts in a.py and b.py" in record.reason
        assert "merge the base branch into the pull request" in record.reason
    assert not Verdict.CONFLICT.is_infrastructure
    assert [call for call in fakes.remote.calls if call[0] == "start"] == []


def test_the_same_commands_on_another_merge_are_another_work() -> None:
    """After the commit was tested alone, the step that asks for its merge does not inherit that verdict."""
    fakes = _leased()
    assert _run(fakes).verdict is Verdict.PASSED
    with pytest.raises(errors.ConfigurationError, match="other commands"):
        _run(fakes, MERGE)
    assert records.load(fakes.files, "").verdict is Verdict.INFRA_ERROR


@pytest.mark.parametrize(
    ("found", "setup", "hint"),
    [
        (Unpacked(submodules=2), "make deps", "2 submodule(s)"),
        (Unpacked(submodules=2), "git submodule update --init", ""),
        (Unpacked(lfs=3), "make deps", "3 file(s) are pointers of Git LFS"),
        (Unpacked(lfs=3), "git lfs install && git lfs pull", ""),
        (Unpacked(), "make deps", ""),
    ],
)
def test_what_was_not_fetched_is_told(found: Unpacked, setup: str, hint: str) -> None:
    """Submodules and LFS files that no command fetches are a warning with the command that does; else there is none."""
    fakes = _leased()
    fakes.remote.unpacked = found
    _run(fakes, replace(WORK, setup=setup))
    warnings = [text for text in fakes.job.of_kind("warning") if "setup" in text]
    assert [hint in text for text in warnings] == [True] * bool(hint)
