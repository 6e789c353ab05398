"""The rule about the queue when all has come to rest."""

from __future__ import annotations

import pytest

from accel_ci_sim.direct.queue_judge import QueueJudge
from accel_ci_sim.direct.simulation import Simulation
from accel_ci_sim.world.github import Job, Run

LIMIT_S = 40.0


@pytest.mark.parametrize(
    ("waited_s", "workflow", "broken"),
    [(41.0, "tests.yml", True), (39.0, "tests.yml", False), (-10.0, "tests.yml", False), (41.0, "deploy.yml", False)],
)
def test_what_was_overdue_when_the_last_reaper_began_must_not_wait(
    waited_s: float, workflow: str, broken: bool
) -> None:
    """What began to wait while that reaper watched the end of others is no fault of it (seed 5, world 6460)."""
    scene = Simulation(1, 0, rate=0.0).scene
    began_at = scene.schedule.now
    scene.schedule.after(80.0, lambda: None)
    scene.schedule.run()
    job = Job(id=1, name="tpu", created_at=began_at - waited_s)
    scene.github.runs = {5000: Run(id=5000, workflow=workflow, jobs=[job])}
    QueueJudge(scene, workflows=("tests.yml",), limit_s=LIMIT_S).rested(since=began_at)
    assert [each.rule for each in scene.violations] == (["I-queue"] if broken else [])


@pytest.mark.parametrize(("waited_s", "broken"), [(0.0, False), (0.5, True)])
def test_an_attempt_that_began_since_the_look_is_not_cancelled(waited_s: float, broken: bool) -> None:
    """Unless it began when that was asked for already: GitHub knows no attempt there (seed 23, world 917)."""
    scene = Simulation(1, 0, rate=0.0).scene
    began_at = scene.schedule.now
    run = Run(id=5000, workflow="tests.yml", jobs=[Job(id=1, name="tpu", created_at=began_at - 2 * LIMIT_S)])
    judge = QueueJudge(scene, workflows=("tests.yml",), limit_s=LIMIT_S)
    judge.looks(1, run)
    scene.schedule.after(1.0, lambda: None)
    scene.schedule.run()
    run.attempt, run.started_at = 2, scene.schedule.now - waited_s
    judge.cancels(1, run, asked_at=scene.schedule.now)
    assert [each.rule for each in scene.violations] == (["I-queue"] if broken else [])
