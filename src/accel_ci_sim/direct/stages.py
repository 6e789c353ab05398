"""The standard worlds for exhaustive search: small, the same each time, and disturbed only by what is aimed at them."""

from __future__ import annotations

from dataclasses import replace

from accel_ci.operations.acquire import Order
from accel_ci_sim.direct import plans
from accel_ci_sim.direct.mishaps import Mishaps
from accel_ci_sim.direct.plans import Form, RunPlan
from accel_ci_sim.direct.setting import Stage
from accel_ci_sim.world.weather import ZONES, Weather
from accel_ci_sim.world.worker import Script

RUN_ID = 500
CLOUDS = ("native", "sim", "gce", "auto", "tpu", "queued")


def every() -> dict[str, Stage]:
    """All stages by name: each story on each kind of cloud, and one of a machine that the jobs of a run share."""
    found = {SHARED.name: SHARED}
    for cloud in CLOUDS:
        sky = _sky(cloud)
        for story, (plan, weather) in _stories(sky).items():
            name = f"{story}/{cloud}"
            found[name] = Stage(name, weather, plan)
    return found


def of_pairs() -> dict[str, Stage]:
    """The stages whose call sites are combined: a pull request in steps, on Compute Engine and with queued TPUs."""
    return {name: stage for name, stage in every().items() if name in ("steps/gce", "steps/queued")}


def _stories(sky: Weather) -> dict[str, tuple[tuple[RunPlan, ...], Weather]]:
    steps = _plan(sky, Form.STEPS, event="pull_request_target")
    journey = _plan(sky, Form.JOURNEY, event="push")
    # Siblings share all but the matrix instance: what a careless name would mix up.
    sibling = replace(journey, context=replace(journey.context, siblings=2))
    instances = ('[{"n":"a"},0]', '[{"n":"b"},1]')
    return {
        "steps": ((steps,), sky),
        "journey": ((replace(journey, mishaps=Mishaps(resume_s=5.0)),), sky),
        # While the command runs; the early one comes while the machine is made.
        "cancelled": ((replace(steps, mishaps=Mishaps(cancel_s=8.0)),), sky),
        "cancelled early": ((replace(steps, mishaps=Mishaps(cancel_s=3.0)),), sky),
        "runner lost": ((replace(steps, mishaps=Mishaps(lose_s=8.0)),), sky),
        "no capacity at first": ((steps,), replace(sky, empty=sky.zones[:1])),
        "matrix": (
            tuple(replace(sibling, context=replace(sibling.context, instance=each)) for each in instances),
            sky,
        ),
    }


def _shared() -> Stage:
    """Three jobs of a run with one machine: two that ask at the same moment, and one that finds it in the queue."""
    sky = _sky("queued")
    plan = plans.shared(_plan(sky, Form.STEPS, event=""))
    jobs = tuple(
        replace(plan, context=replace(plan.context, job=job), begins_s=begins_s)
        for job, begins_s in (("build", 0.0), ("test", 0.0), ("bench", 1.0))
    )
    return Stage("shared/queued", sky, jobs)


def _sky(cloud: str) -> Weather:
    service = "sim" if cloud == "native" else cloud
    native = cloud in ("native", "gce", "auto")
    return Weather(
        zones=ZONES["sim" if service == "sim" else "tpu"][:3],
        service=service,
        native_limit=native,
        remembers=native,
        boot_s=(2.0, 4.0),
        release_s=(1.0, 3.0),
        listing_lag_s=2.0,
    )


def _plan(sky: Weather, form: Form, *, event: str) -> RunPlan:
    quick = Script(seconds=4.0, output=((1.0, b"one\n"), (3.0, b"two\n")), results=plans.PASSED_RESULTS)
    return RunPlan(
        context=plans.context(RUN_ID, event=event),
        form=form,
        order=Order(spec=plans.spec(sky), ttl_s=1200.0),
        work=plans.work(setup="pip install ."),
        scripts=({"setup": Script(seconds=2.0), "run": quick},),
        paths=("out/**",),
        mishaps=Mishaps(),
        begins_s=0.0,
    )


SHARED = _shared()
