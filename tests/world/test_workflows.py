"""Workflow runs in worlds: gates, GitHub that loses replies, runs again, force-cancels, and machines that people keep."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from accel_ci.domain.workload import CommitSource
from accel_ci_sim.direct import exhaustive, stages
from accel_ci_sim.direct.mishaps import Mishaps
from accel_ci_sim.direct.plans import PULL, SHA
from accel_ci_sim.direct.setting import Setting, Stage
from accel_ci_sim.direct.simulation import Simulation
from accel_ci_sim.direct.sites import BY_NAME
from accel_ci_sim.world.faults import Aim, Fate

SEED = 1


def _simulation(story: str = "steps/sim", *, aims: tuple[Aim, ...] = (), **mishaps: Any) -> Simulation:
    stage = stages.every()[story]
    plans = tuple(replace(plan, mishaps=replace(plan.mishaps, **mishaps)) for plan in stage.plans)
    how = Setting(stage=Stage(stage.name, stage.weather, plans))
    simulation = Simulation(SEED, 0, rate=0.0, aims=aims, how=how, readable=True)
    assert simulation.tally().found == []
    return simulation


def _roles(simulation: Simulation) -> list[str]:
    """The processes that came to their end, in order, the sweeper's left out."""
    lines = simulation.scene.timeline.lines or []
    return [line.split()[2] for line in lines if " ended: " in line and "cron" not in line]


def test_a_pull_request_ends_with_one_comment_and_one_green_check() -> None:
    """Gate, five steps, the post step and the cleanup job; the label is used up, the check is on the granted commit."""
    simulation = _simulation()
    github = simulation.scene.github
    steps = ["gate", "provision", "run-remote", "collect", "cleanup", "report", "post", "cleanup-job", "second-report"]
    assert _roles(simulation) == steps
    assert [each.number for each in github.comments.values()] == [PULL]
    assert [(each.sha, each.conclusion) for each in github.checks.values()] == [(SHA, "success")]
    assert github.issues[PULL].labels == []


@pytest.mark.parametrize("fate", [Fate.LOSE, Fate.DUPLICATE, Fate.FAIL, Fate.DELAY])
@pytest.mark.parametrize("nth", [1, 2])
def test_a_lost_or_doubled_post_leaves_one_of_each(fate: Fate, nth: int) -> None:
    """Whether the check's or the comment's reply is lost, or either is sent twice (502 after the commit)."""
    github = _simulation(aims=(Aim(BY_NAME["github.post"].number, nth, fate),)).scene.github
    assert len(github.comments) == 1
    assert {each.conclusion for each in github.checks.values()} == {"success"}


@pytest.mark.parametrize("wrong", ["stranger", "other", "closed"])
def test_what_the_gate_refuses_never_gets_a_machine(wrong: str) -> None:
    """A stranger's label, another label, a closed pull request: no job begins."""
    simulation = _simulation(label=wrong)
    assert _roles(simulation) == ["gate"] and not simulation.scene.ledger.machines


def test_a_push_before_the_label_is_refused() -> None:
    """What the label was set on is not the head any more."""
    assert _roles(_simulation(push_s=1.0)) == ["gate"]


def test_a_push_after_the_grant_changes_nothing() -> None:
    """The granted commit is tested, and no other."""
    simulation = _simulation(push_s=15.0)
    (run,) = simulation.scene.runs.values()
    assert run.verdict == "passed" and run.sha == SHA
    assert isinstance(run.plan.work.source, CommitSource)


def test_a_forced_cancel_leaves_it_to_the_sweeper() -> None:
    """Neither always() steps nor the post step nor the cleanup job start; the machine ends all the same."""
    simulation = _simulation(cancel_s=8.0, force_s=0.0)
    assert not {"cleanup", "report", "post", "cleanup-job"} & set(_roles(simulation))
    assert simulation.scene.ended_by == {"sweep": 1}
    assert simulation.scene.ledger.alive() == []


def test_a_lost_runner_leaves_it_to_the_cleanup_job() -> None:
    """Nothing runs on the lost one; another runner ends what it left, and the check that waits."""
    simulation = _simulation("runner lost/sim")
    assert _roles(simulation)[-2:] == ["cleanup-job", "second-report"]
    assert simulation.scene.ended_by == {"cleanup-job": 1}
    assert [each.conclusion for each in simulation.scene.github.checks.values()] == ["cancelled"]


def test_no_copy_of_a_check_is_left_pending() -> None:
    """A check that was made twice, and of which the lost job ended one, ends with the second report (seed 21, world 1124)."""
    post, patch = (BY_NAME[f"github.{verb}"].number for verb in ("post", "patch"))
    aims = (Aim(post, 1, Fate.DUPLICATE), Aim(patch, 1, Fate.CRASH_AFTER))
    checks = _simulation(aims=aims).scene.github.checks.values()
    assert len(checks) == 2 and None not in {each.conclusion for each in checks}


def test_a_kept_machine_outlives_its_job_and_then_ends() -> None:
    """Cleanup, the post step and the cleanup job leave it alone; the sweeper ends it after its time and the grace."""
    simulation = _simulation(keep_s=8.0, kept_for_s=3000.0)
    (machine,) = simulation.scene.ledger.machines
    assert simulation.scene.ended_by == {"sweep": 1}
    assert machine.gone_at is not None and machine.gone_at > machine.landed_at + 3000.0


def test_the_post_step_alone_is_enough() -> None:
    """A cleanup step that crashes at its first call is made good by the post step."""
    aim = Aim(BY_NAME["machines.find"].number, 1, Fate.CRASH_BEFORE, "cleanup")
    assert _simulation(aims=(aim,)).scene.ended_by == {"post": 1}


def test_siblings_conclude_the_check_of_the_whole_together() -> None:
    """Two checks of their own, and one for both, green only because both are."""
    github = exhaustive_matrix().scene.github
    names = sorted(each.name for each in github.checks.values())
    assert names == ["accel-ci", "accel-ci (a)", "accel-ci (b)"]
    assert {each.conclusion for each in github.checks.values()} == {"success"}


def exhaustive_matrix() -> Simulation:
    """The matrix of two on the plain cloud, over."""
    simulation = exhaustive.simulated(SEED, stages.every()["matrix/sim"], ())
    simulation.tally()
    return simulation


def test_calm_means_without_mishaps() -> None:
    """What the tests above change is all there is to change."""
    assert stages.every()["steps/sim"].plans[0].mishaps == Mishaps()
