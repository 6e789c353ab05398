"""One job in progress: what it was to do, what it wrote down, and what became of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from accel_ci.domain.grant import Grant
from accel_ci_sim.direct.files import Files
from accel_ci_sim.direct.plans import RunPlan

Recorded = Callable[["Run", bytes], None]


class Run:
    """Its plan, its grant where the gate gave one, its files, and per slot the verdict that was seen first.

    `recorded` hears of every record in the files.
    """

    def __init__(self, plan: RunPlan, recorded: Recorded, *, grant: Grant | None = None) -> None:
        self.plan = plan
        self.name = plan.name
        self.key = plan.context.key()
        self.files = Files(self._wrote)
        self.grant = grant
        self.verdicts: dict[str, str] = {}
        self.living = True  # a zombie lives on after its job is over
        self.reported: set[str] = set()  # slots
        self.forced = False  # force-cancelled
        self.given_up = False  # GitHub took its runner for lost
        self._recorded = recorded

    @property
    def verdict(self) -> str | None:
        """The verdict of the first slot."""
        return self.verdicts.get(self.plan.slots[0])

    @property
    def workflow(self) -> tuple[int, int]:
        """Which workflow run the job belongs to: run id and attempt."""
        return self.plan.context.run_id, self.plan.context.attempt

    @property
    def sha(self) -> str:
        """The one commit whose code may run."""
        return self.grant.sha if self.grant is not None else self.plan.context.sha

    def is_of(self, identity: Mapping[str, object]) -> bool:
        """True when a record with this identity is one of this run."""
        context, job = self.plan.context, self.key.job
        # The slot is not part of it: a job has one record for each.
        mine = {"run_id": context.run_id, "attempt": context.attempt, "job": job, "instance": context.instance}
        return mine.items() <= identity.items()

    def _wrote(self, name: str, content: bytes) -> None:
        # Everything that a step states about the run goes through its record.
        if name.endswith("/record.json"):
            self._recorded(self, content)
