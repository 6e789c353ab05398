"""How accel-ci calls the machines of the simulated cloud."""

from __future__ import annotations

from accel_ci_sim.world.machine import Machine


def of(there: Machine) -> str:
    """sim://zone/name, or tpu://project/zone/name."""
    return f"{there.request.base}{there.request.zone}/{there.request.name}"


def place(handle: str) -> tuple[str, str]:
    """Zone and name of a handle."""
    _, zone, name = handle.rsplit("/", 2)
    return zone, name


def address(there: Machine, worker: int) -> str:
    """Where the worker answers: no two machines share one, whatever their names."""
    # Real addresses are given out again: a connection to an old one must not reach the new machine.
    return f"{there.serial}.{worker}.sim"
