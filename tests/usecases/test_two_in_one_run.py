"""Two journeys of one run that nobody told apart: neither gets the other's machine, verdict or files, and it is told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from accel_ci import journey
from accel_ci.domain import context, lease
from accel_ci.domain.check import Conclusion
from accel_ci.domain.context import Context
from accel_ci.domain.errors import ConfigurationError
from accel_ci.domain.record import RunRecord
from accel_ci.domain.trigger import Policy
from accel_ci.domain.verdict import Verdict
from accel_ci.journey import Plan
from accel_ci.operations import publish, records
from accel_ci.operations.publish import Publication
from accel_ci.usecases import cleanup, gate, provision
from tests.fakes.files import FakeFiles
from tests.fakes.github import FakeGitHub
from tests.fakes.remote import Script
from tests.usecases import worlds
from tests.usecases.worlds import HERE, WORK, Fakes

CALL = {
    "GITHUB_REPOSITORY": "org/hello",
    "GITHUB_REPOSITORY_ID": "4711",
    "GITHUB_RUN_ID": "77",
    "GITHUB_JOB": "test",
    "GITHUB_EVENT_NAME": "push",
    "GITHUB_SHA": worlds.SHA,
    "ACCEL_CI_CALL": '{"accelerator": "v6e-1", "run": "make test"}',
}
PUBLICATION = Publication(check="accel-ci", failure_issue=False)


def shared() -> tuple[Fakes, FakeGitHub]:
    """A runner, and what all runners of the run see."""
    fakes = Fakes()
    fakes.github = FakeGitHub()
    return fakes, fakes.github


def travel(fakes: Fakes, here: Context, *, exit_code: int) -> RunRecord:
    """What the root action does: gate, then the journey in the next free slot."""
    fakes.remote.scripts["run"] = Script(exit_code=exit_code)
    assert gate.gate(fakes.world, here, event={}, policy=Policy()) is not None
    slot = records.free_slot(fakes.files)
    record = worlds.record(here.key(slot=slot))
    record.identity.event, record.identity.sha = "push", worlds.SHA
    plan = Plan(order=worlds.order(), work=WORK, publication=PUBLICATION)
    return journey.run(fakes.world, record, here.key(slot=slot), plan=plan)


@pytest.mark.parametrize(
    ("codes", "conclusion"),
    [((1, 0), Conclusion.FAILURE), ((0, 1), Conclusion.FAILURE), ((0, 0), Conclusion.SUCCESS)],
)
def test_two_journeys_in_one_job(codes: tuple[int, int], conclusion: Conclusion) -> None:
    """Each has its own machine and verdict; of their one check the worst counts, in whichever order they end."""
    fakes, github = shared()
    one, two = (travel(fakes, HERE, exit_code=code) for code in codes)
    assert (one.verdict, two.verdict) == tuple(Verdict.FAILED if code else Verdict.PASSED for code in codes)
    assert one.machine and two.machine and one.machine.handle != two.machine.handle
    assert [each.conclusion for each in github.all_checks] == [conclusion]
    assert fakes.machines.living() == []
    (warned,) = [each for each in fakes.job.of_kind("warning") if "`check` of its own" in each]
    assert "another step or job of this run has the check `accel-ci` too" in warned


def test_a_check_that_is_shared_says_so() -> None:
    """A pass after a failure is told in the check itself, and in the comment that is made of its text."""
    fakes, github = shared()
    for code in (1, 0):
        travel(fakes, HERE, exit_code=code)
    (check,) = github.all_checks
    assert check.title == publish.SHARED and check.text.startswith(f"> {publish.SHARED}.")


def test_jobs_of_a_matrix_share_the_check_of_the_whole() -> None:
    """Where every job of a matrix has its gate, one check for all is meant: nobody is warned."""
    fakes, _ = shared()
    for instance in ('[{"python":"3.11"},0]', '[{"python":"3.12"},1]'):
        gate.gate(fakes.world, replace(HERE, instance=instance, siblings=2), event={}, policy=Policy())
    assert fakes.job.of_kind("warning") == []


def calls() -> tuple[Context, Context]:
    """The jobs `test` of two calls of the reusable workflow with the same inputs: GitHub tells them nothing of each other."""
    return context.of_github(CALL, {}), context.of_github(CALL, {})


def test_a_call_never_takes_its_twins_machine() -> None:
    """Two calls with the same inputs have the same key: who comes second is refused the other's machine, and told why."""
    fakes, _ = shared()
    first, second = calls()
    assert first.key() == second.key()
    provision.provision(fakes.world, worlds.record(first.key()), first.key(), order=worlds.order())
    (machine,) = fakes.machines.living()
    mine = fakes.files
    fakes.files = FakeFiles()  # another runner
    with pytest.raises(ConfigurationError, match="another lease"):
        provision.provision(fakes.world, worlds.record(second.key()), second.key(), order=worlds.order())
    # Its own clean-up leaves alone what it did not ask for.
    cleanup.cleanup(fakes.world, second.key(), owner=lease.of_job(second.key()))
    assert fakes.machines.living() == [machine]
    lost = records.load(fakes.files, "")
    assert lost.machine is None and lost.verdict is not Verdict.PASSED
    fakes.files = mine
    cleanup.cleanup(fakes.world, first.key(), owner=lease.of_job(first.key()))
    assert fakes.machines.living() == []
