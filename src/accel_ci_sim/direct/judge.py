"""The judge: sees the truth, and says when what accel-ci did or claimed contradicts it.

Each rule is checked at every event that could break it: a bound when it comes, a verdict when a record is written, a
release when it is asked for, a proof when cleanup gives it. A rule that cannot break at any other event holds always.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from accel_ci.domain.errors import AccelError, CleanupUnverifiedError
from accel_ci.domain.lease import Owner
from accel_ci_sim.direct import handles
from accel_ci_sim.direct.plans import RunPlan
from accel_ci_sim.direct.runs import Run
from accel_ci_sim.direct.scene import Scene
from accel_ci_sim.direct.tally import Violation
from accel_ci_sim.world.machine import Machine
from accel_ci_sim.world.schedule import EPOCH
from accel_ci_sim.world.weather import LATENESS_S, LONGEST_LISTING_LAG_S, LONGEST_RELEASE_S
from accel_ci_sim.world.worker import Running, Worker

SLACK_S = LONGEST_RELEASE_S + 60.0  # a release that sticks, and a sweep's own time


class Party(Protocol):
    """A process as the judge sees it: whose it is, what it saw in listings, and whose end it asked for."""

    run: str
    role: str
    listed_at: float | None
    listed: set[str]
    asked: set[str]

    @property
    def name(self) -> str:
        """The run and the step, for readers."""


@dataclass(slots=True)
class Judge:
    """The rules over one world, and what broke them."""

    scene: Scene
    violations: list[Violation] = field(default_factory=list)
    overdue: set[int] = field(default_factory=set)
    _history: dict[str, tuple[Run, Any]] = field(default_factory=dict)

    def landed(self, machine: Machine) -> None:
        """I1 begins: from now on the machine has a bound."""
        ttl_s = self.scene.runs[machine.request.asker].plan.order.ttl_s
        expiry = int(machine.labels.get("accel-ci-expires", "0"))
        if not 0 < expiry <= machine.landed_at + ttl_s:
            self._broken("I1", f"{handles.of(machine)} has the expiry {expiry}, later than was ordered")
        if machine.request.ends_at is None:
            self._watch(machine, expiry)
        else:
            bound = max(machine.request.ends_at, machine.landed_at) + LATENESS_S + 1.0
            self.scene.schedule.at(bound, lambda: self._overdue(machine))

    def orders(self, process: Party) -> None:
        """I9: nobody asks for a machine for a run whose verdict is known."""
        run = self.scene.runs[process.run]
        if run.verdict is not None:
            self._broken("I9", f"{process.name} asks for a machine, but its verdict is {run.verdict} already")

    def releases(self, process: Party, machine: Machine) -> None:
        """I2: only the machine's own run, or a sweeper after expiry and grace, may end it."""
        owner, scene = machine.request.asker, self.scene
        if process.role == "sweep":
            allowed = scene.schedule.now >= int(machine.labels["accel-ci-expires"]) + scene.sweep_grace_s
        else:
            allowed = _may_release(process, scene.runs[owner].plan, scene.runs[process.run].plan)
        if not allowed:
            self._broken("I2", f"{process.name} releases {handles.of(machine)}, which belongs to {owner}")

    def cleanup_ended(self, process: Party, owner: Owner, *, error: AccelError | None) -> None:
        """I-clean: a proof is true of all that could be seen; without one, everything seen was asked to end at least."""
        if isinstance(error, CleanupUnverifiedError):
            ignored = sorted(process.listed - process.asked)
            if ignored:
                self._broken("I-clean", f"{process.name} gave up and never asked for the end of {', '.join(ignored)}")
            return
        for machine in self.scene.cloud.alive():
            seen_at = machine.landed_at + LONGEST_LISTING_LAG_S
            if machine.request.asker == process.run and process.role != "cleanup-job":
                seen_at = machine.landed_at  # this job's own tries are looked up by name
            seen = process.listed_at is not None and seen_at <= process.listed_at
            if seen and owner.owns(machine.request.name, machine.labels):
                self._broken("I-clean", f"{process.name} claims success, but {handles.of(machine)} lives")

    def recorded(self, run: Run, content: bytes) -> None:
        """I4 and I-pass, whenever the run's record is written down in its job."""
        self._stated(run, json.loads(content))

    def kept(self, name: str, content: bytes) -> None:
        """I4 and I-pass, whenever a run's record is written into the history."""
        document = json.loads(content)
        run = next(run for run in self.scene.runs.values() if run.is_of(document["identity"]))
        self._history[name] = run, document["verdict"]
        self._stated(run, document)

    def reported(self, run: Run) -> None:
        """I4: a report that came to its end left exactly one verdict, the same in the record and in the history."""
        kept = {verdict for owner, verdict in self._history.values() if owner is run}
        if run.verdict is None or kept != {run.verdict}:
            self._broken("I4", f"{run.name}: verdict {run.verdict} in the record, {kept or 'none'} in the history")

    def over(self, run: Run, *, calm: bool) -> None:
        """I3: what was kept of the output is what was written. I-true: in a calm world a verdict is the truth."""
        for name, kept in run.files.documents.items():
            if "/log/" in name and not any(_whole(running, kept) for running in self._phases(run, name)):
                self._broken("I3", f"{run.name}: {name} holds {len(kept)} bytes that nobody wrote so")
        if calm and run.reported and run.verdict not in run.plan.truth():
            self._broken("I-true", f"{run.name}: verdict {run.verdict}, but it deserves {sorted(run.plan.truth())}")

    def surprised(self, process: Party, error: Exception) -> None:
        """I0: what leaves a process is an AccelError."""
        self._broken("I0", f"{process.name} ended with {type(error).__name__}: {error}")

    def _stated(self, run: Run, document: dict[str, Any]) -> None:
        given = document["verdict"]
        if run.verdict is not None and given != run.verdict:
            self._broken("I4", f"{run.name}: the verdict changes from {run.verdict} to {given}")
        if given is not None:
            if run.verdict is None:
                self.scene.timeline.tell(run.name, f"verdict: {given}: {document['reason']}")
            run.verdict = given
        if given == "passed":
            self._prove_pass(run, document)

    def _watch(self, machine: Machine, expiry: int) -> None:
        """I1 without a native limit: expiry, grace and two sweeps, once faults have stopped."""
        scene = self.scene
        since = max(expiry + scene.sweep_grace_s, machine.landed_at, scene.quiet_since or scene.schedule.now)
        bound = since + 2 * scene.sweep_period_s + SLACK_S

        def look() -> None:
            if machine.alive:
                settled = scene.quiet_since is not None and scene.quiet_since <= since
                self._overdue(machine) if settled else self._watch(machine, expiry)

        scene.schedule.at(bound, look)

    def _overdue(self, machine: Machine) -> None:
        if machine.alive:
            self.overdue.add(machine.serial)
            self._broken("I1", f"{handles.of(machine)} of {machine.request.asker} lives past its bound")

    def _prove_pass(self, run: Run, document: dict[str, Any]) -> None:
        key, slot = document["identity"]["name"], document["identity"]["slot"] or "main"
        phases = [phase for phase, command in (("setup", run.plan.work.setup), ("run", run.plan.work.run)) if command]
        nonces = {phase: run.files.documents.get(f"{slot}/nonce-{phase}", b"").decode() for phase in phases}
        if not any(
            all(_proven(worker, phase, key=key, nonce=nonces[phase]) for worker in machine.workers for phase in phases)
            for machine in self._hosts(run)
        ):
            self._broken("I-pass", f"{run.name} passed without an end record with exit code 0 on every worker")

    def _phases(self, run: Run, log: str) -> Iterable[Running | None]:
        phase, worker = log.rsplit("/", 1)[1].removesuffix(".log").rsplit("-w", 1)
        return [machine.workers[int(worker)].phases.get(phase) for machine in self._hosts(run)]

    def _hosts(self, run: Run) -> list[Machine]:
        """The run's machines that had workers: a queued resource has none."""
        return [each for each in self.scene.cloud.machines if each.request.asker == run.name and each.workers]

    def _broken(self, rule: str, what: str) -> None:
        violation = Violation(rule, what, self.scene.schedule.now - EPOCH)
        self.violations.append(violation)
        self.scene.timeline.tell("VIOLATION", str(violation))


def _may_release(process: Party, owner: RunPlan, actor: RunPlan) -> bool:
    """A job ends its own machines of this and earlier attempts; the cleanup job those of the whole run."""
    mine, theirs = actor.context, owner.context
    same_run = mine.run_id == theirs.run_id and theirs.attempt <= mine.attempt
    return same_run and (process.role == "cleanup-job" or (mine.job, mine.instance) == (theirs.job, theirs.instance))


def _proven(worker: Worker, phase: str, *, key: str, nonce: str) -> bool:
    running = worker.phases.get(phase)
    if running is None or running.end is None or running.script.forges:
        return False
    end = running.end
    return (end.key, end.nonce, end.reason, end.exit_code, end.signal) == (key, nonce, "exited", 0, None)


def _whole(running: Running | None, kept: bytes) -> bool:
    return running is not None and running.written(float("inf")).startswith(kept)
