"""The judge: sees the truth, and says when what accel-ci did or claimed contradicts it.

Each rule is checked at every event that could break it: a bound when it comes, a verdict when a record is written, a
release when it is asked for, a proof when cleanup gives it. A rule that cannot break at any other event holds always.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from accel_ci.domain import lease
from accel_ci.domain.errors import AccelError, CancelledError, CleanupUnverifiedError
from accel_ci.domain.lease import Owner
from accel_ci.operations import sweeping
from accel_ci_sim.direct import handles
from accel_ci_sim.direct.layers import Layer
from accel_ci_sim.direct.public_judge import PublicJudge
from accel_ci_sim.direct.queue_judge import QueueJudge
from accel_ci_sim.direct.runs import Run
from accel_ci_sim.direct.scene import Scene
from accel_ci_sim.direct.verdict_judge import VerdictJudge
from accel_ci_sim.world.machine import Machine, State
from accel_ci_sim.world.weather import LATENESS_S, LONGEST_LISTING_LAG_S, LONGEST_RELEASE_S

OBEY_S = 1.0
SHORTEST_LIMIT_S = 30.0  # Compute Engine takes no shorter maxRunDuration
KEEP = "accel-ci-keep-until"
SLACK_S = LONGEST_RELEASE_S + 60.0  # a release that sticks, and a sweep's own time


class Party(Protocol):
    """A process as the judge sees it: whose it is, what it saw in listings, and whose end it asked for."""

    run: str
    role: str
    slot: str
    began_at: float
    listed_at: float | None
    listed: set[str]
    asked: set[str]
    warned: set[str]
    met: int
    signalled_at: float | None
    released_at: float | None

    @property
    def name(self) -> str:
        """The run and the step, for readers."""


@dataclass(slots=True)
class Judge:
    """The rules about machines; `verdicts` and `public` judge what is said about runs, inside and on GitHub."""

    scene: Scene
    overdue: set[int] = field(default_factory=set)
    late: set[int] = field(default_factory=set)  # landed after their requests had failed
    _ordered: dict[str, float] = field(default_factory=dict)  # who asked for a machine, and when that process began
    verdicts: VerdictJudge = field(init=False)
    public: PublicJudge = field(init=False)
    queue: QueueJudge = field(init=False)

    def __post_init__(self) -> None:
        self.verdicts = VerdictJudge(self.scene)
        self.public = PublicJudge(self.scene, self.verdicts)
        self.queue = QueueJudge(self.scene)

    def landed(self, machine: Machine) -> None:
        """I1 begins: from now on the machine has a bound. I9: nobody has more machines than it can need."""
        run = self.scene.runs[machine.request.asker]
        expiry = int(machine.labels.get("accel-ci-expires", "0"))
        if not 0 < expiry <= machine.landed_at + run.plan.order.ttl_s:
            self._broken("I1", f"{handles.of(machine)} has the expiry {expiry}, later than was ordered")
        if self.scene.ledger.late:
            self.late.add(machine.serial)
        if run.plan.shares:
            self._one_for_all(machine, run)
        else:
            self._count(machine, allowed=len(run.plan.slots))
        if machine.request.ends_at is not None:
            self._limit(machine, max(machine.request.ends_at, machine.landed_at))
        elif Layer.SWEEPER in self.scene.layers:
            self._watch(machine, self.scene.schedule.now)

    def runs(self, machine: Machine) -> None:
        """I1 on Compute Engine, whose limit counts from here and is never longer than what was ordered."""
        ordered_s = self.scene.runs[machine.request.asker].plan.order.ttl_s
        if self.scene.cloud.weather.native_limit:
            self._limit(machine, self.scene.schedule.now + max(ordered_s, SHORTEST_LIMIT_S))

    def orders(self, process: Party) -> None:
        """I9: nobody asks for a machine for a run whose verdict is known."""
        self._ordered[process.run] = process.began_at
        verdict = self.scene.runs[process.run].verdicts.get(process.slot)
        if verdict is not None:
            self._broken("I9", f"{process.name} asks for a machine, but its verdict is {verdict} already")

    def releases(self, process: Party, machine: Machine) -> None:
        """I2: only the machine's own run, or a sweeper after expiry and grace, may end it; no cleanup while it is kept."""
        self.scene.released(process.role, machine)
        owner, now = machine.request.asker, self.scene.schedule.now
        # When it asked counts, not when the cloud obeyed.
        if process.signalled_at is not None and process.released_at is None:
            process.released_at = now
        expired = now >= (lease.expires_at(machine.labels) or 0) + self.scene.sweep_grace_s
        if process.role == "sweep":
            # The judge knows when a run was over; the sweeper has to ask GitHub, and may be told nothing.
            allowed = expired or self.scene.completed_for(owner) >= self.scene.sweep_grace_s
        else:
            allowed = _may_release(process, owner, self.scene.runs)
            allowed = allowed or (expired and process.role in ("provision", "journey"))
        if not allowed:
            self._broken("I2", f"{process.name} releases {handles.of(machine)}, which belongs to {owner}")
        # What is kept is a node: the queued resource of one that went has nothing to keep.
        kept = machine.workers and machine.kept_at is not None and machine.kept_at < process.began_at
        if kept and process.role not in ("provision", "journey") and int(machine.labels[KEEP]) > now:
            self._broken("I2", f"{process.name} releases {handles.of(machine)}, which somebody keeps")

    def cleanup_ended(self, process: Party, owner: Owner, *, error: AccelError | None) -> None:
        """I-clean: a proof is true of all that could be seen; without one, everything seen was asked to end at least."""
        if isinstance(error, CleanupUnverifiedError):
            theirs = {handles.of(each) for each in self.scene.ledger.machines if _owned(owner, each)}
            ignored = sorted((process.listed & theirs) - process.asked - self._kept())
            if ignored:
                self._broken("I-clean", f"{process.name} gave up and never asked for the end of {', '.join(ignored)}")
            return
        if isinstance(error, CancelledError) and process.role != "journey":
            return  # it claims nothing; the journey cleans before it says so
        for machine in self.scene.ledger.alive():
            # Whoever warns that the listing failed claims no more than what this attempt's names show.
            if "cleanup" in process.warned and machine.request.asker != process.run:
                continue
            # Nobody can end what no listing shows yet: that is for the layer behind.
            seen_at = machine.landed_at + LONGEST_LISTING_LAG_S
            if machine.request.asker == process.run and process.role != "cleanup-job":
                seen_at = machine.landed_at  # this job's own tries are looked up by name
            seen = process.listed_at is not None and seen_at <= process.listed_at and machine.kept_at is None
            if seen and (_owned(owner, machine) or self._shared_by_run(process, machine)):
                self._broken("I-clean", f"{process.name} claims success, but {handles.of(machine)} lives")

    def ends(self, process: Party, *, done: bool) -> None:
        """I-signal and I-beside, when a provision that met no fate came to its end."""
        if process.role != "provision" or process.met or self.scene.cloud.weather.outages:
            return
        if process.signalled_at is not None:
            self._obeyed(process)
        elif done and Layer.BESIDE in self.scene.layers:
            self._swept(process)

    def reported(self, run: Run, process: Party) -> None:
        """A report came to its end: what it had to leave is there."""
        run.reported.add(process.slot)
        self.verdicts.reported(run, process.slot)
        self.public.reported(run, process.slot, complete=not process.warned, since=process.began_at)

    def over(self, run: Run, *, calm: bool) -> None:
        """The world is over: what this run left is true."""
        self.verdicts.over(run, calm=calm)

    def ended(self) -> None:
        """I12: the world has come to rest, and nothing is left that costs money."""
        for machine in self.scene.ledger.alive():
            if machine.serial not in self.overdue and Layer.SWEEPER in self.scene.layers:
                self._broken("I12", f"{handles.of(machine)} lives when all has come to rest")

    def surprised(self, process: Party, error: Exception) -> None:
        """I0: what leaves a process is an AccelError."""
        self._broken("I0", f"{process.name} ended with {type(error).__name__}: {error}")

    def overran(self, process: Party, limit_s: float) -> None:
        """I11: everything that waits has a limit."""
        self._broken("I11", f"{process.name} goes on after its {limit_s:.0f} s")

    def _shared_by_run(self, process: Party, machine: Machine) -> bool:
        """True when the cleanup job has to end the machine, for all jobs of its run shared it."""
        owner, mine = self.scene.runs[machine.request.asker].plan, self.scene.runs[process.run].plan.context
        theirs = owner.context.run_id == mine.run_id and owner.context.attempt <= mine.attempt
        return process.role == "cleanup-job" and owner.shares and theirs

    def _count(self, machine: Machine, *, allowed: int) -> None:
        """I9: one machine for each slot; what lands although its request failed is nobody's intention."""
        theirs = {
            each.place
            for each in self.scene.ledger.alive()
            if each.request.asker == machine.request.asker
            and each.state is not State.RELEASING
            and each.serial not in self.late
        }
        if len(theirs) > allowed:
            self._broken("I9", f"{machine.request.asker} has {len(theirs)} machines at once")

    def _one_for_all(self, machine: Machine, run: Run) -> None:
        """I9 where jobs share: who begins when the run's machine is there to be seen leases no other.

        Two that begin at the same moment may get one each, where the first place is full just then: so never in a calm world.
        """
        seen_from = self.scene.cloud.weather.listing_lag_s if not self.scene.calm else -math.inf
        for each in self.scene.ledger.alive():
            owner = self.scene.runs[each.request.asker]
            theirs = owner.plan.shares and owner.workflow == run.workflow and each.place != machine.place
            # A queued resource holds no machine before its node is there, nor after that was preempted.
            usable = each.state in (State.CREATING, State.READY) and each.workers and not each.refusals
            intended = not {each.serial, machine.serial} & self.late
            if theirs and usable and intended and each.landed_at + seen_from < self._ordered.get(run.name, math.inf):
                self._broken("I9", f"{run.name} leases {handles.of(machine)}, but the run has {handles.of(each)}")

    def _obeyed(self, process: Party) -> None:
        """I-signal: what a provision made is asked to end within a second of the signal, or of its landing."""
        assert process.signalled_at is not None
        alone = len(self.scene.runs[process.run].plan.slots) == 1  # another slot's may land meanwhile
        for machine in self.scene.ledger.alive():
            mine = alone and machine.request.asker == process.run and machine.landed_at >= process.began_at
            if mine and machine.state is not State.RELEASING and machine.serial not in self.late:
                self._broken("I-signal", f"{process.name} was told to stop and leaves {handles.of(machine)} alone")
        if process.released_at is not None and process.released_at > process.signalled_at + OBEY_S:
            waited = process.released_at - process.signalled_at
            self._broken("I-signal", f"{process.name} asked for the first end {waited:.1f} s after the signal")

    def _swept(self, process: Party) -> None:
        """I-beside: what was overdue when a provision began was asked to end beside it."""
        if process.run not in self._ordered:
            return  # it joined a machine, and asked for none
        began_at, lag = process.began_at, LONGEST_LISTING_LAG_S
        for machine in self.scene.ledger.alive():
            expiry = lease.expires_at(machine.labels) or 0
            overdue = expiry + sweeping.GRACE_S < began_at and machine.landed_at + lag < began_at
            if overdue and machine.state is not State.RELEASING and machine.kept_at is None and not machine.refusals:
                self._broken("I-beside", f"{process.name} went by {handles.of(machine)}, which is overdue")

    def _kept(self) -> set[str]:
        # What the cloud's own limit took meanwhile was kept all the same.
        return {handles.of(each) for each in self.scene.ledger.machines if each.kept_at is not None}

    def _watch(self, machine: Machine, now: float) -> None:
        """I1 without a native limit: expiry, grace and two sweeps, once faults have stopped."""
        scene = self.scene
        expiry = lease.expires_at(machine.labels) or 0
        since = max(expiry + scene.sweep_grace_s, machine.landed_at, scene.quiet_since or now)
        bound = since + 2 * scene.sweep_period_s + SLACK_S

        def look() -> None:
            if machine.alive:
                settled = scene.quiet_since is not None and scene.quiet_since <= since
                # A person moved the expiry: the bound moves with it.
                kept = (lease.expires_at(machine.labels) or 0) > expiry
                self._overdue(machine) if settled and not kept else self._watch(machine, scene.schedule.now)

        scene.schedule.at(bound, look)

    def _limit(self, machine: Machine, ends_at: float) -> None:
        """I1 with a native limit: 30 s after it the machine is gone, or on its way."""

        def look() -> None:
            # How long it is STOPPING is the cloud's own affair, but that has an end too.
            if machine.state is State.RELEASING:
                self.scene.schedule.after(LONGEST_RELEASE_S, lambda: self._overdue(machine))
            else:
                self._overdue(machine)

        self.scene.schedule.at(ends_at + LATENESS_S + 1.0, look)

    def _overdue(self, machine: Machine) -> None:
        if machine.alive:
            self.overdue.add(machine.serial)
            self._broken("I1", f"{handles.of(machine)} of {machine.request.asker} lives past its bound")

    def _broken(self, rule: str, what: str) -> None:
        self.scene.broken(rule, what)


def _owned(owner: Owner, machine: Machine) -> bool:
    return owner.owns(machine.request.name, machine.labels)


def _may_release(process: Party, owner: str, runs: Mapping[str, Run]) -> bool:
    """A job ends its own machines of this and earlier attempts; the cleanup job those of the whole run.

    What all jobs of the run share is the leasing provision's until it has it, and then the cleanup job's alone.
    """
    mine, theirs = runs[process.run].plan.context, runs[owner].plan.context
    same_job = (mine.job, mine.call, mine.instance) == (theirs.job, theirs.call, theirs.instance)
    same_run = mine.run_id == theirs.run_id and theirs.attempt <= mine.attempt
    if runs[owner].plan.shares:
        same_job = process.run == owner and process.role == "provision"
    return same_run and (process.role == "cleanup-job" or same_job)
