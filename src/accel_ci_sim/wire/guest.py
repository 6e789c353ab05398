"""What a simulated machine knows about itself, whichever service rents it out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from accel_ci_sim.world.tpu_node import TpuWorker


def _always() -> bool:
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Guest:
    """One host from inside. `metadata` is what it was given, `tree` all that its metadata server knows, as they are now.

    `tells`: it may write guest attributes.
    """

    computer: TpuWorker
    hostname: str
    metadata: Callable[[], Mapping[str, str]]
    tree: Callable[[], Mapping[str, Any]]
    tells: Callable[[], bool] = _always
