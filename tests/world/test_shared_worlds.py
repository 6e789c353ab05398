"""A machine that the jobs of a run share, in worlds: who leases it, who joins it, who pays, and who ends it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from accel_ci_sim.direct import plans, setting, stages
from accel_ci_sim.direct.mishaps import Mishaps
from accel_ci_sim.direct.plans import RunPlan
from accel_ci_sim.direct.setting import Setting, Stage
from accel_ci_sim.direct.simulation import Simulation

SEED = 1
CLOUDS = ("sim", "gce", "auto", "tpu", "queued")


def _stage(cloud: str, change: Callable[[RunPlan], RunPlan] = lambda plan: plan) -> Stage:
    weather = stages.every()[f"steps/{cloud}"].weather
    spec = plans.spec(weather)
    jobs = [replace(plan, order=replace(plan.order, spec=spec)) for plan in stages.SHARED.plans]
    return Stage(f"shared/{cloud}", weather, tuple(map(change, jobs)))


def _lived(stage: Stage) -> Simulation:
    simulation = Simulation(SEED, 0, rate=0.0, how=Setting(stage=stage), readable=True)
    assert simulation.tally().found == []
    return simulation


def _records(simulation: Simulation) -> dict[str, Any]:
    runs = simulation.scene.runs.values()
    return {run.plan.context.job: json.loads(run.files.documents["run.trainer/record.json"]) for run in runs}


@pytest.mark.parametrize("cloud", CLOUDS)
def test_three_jobs_share_one_machine(cloud: str) -> None:
    """Two ask for it at the same moment; all three pass on it, and the job that ends the run ends it, once."""
    simulation = _lived(_stage(cloud))
    records, machines = _records(simulation), simulation.scene.ledger.machines
    assert {record["verdict"] for record in records.values()} == {"passed"}
    assert len({record["machine"]["handle"] for record in records.values()}) == 1
    assert len([each for each in machines if each.workers]) == 1
    assert set(simulation.scene.ended_by) == {"cleanup-job"}


@pytest.mark.parametrize("cloud", CLOUDS)
def test_who_leased_it_may_be_lost(cloud: str) -> None:
    """The runner of the first is gone while the machine is made: the others wait for it, and pass."""

    def change(plan: RunPlan) -> RunPlan:
        first = plan.context.job == "build"
        return replace(plan, mishaps=Mishaps(lose_s=3.0)) if first else replace(plan, begins_s=2.0)

    records = _records(_lived(_stage(cloud, change)))
    assert [records[job]["verdict"] for job in ("build", "test", "bench")] == [None, "passed", "passed"]


def test_each_pays_from_its_own_beginning() -> None:
    """Whoever comes when the machine is there counts no second of the time before."""
    late_s = 60.0

    def change(plan: RunPlan) -> RunPlan:
        return replace(plan, begins_s={"build": 0.0, "test": late_s, "bench": 2 * late_s}[plan.context.job])

    records = _records(_lived(_stage("gce", change)))
    asked = [records[job]["machine"]["requested_at"] for job in ("build", "test", "bench")]
    assert all(later - earlier > late_s / 2 for earlier, later in itertools.pairwise(asked))
    assert all(record["cost"]["machine_seconds"] < late_s for record in records.values())


def test_nobody_ends_it_who_only_uses_it() -> None:
    """Without a last job it lives until its lease is over: the jobs' own cleanup and their post steps spare it."""
    simulation = _lived(_stage("tpu", lambda plan: replace(plan, mishaps=Mishaps(cleanup_job=False))))
    assert set(simulation.scene.ended_by) == {"sweep"}


def test_some_worlds_have_such_a_machine_and_the_others_do_not() -> None:
    """About one in twenty, on every kind of cloud."""
    skies = [
        simulation.scene.cloud.weather.service
        for simulation in (Simulation(SEED, number, rate=0.0, how=setting.USUAL) for number in range(800))
        if any(run.plan.shares for run in simulation.scene.runs.values())
    ]
    assert set(skies) == set(CLOUDS) and 20 <= len(skies) <= 60
