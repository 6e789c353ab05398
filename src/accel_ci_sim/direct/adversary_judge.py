"""What must hold whatever the stranger does. The judge knows what each person really saw and meant."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from accel_ci.domain.grant import Grant, Trust
from accel_ci.domain.workload import Phase
from accel_ci.formats import output
from accel_ci_sim.world.github import BOT, GitHubWorld

DAY_S = 24 * 3600
SECRETS = {"HF_TOKEN": "canary-7c1d9e42b8", "WANDB_KEY": "canary/+=5fa0 33"}
RULES = {
    "I7-asked": "a grant was asked for by a maintainer, in this very event",
    "I7-seen": "a granted commit was seen by a maintainer who wanted it to run",
    "I7-started": "no code starts but the commit of this run's own, unexpired grant",
    "I8-sink": "no secret is in a log, output, summary, comment, check, record, history or file name, as a reader sees it",
    "I8-fork": "no secret reaches a machine that runs a fork's commit",
    "I8-command": "no line of a log commands the runner",
    "markup": "no text of a stranger is markup in a comment, check or summary",
    "budget": "no day has more grants than it may",
    "one-comment": "gate has one comment on a pull request at most",
    "others": "nobody else's comment is changed or deleted",
    "label-used": "a decision uses the label up",
    "forged-pass": "an end record without our nonce is no pass",
    "live": "whoever asks as the documentation says, undisturbed, gets a grant",
}
# What leaves the runner: the artifact takes record and log, people are shown the page.
PERSISTENT = re.compile(r"(record\.json|report\.html|/log/.*)$")
COMMAND = re.compile(r"^\s*::|##\[", re.MULTILINE)
# The only places where GitHub makes nothing of a text.
CODE = re.compile(
    r"^(`{3,})text\n.*?^\1$|<code>[^\n]*?</code>|(?<!`)(`+)(?!`)[^\n]*?(?<!`)\2(?!`)", re.MULTILINE | re.DOTALL
)
MARKUP = re.compile(r"@org/all|!\[x\]|evil\.example|\bGH-[0-9]")
RENDERED = ("comments", "checks", "summary")


@dataclass(frozen=True, slots=True)
class Wish:
    """What a maintainer meant by an event. `sure`: everything that the documentation asks for was done."""

    actor: str
    sha: str
    sure: bool = False


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule that broke in a world, and how."""

    world: int
    rule: str
    what: str


class Judge:
    """Collects what broke in one world."""

    def __init__(self, world: int, github: GitHubWorld) -> None:
        self.found: list[Violation] = []
        self.wanted: set[str] = set()
        self.grants: dict[int, Grant] = {}
        self.starts = 0
        self._world = world
        self._github = github

    def granted(self, grant: Grant, wish: Wish | None, *, most: int = 0) -> None:
        """Gate gave a grant for an event that meant this; None: no maintainer stands behind it. `most`: of a day; 0: any."""
        self.grants[grant.run_id] = grant
        day = grant.expires_at // DAY_S  # a grant's life is a day, too
        same = sum(each.expires_at // DAY_S == day for each in self.grants.values())
        if most and same > most:
            self._broke("budget", f"{same} of {most}")
        if wish is None:
            self._broke("I7-asked", f"{grant.actor} for {grant.sha[:14]}: {grant.evidence}")
        if grant.sha not in self.wanted:
            self._broke("I7-seen", f"{grant.sha[:14]}: {grant.evidence}")

    def denied(self, wish: Wish | None, why: str) -> None:
        """Gate gave none."""
        if wish is not None and wish.sure:
            self._broke("live", f"{wish.actor} asked for {wish.sha[:14]}: {why}")

    def started(self, run_id: int, source: str, phase: Phase, now: float) -> None:
        """Code begins to run on a machine of the run."""
        grant = self.grants.get(run_id)
        self.starts += 1
        if grant is None or source != grant.sha or now >= grant.expires_at:
            self._broke("I7-started", f"{source[:14]} in run {run_id}")
        handed = {*phase.secrets.values(), *phase.environment.values()}
        if handed & {*SECRETS.values()} and (grant is None or grant.trust is Trust.FORK):
            self._broke("I8-fork", f"phase {phase.name} of run {run_id}")

    def passed(self, run_id: int, *, forged: bool) -> None:
        """The run's verdict is a pass."""
        if forged:
            self._broke("forged-pass", f"run {run_id}")

    def writes(self, verb: str, path: str) -> None:
        """Our token is about to do this."""
        match = re.fullmatch(r"/issues/comments/([0-9]+)", path)
        comment = self._github.comments.get(int(match[1])) if match else None
        if comment is not None and comment.author != BOT:
            self._broke("others", f"{verb} of {comment.author}'s comment")

    def label_left(self, number: int) -> None:
        """After a decision the label is there, and nobody set it again."""
        self._broke("label-used", f"#{number}")

    def seen(self, where: str, texts: Iterable[str], *, secrets: Iterable[str] = ()) -> None:
        """Texts that people can read."""
        # As a reader sees it: what cleaning puts together is there.
        together = output.visible("\n".join(texts))
        for secret in (*SECRETS.values(), *secrets):
            if secret in together:
                self._broke("I8-sink", f"{secret[:9]}... in the {where}")
        if where == "log" and COMMAND.search(together):
            self._broke("I8-command", COMMAND.findall(together)[0])
        if where in RENDERED and (found := MARKUP.search(CODE.sub("", together))):
            self._broke("markup", f"{found[0]} in the {where}")

    def ended(self) -> None:
        """The world is over."""
        ours = [each for each in self._github.comments.values() if each.author == BOT]
        self.seen("comments", (each.body for each in ours))
        told = [
            "\n".join([each.name, each.external_id, *map(str, each.output.values())])
            for each in self._github.checks.values()
        ]
        self.seen("checks", told)
        for number in self._github.pulls:
            gates = [each for each in ours if each.number == number and "accel-ci gate -->" in each.body[:40]]
            if len(gates) > 1:
                self._broke("one-comment", f"#{number} has {len(gates)}")

    def _broke(self, rule: str, what: str) -> None:
        self.found.append(Violation(self._world, rule, what))
