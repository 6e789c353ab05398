"""One run in progress: what it was to do, what its job wrote down, and what became of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from accel_ci_sim.direct.files import Files
from accel_ci_sim.direct.plans import RunPlan


class Run:
    """Its plan, its job's files, and the verdict that was seen first; `recorded` hears of every record in the files."""

    def __init__(self, plan: RunPlan, recorded: Callable[[Run, bytes], None]) -> None:
        self.plan = plan
        self.name = plan.name
        self.key = plan.context.key()
        self.files = Files(self._wrote)
        self.verdict: str | None = None
        self.living = True  # a zombie lives on after its job is over
        self.reported = False
        self._recorded = recorded

    @property
    def workflow(self) -> tuple[int, int]:
        """Which workflow run the job belongs to: run id and attempt."""
        return self.plan.context.run_id, self.plan.context.attempt

    def is_of(self, identity: Mapping[str, object]) -> bool:
        """True when a record with this identity is one of this run."""
        context = self.plan.context
        mine = {"run_id": context.run_id, "attempt": context.attempt, "instance": context.instance}
        return mine.items() <= identity.items()

    def _wrote(self, name: str, content: bytes) -> None:
        if name.endswith("/record.json"):
            self._recorded(self, content)
