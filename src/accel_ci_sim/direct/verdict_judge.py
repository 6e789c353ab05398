"""The rules about what a run says of itself: its verdict, its output, its cost."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from pydantic_core import from_json

from accel_ci.operations import records
from accel_ci_sim.direct import handles
from accel_ci_sim.direct.plans import SECRET
from accel_ci_sim.direct.runs import Run
from accel_ci_sim.direct.scene import Scene
from accel_ci_sim.world.machine import Machine
from accel_ci_sim.world.worker import Running, Worker

CANARY = SECRET.encode()
COST_S = 60.0


@dataclass(slots=True)
class VerdictJudge:
    """I3, I4, I8, I10, I-pass and I-true over one world."""

    scene: Scene
    _history: dict[str, tuple[Run, str, Any]] = field(default_factory=dict)

    def recorded(self, run: Run, content: bytes) -> None:
        """I4, I8 and I-pass, whenever the run's record is written down in its job."""
        self._stated(run, content)

    def kept(self, name: str, content: bytes) -> None:
        """I4, I8 and I-pass, whenever a run's record is written into the history."""
        document = from_json(content)
        run = next((run for run in self.scene.runs.values() if run.is_of(document["identity"])), None)
        if run is None:  # the cleanup job's own
            return
        self._history[name] = run, document["identity"]["slot"], document["verdict"]
        self._stated(run, content)

    def told(self, run: str, text: str) -> None:
        """I8: no secret is told anybody."""
        if SECRET in text:
            self._broken("I8", f"{run}: the secret is in {text[:60]!r}")

    def reported(self, run: Run, slot: str) -> None:
        """I4: a report that came to its end left exactly one verdict, the same in record and history. I10: its cost."""
        kept = {verdict for owner, where, verdict in self._history.values() if (owner, where) == (run, slot)}
        verdict = run.verdicts.get(slot)
        if verdict is None or kept != {verdict}:
            self._broken("I4", f"{run.name}: verdict {verdict} in the record, {kept or 'none'} in the history")
        self._cost(run, from_json(run.files.documents[records.place(slot, "record.json")]))

    def over(self, run: Run, *, calm: bool) -> None:
        """I3: what was kept of the output is what was written. I-true: in a calm world a verdict is the truth."""
        for name, kept in run.files.documents.items():
            if "/log/" in name and not any(_whole(running, kept) for running in self._phases(run, name)):
                self._broken("I3", f"{run.name}: {name} holds {len(kept)} bytes that nobody wrote so")
        for slot in run.reported:
            if not any((owner, where) == (run, slot) for owner, where, _ in self._history.values()):
                self._broken("I4", f"{run.name}: another run's record took its place in the history")
        for slot in run.reported if calm else ():
            if run.verdicts.get(slot) not in run.plan.truth():
                truth = sorted(run.plan.truth())
                self._broken("I-true", f"{run.name}: verdict {run.verdicts.get(slot)}, but it deserves {truth}")

    def proven(self, run: Run, slot: str) -> bool:
        """True when every worker of one of the run's machines ended its phases with exit code 0 and our nonce."""
        content = run.files.documents.get(records.place(slot, "record.json"), b"{}")
        key = from_json(content).get("identity", {}).get("name", "")
        phases = [phase for phase, command in (("setup", run.plan.work.setup), ("run", run.plan.work.run)) if command]
        nonces = {
            phase: run.files.documents.get(records.place(slot, f"nonce-{phase}"), b"").decode() for phase in phases
        }
        return any(
            all(_proven(worker, phase, key=key, nonce=nonces[phase]) for worker in machine.workers for phase in phases)
            for machine in self._hosts(run)
        )

    def _stated(self, run: Run, content: bytes) -> None:
        document = from_json(content)
        given, slot = document["verdict"], document["identity"]["slot"]
        before = run.verdicts.get(slot)
        if CANARY in content:
            self._broken("I8", f"{run.name}: the secret is in its record")
        # A verdict that somebody has read must not change behind him.
        if before is not None and given != before:
            self._broken("I4", f"{run.name}: the verdict changes from {before} to {given}")
        if given is not None:
            if before is None:
                self.scene.timeline.tell(run.name, f"verdict: {given}: {document['reason']}")
            run.verdicts[slot] = given
        if given == "passed" and before != "passed" and not self.proven(run, slot):
            self._broken("I-pass", f"{run.name} passed without an end record with exit code 0 on every worker")

    def _cost(self, run: Run, document: dict[str, Any]) -> None:
        """I10: the ledger has at least what the leased machine cost until then; in a calm world not much more."""
        machine, cost = document["machine"], document["cost"]
        if machine is None or cost is None:
            return
        theirs = [each for each in self._hosts(run) if handles.of(each) == machine["handle"]]
        # Gone and asked for again there may be two of one handle: each has cost.
        for each in theirs:
            # What it cost after the report nobody could know yet.
            until = min(each.gone_at or document["ended_at"], document["ended_at"])
            # Whoever joined a machine pays for it from then on.
            joined_at = each.guests.get(handles.key(run.name), 0.0) if each.request.asker != run.name else 0.0
            true_s = max(0.0, until - max(each.landed_at, joined_at))
            if cost["machine_seconds"] < true_s - 0.001:
                counted = f"{cost['machine_seconds']:.1f} of {true_s:.1f} s"
                self._broken("I10", f"{run.name}: the cost counts {counted} of {handles.of(each)}")
            quiet = self.scene.calm and not self.scene.fated and run.plan.mishaps.kill_s is None
            if quiet and cost["machine_seconds"] > true_s + COST_S:
                self._broken("I10", f"{run.name}: the cost counts {cost['machine_seconds'] - true_s:.0f} s too many")

    def _phases(self, run: Run, log: str) -> Iterable[Running]:
        phase, worker = log.rsplit("/", 1)[1].removesuffix(".log").rsplit("-w", 1)
        there = [machine.workers[int(worker)] for machine in self._hosts(run)]
        return [running for each in there for running in each.phases.values() if running.phase == phase]

    def _hosts(self, run: Run) -> list[Machine]:
        """The run's machines that had workers: a queued resource has none."""
        return [each for each in self.scene.ledger.machines if handles.hosts(each, run.name) and each.workers]

    def _broken(self, rule: str, what: str) -> None:
        self.scene.broken(rule, what)


def _proven(worker: Worker, phase: str, *, key: str, nonce: str) -> bool:
    # A forged record proves nothing, however good it looks.
    ends = [each.end for each in worker.phases.values() if each.phase == phase and not each.script.forges]
    wanted = (key, nonce, "exited", 0, None)
    return any(end and (end.key, end.nonce, end.reason, end.exit_code, end.signal) == wanted for end in ends)


def _whole(running: Running, kept: bytes) -> bool:
    return running.written(float("inf")).startswith(kept)
