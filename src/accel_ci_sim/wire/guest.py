"""What a simulated machine knows about itself, whichever service rents it out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from accel_ci_sim.world.tpu_node import TpuWorker


def _always() -> bool:
    return True


def _nothing() -> Mapping[str, str]:
    return {}


def _none() -> tuple[str, ...]:
    return ()


def _ignore(what: str) -> None:
    """A machine without a switch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guest:
    """One host from inside. `metadata` is what it was given, `tree` all that its metadata server knows, as they are now.

    `tells`: it may write guest attributes. `programs` are scripts that it has before those of the computer, by name.
    `devices` are what it has below /dev, for those who look where ACCEL_CI_DEV says.
    `power` is told `off` or `reboot` when the machine does that by itself.
    """

    computer: TpuWorker
    hostname: str
    metadata: Callable[[], Mapping[str, str]]
    tree: Callable[[], Mapping[str, Any]]
    tells: Callable[[], bool] = _always
    programs: Callable[[], Mapping[str, str]] = _nothing
    devices: Callable[[], tuple[str, ...]] = _none
    power: Callable[[str], None] = _ignore
