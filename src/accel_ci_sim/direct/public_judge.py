"""The rules about what people see on GitHub, and about whose code may run."""

from __future__ import annotations

from dataclasses import dataclass

from accel_ci.adapters import github_calls
from accel_ci.domain import check, trigger
from accel_ci.domain.grant import Grant
from accel_ci.domain.verdict import Verdict
from accel_ci_sim.direct.plans import PULL, SECRET
from accel_ci_sim.direct.runs import Run
from accel_ci_sim.direct.scene import Scene
from accel_ci_sim.direct.verdict_judge import VerdictJudge
from accel_ci_sim.world.github import CheckRun

BAD = ("failed", "timed-out")


@dataclass(slots=True)
class PublicJudge:
    """I4 on GitHub, I5, I6, I7 and I8 over one world."""

    scene: Scene
    verdicts: VerdictJudge
    _last: float = 0.0

    def wrote(self) -> None:
        """After every request that changes something: I4, no success without proof; I8, no secret."""
        world = self.scene.github
        for shown in world.checks.values():
            if shown.conclusion == "success" and not self._deserved(shown):
                self._broken("I4", f"check {shown.name} of {shown.external_id} is green without an end record")
        texts = [*(each.body for each in world.comments.values()), *(each.body for each in world.issues.values())]
        texts += [text or "" for shown in world.checks.values() for text in shown.output.values()]
        if any(SECRET in text for text in texts):
            self._broken("I8", "the secret is on GitHub")

    def granted(self, given: Grant | None, *, label: str, heads: set[str]) -> None:
        """I7: only what a maintainer labelled, and only the commit that was there: `heads` while the gate looked."""
        if given is None:
            return
        if trigger.Policy().label in self.scene.github.issues[PULL].labels:
            self._broken("I7", "a grant, and the label is still there for another")
        if label:
            self._broken("I7", f"a grant although the label is wrong: {label}")
        if given.sha not in heads:
            self._broken("I7", f"a grant for {given.sha[:8]}, but the head was {', '.join(head[:8] for head in heads)}")

    def gated(self, *, since: float) -> None:
        """I5, when a gate came to its end, could write all, and no other gate did anything `since` it began."""
        self._one_comment("gate", since)

    def closed(self, run: Run, *, wrote: bool, since: float) -> None:
        """I12: once the cleanup job has looked, the workflow's check is pending no more; I5, when it `wrote` a report."""
        context = run.plan.context
        if wrote and self._alone(since) and context.pull_request is not None:
            self._one_comment("report", since)
        mark = check.external_id(context.run_id, context.attempt)
        for shown in self.scene.github.checks.values():
            if (shown.name, shown.external_id, shown.conclusion) == (check.NAME, mark, None):
                self._broken("I12", f"check {check.NAME} of {mark} is pending for ever")

    def starts(self, run: str, source: str | None) -> None:
        """I7: the code on a worker is the granted commit's."""
        if source != self.scene.runs[run].sha:
            self._broken("I7", f"{run} starts the code of {source}, not that of {self.scene.runs[run].sha[:8]}")

    def reported(self, run: Run, slot: str, *, complete: bool, since: float) -> None:
        """I4, I5 and I6, when a report came to its end and said that it could write all.

        What runs share is judged only when no other wrote `since` it began: a green run may have closed its issue.
        """
        context = run.plan.context
        if not context.event or not complete:
            return
        self._check(run, slot, since=since)
        if not self._alone(since):
            return
        if context.pull_request is not None:
            self._one_comment("report", since)
        else:
            self._issue(run, slot, since=since)

    def _alone(self, since: float) -> bool:
        """True unless another report wrote meanwhile: two at once converge after both are done."""
        before, self._last = self._last, self.scene.schedule.now
        return not self.scene.reporting and before < since

    def _known(self, kind: str, number: int, since: float) -> bool:
        """True unless lists are further behind than a report waits, and lacked this one when it began: the next tidies up."""
        lists = self.scene.github.lists
        return lists.longest_s <= github_calls.SETTLE_S or lists.shown(kind, number, at=since)

    def _check(self, run: Run, slot: str, *, since: float) -> None:
        context = run.plan.context
        name = check.instance_name(check.NAME, context.instance)
        mark = check.external_id(context.run_id, context.attempt)
        shown = [
            each
            for each in self.scene.github.checks.values()
            if (each.name, each.external_id) == (name, mark)
            and (each.conclusion or self._known("check", each.id, since))
        ]
        wanted = check.conclusion(Verdict(run.verdicts[slot])).value
        # A job that GitHub gave up and that goes on all the same finds its check ended by another: grey, never better.
        allowed = {wanted, "cancelled"} if run.given_up else {wanted}
        if not shown or not {each.conclusion for each in shown} <= allowed:
            told = [each.conclusion for each in shown]
            self._broken("I4", f"{run.name}: its check {name} says {told}, its verdict is {run.verdicts[slot]}")

    def _one_comment(self, marker: str, since: float) -> None:
        bodies = [
            each.body
            for each in self.scene.github.comments.values()
            if each.number == PULL and self._known("comment", each.id, since)
        ]
        mine = sum(body.startswith(f"<!-- accel-ci {marker}") for body in bodies)
        if mine > 1:
            self._broken("I5", f"{mine} comments of {marker}")

    def _issue(self, run: Run, slot: str, *, since: float) -> None:
        context = run.plan.context
        name = check.instance_name(check.NAME, context.instance)
        open_ones = [
            each
            for each in self.scene.github.issues.values()
            if each.state == "open" and each.body.startswith("<!-- accel-ci issue ") and name in each.title
        ]
        verdict, lists = run.verdicts[slot], self.scene.github.lists
        known = [each for each in open_ones if self._known("issue", each.number, since)]
        # Nobody can close what no list tells of yet: it was opened by a report that died since.
        left = [each for each in open_ones if lists.shown("issue", each.number, at=since)]
        if (verdict in BAD and (not open_ones or len(known) > 1)) or (verdict == "passed" and left):
            self._broken("I6", f"{run.name} {verdict}, and {len(open_ones)} issues are open for {name}")

    def _deserved(self, shown: CheckRun) -> bool:
        """True when every job that the check stands for has proven its pass; a whole stands for all of its run's."""
        theirs = [run for run in self.scene.runs.values() if shown.external_id.startswith(_mark(run))]
        mine = [run for run in theirs if check.instance_name(check.NAME, run.plan.context.instance) == shown.name]
        if mine:
            return any(self._passed(run) for run in mine if _attempt(run) == shown.external_id)
        instances = {run.plan.context.instance for run in theirs}
        return all(
            any(self._passed(run) for run in theirs if run.plan.context.instance == instance) for instance in instances
        )

    def _passed(self, run: Run) -> bool:
        return any(verdict == "passed" and self.verdicts.proven(run, slot) for slot, verdict in run.verdicts.items())

    def _broken(self, rule: str, what: str) -> None:
        self.scene.broken(rule, what)


def _mark(run: Run) -> str:
    return check.of_run(run.plan.context.run_id)


def _attempt(run: Run) -> str:
    return check.external_id(run.plan.context.run_id, run.plan.context.attempt)
