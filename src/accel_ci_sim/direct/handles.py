"""How accel-ci calls the machines of the simulated cloud."""

from __future__ import annotations

from collections.abc import Iterable

from accel_ci_sim.world.dice import Dice
from accel_ci_sim.world.machine import Machine

KEYS_S = 3.0  # until a machine knows what its metadata says


def of(there: Machine) -> str:
    """sim://zone/name, or tpu://project/zone/name."""
    return f"{there.request.base}{there.request.zone}/{there.request.name}"


def place(handle: str) -> tuple[str, str]:
    """Zone and name of a handle."""
    _, zone, name = handle.rsplit("/", 2)
    return zone, name


def key(run: str) -> str:
    """The public key of one job."""
    return f"ssh-ed25519 SIMULATED {run}"


def hosts(there: Machine, run: str) -> bool:
    """True when the machine ever let the job in: it was made for the job, or the job joined it."""
    # Two that join a TPU at once can undo each other's key: what was done there before stays done.
    return there.request.asker == run or key(run) in there.guests


def let_in(there: Machine, keys: Iterable[str], *, now: float, stream: Dice) -> None:
    """The machine lets in whoever has one of these keys, and nobody else: new ones within seconds."""
    known = there.keys or {key(there.request.asker): now}
    there.keys = {each: known.get(each, now + stream.uniform(0.0, KEYS_S)) for each in keys}
    there.guests = {**there.keys, **there.guests}


def keys(metadata: str) -> list[str]:
    """The public keys in an entry `ssh-keys`."""
    return [line.partition(":")[2] for line in metadata.splitlines()]


def address(there: Machine, worker: int) -> str:
    """Where the worker answers: no two machines share one, whatever their names."""
    # Real addresses are given out again: a connection to an old one must not reach the new machine.
    return f"{there.serial}.{worker}.sim"
