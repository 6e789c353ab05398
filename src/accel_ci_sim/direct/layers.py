"""What ends machines: independent layers, so that each can be switched off, and looked at alone."""

from __future__ import annotations

from enum import StrEnum


class Layer(StrEnum):
    """One of them. STEP is the job's own cleanup step; the others stand behind it."""

    NATIVE = "native limit"
    SIGNALS = "signal handling"
    STEP = "cleanup step"
    POST = "post step"
    JOB = "cleanup job"
    SWEEPER = "sweeper"
    BESIDE = "sweep beside provision"


ALL = frozenset(Layer)
