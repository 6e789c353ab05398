"""What changes in a drawn world when layers are switched off."""

from __future__ import annotations

from dataclasses import replace

from accel_ci_sim.direct import layers
from accel_ci_sim.direct import plans as all_plans
from accel_ci_sim.direct.layers import Layer
from accel_ci_sim.direct.mishaps import Mishaps
from accel_ci_sim.direct.plans import Form, RunPlan
from accel_ci_sim.direct.setting import Setting
from accel_ci_sim.world.dice import Dice
from accel_ci_sim.world.weather import Weather

DAY_S = 86_400.0


def weather(sky: Weather, how: Setting) -> Weather:
    """The cloud ends machines by itself only with that layer; where it is the only one, every cloud does."""
    if how.layers == {Layer.NATIVE}:
        service = sky.service if sky.service in ("sim", "gce") else "gce"
        # Cloud TPU has no such layer that could be looked at alone.
        return replace(sky, service=service, native_limit=True, remembers=True)
    return sky if Layer.NATIVE in how.layers else replace(sky, native_limit=False)


def drawn(plans: list[RunPlan], stream: Dice, how: Setting) -> list[RunPlan]:
    """Where a layer is missing every job is in steps: the journey has several of them inside.

    Where only the sweep beside provision works, another run comes a day later.
    """
    if how.peer:
        return [_by_hand(plan) for plan in plans]
    if how.layers == layers.ALL:
        return plans
    plans = [replace(plan, form=Form.STEPS, mishaps=_lasting(plan.mishaps)) for plan in plans]
    # Without another run there would be no provision to pass by.
    if how.layers == {Layer.BESIDE}:
        last = plans[-1]
        context = replace(last.context, run_id=last.context.run_id + 5, instance="", siblings=1)
        begins_s = stream.uniform(DAY_S, 2 * DAY_S)
        plans.append(replace(all_plans.alone(last), context=context, mishaps=Mishaps(), begins_s=begins_s))
    return plans


def _by_hand(plan: RunPlan) -> RunPlan:
    """The peer has one machine, never queues, and nobody starts it again."""
    # The published flow creates nodes, and never heard of queued resources.
    order = replace(plan.order, spec=replace(plan.order.spec, options={}))
    return replace(all_plans.alone(replace(plan, order=order)), mishaps=_lasting(plan.mishaps))


def _lasting(mishaps: Mishaps) -> Mishaps:
    return replace(mishaps, kill_s=None, resume_s=None, patient=False)
