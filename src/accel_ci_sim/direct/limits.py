"""How long each process of accel-ci may take at most, what the world did to it left out."""

from __future__ import annotations

from accel_ci.operations import acquire, follow, reach
from accel_ci.usecases import cleanup
from accel_ci_sim.direct.plans import RunPlan
from accel_ci_sim.world.runner import ALWAYS_BUDGET_S

MARGIN = 1.1  # for the calls themselves
GITHUB_S = 900.0  # at most 40 calls, a minute at most for each that fails, and very few do
SWEEP_S = cleanup.LIMIT_S + cleanup.LISTING_LIMIT_S + 60.0


def of(role: str, plan: RunPlan | None) -> float:
    """Seconds for a process of that role; the run's own limits come on top."""
    match role:
        case "cleanup" | "post" | "cleanup-job":
            return ALWAYS_BUDGET_S
        case "sweep":
            return SWEEP_S * MARGIN
        case "gate" | "reap":
            return GITHUB_S
        case "collect":
            return (reach.LIMIT_S + 60.0) * MARGIN
        case "report" | "second-report":
            return (reach.LIMIT_S + GITHUB_S) * MARGIN
    assert plan is not None
    provision = reach.LIMIT_S + 2 * len(plan.order.spec.zones) * _try(plan) + SWEEP_S
    # Each wait has a limit of its own; only their sum bounds the process.
    remote = 4 * reach.LIMIT_S + sum(_phase(limit_s) for limit_s in (plan.work.setup_limit_s, plan.work.limit_s))
    if role == "journey":  # a signal begins cleanup and report anew
        rest = 2 * ALWAYS_BUDGET_S + 2 * (reach.LIMIT_S + GITHUB_S) + reach.LIMIT_S
        return (provision + remote + rest) * MARGIN
    return {"provision": provision, "run-remote": remote}.get(role, provision + remote) * MARGIN


def _try(plan: RunPlan) -> float:
    return acquire.TRANSIENT_LIMIT_S + plan.order.spec.boot_limit_s + 2 * acquire.VERIFY_LIMIT_S + 30.0


def _phase(limit_s: float) -> float:
    return 2 * follow.UNREACHABLE_LIMIT_S + limit_s + 2 * (20.0 + follow.END_SLACK_S)
