"""A workflow as the rules look at it: events, jobs, steps, scripts, each with its place in the file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from accel_ci.formats.yaml_tree import Tree

LONGEST = 2000  # rules go through a line several times: no line may be long enough for that to take long
OURS = re.compile(
    r"(?:[\w.-]+/accel-ci|\$)/(?:ghes/)?"
    r"(gate|provision|run-remote|collect|cleanup|report|reap-queued|container)(?:@\S+)?"
)
JOURNEY = re.compile(r"[\w.-]+/accel-ci(?:/ghes)?@\S+")
CALLED = re.compile(r"(?:[\w.-]+/accel-ci|\.|\$)/\.github/workflows/test\.yml(?:@\S+)?")
# What makes and ends machines; a bucket's `create` or a file's `delete` is nobody's leak.
GOOGLE = (
    r"gcloud\s+(?:alpha\s+|beta\s+)?(?:compute\s+(?:instances|tpus)|container\s+(?:clusters|node-pools)|workbench)\b"
)
OTHERS = r"az\s+(?:vm|aks)|doctl\s+compute|linode-cli\s+linodes|terraform|sky|jl|runpodctl|vastai|cml\s+runner"
# At most 300 characters in between: a hostile line must not keep a rule busy for minutes.
CREATES = re.compile(
    rf"\b(?:(?:{GOOGLE}|{OTHERS})[^|&;#\n]{{0,300}}?\s(?:create|apply|launch|resume|up)\b|aws\s+ec2\s+run-instances\b)"
)
DELETES = re.compile(
    rf"\b(?:(?:{GOOGLE}|{OTHERS}|kubectl)[^|&;#\n]{{0,300}}?\s(?:delete|destroy|down|pause|remove|stop)\b"
    r"|aws\s+ec2\s+(?:terminate|stop)-instances\b)"
)
# An expression may be GitHub's own runner: what is not known is not complained about.
HOSTED = re.compile(r"(?:ubuntu|macos|windows)-|.*\$\{\{")
LOOP = re.compile(r"(?:for|while|until)\b")
STARTER = re.compile(r"[\w.-]+/ec2-github-runner@\S+")


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a script, continuations joined, and the line of the file where it begins; `looped`: it may run again."""

    text: str
    line: int
    column: int
    looped: bool = False


@dataclass(frozen=True)
class Step:
    """A step of a job."""

    tree: Tree

    @property
    def condition(self) -> str:
        """Its `if`."""
        return self.tree.get("if").text

    @property
    def uses(self) -> str:
        """The action, "" for a script."""
        return self.tree.get("uses").text

    @property
    def script(self) -> Tree:
        """Its shell or JavaScript text."""
        return self.tree.get("run") or self.tree.get("with", "script")

    @cached_property
    def lines(self) -> tuple[Line, ...]:
        """The shell script's lines without comments."""
        return tuple(_lines(self.tree.get("run")))

    @property
    def ours(self) -> str:
        """Which of our actions it uses, `run` for the whole journey; "" for none."""
        found = OURS.fullmatch(self.uses)
        return found[1] if found else "run" if self.uses and JOURNEY.fullmatch(self.uses) else ""

    @property
    def creates(self) -> bool:
        """True when it asks a cloud for a machine, otherwise than through us."""
        starts = STARTER.fullmatch(self.uses) and self.tree.get("with", "mode").text == "start"
        return bool(starts) or any(CREATES.search(each.text) for each in self.lines)

    @property
    def leases(self) -> bool:
        """True when it asks for a machine, through us or otherwise."""
        return self.creates or self.ours in ("provision", "run", "container")

    @property
    def deletes(self) -> bool:
        """True when it ends a machine, otherwise than through us."""
        stops = STARTER.fullmatch(self.uses) and self.tree.get("with", "mode").text == "stop"
        return bool(stops) or any(DELETES.search(each.text) for each in self.lines)

    @property
    def always(self) -> bool:
        """True when it runs after a failure and after a cancel."""
        return runs_always(self.condition)


@dataclass(frozen=True)
class Job:
    """A job of a workflow."""

    name: str
    tree: Tree

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """Its steps; none for a called workflow."""
        return tuple(map(Step, self.tree.get("steps").items))

    @property
    def condition(self) -> str:
        """Its `if`."""
        return self.tree.get("if").text

    @property
    def needs(self) -> tuple[str, ...]:
        """The jobs before it."""
        needs = self.tree.get("needs")
        return (needs.text,) if needs.text else tuple(item.text for item in needs.items)

    @property
    def on_own_runner(self) -> bool:
        """True when it names a runner that is not one of GitHub's own; False where an expression decides."""
        wanted = [*self.tree.get("runs-on").texts()]
        return bool(wanted) and not any(HOSTED.match(each) for each in wanted)

    @property
    def hosted(self) -> bool:
        """True when it names one of GitHub's own runners, which is thrown away after the job."""
        wanted = [*self.tree.get("runs-on").texts()]
        return bool(wanted) and all(HOSTED.match(each) and "${{" not in each for each in wanted)

    @property
    def calls_us(self) -> bool:
        """True when it calls our workflow, which holds gate, report and cleanup."""
        return bool(CALLED.fullmatch(self.tree.get("uses").text))

    @property
    def leases(self) -> bool:
        """True when a step of it asks for a machine, through us or otherwise."""
        return any(step.leases for step in self.steps)

    @property
    def always(self) -> bool:
        """True when it runs whatever became of the jobs before it."""
        return runs_always(self.condition)


@dataclass(frozen=True)
class Workflow:
    """One file below .github/workflows."""

    path: str
    tree: Tree

    @cached_property
    def events(self) -> dict[str, Tree]:
        """The events that start it, with what is said about each."""
        on = self.tree.get("on")
        names = [on, *on.items]
        return {each.text: each for each in names if each.text} | on.members

    @cached_property
    def jobs(self) -> tuple[Job, ...]:
        """Its jobs."""
        return tuple(Job(name, tree) for name, tree in self.tree.get("jobs").members.items())

    @property
    def steps(self) -> Iterator[Step]:
        """The steps of all jobs."""
        return (step for job in self.jobs for step in job.steps)

    @property
    def conditional(self) -> list[Job | Step]:
        """Whatever can have an `if`: jobs and steps."""
        return [*self.jobs, *self.steps]

    @property
    def for_pull_requests(self) -> bool:
        """True when a pull request starts it."""
        return not self.events.keys().isdisjoint(("pull_request", "pull_request_target"))

    @property
    def leases(self) -> bool:
        """True when a job of it asks for a machine."""
        return any(job.leases for job in self.jobs)

    @property
    def gated(self) -> bool:
        """True when our gate decides, and so our check tells how it ended."""
        return any(step.ours in ("gate", "run", "container") for step in self.steps) or any(
            job.calls_us for job in self.jobs
        )


def runs_always(condition: str) -> bool:
    """True for a condition that a failure and a cancel leave true."""
    return bool(re.search(r"\balways\(\)|!\s*cancelled\(\)\s*\|\||\bfailure\(\)\s*\|\|\s*cancelled\(\)", condition))


def _lines(script: Tree) -> Iterator[Line]:
    depth = 0
    for text, line, column in _joined(script):
        loops = bool(LOOP.match(text))
        yield Line(text, line, column, looped=depth > 0 or loops)
        depth = max(0, depth + loops - len(re.findall(r"(?:^|[;\s])done\b", text)))


def _joined(script: Tree) -> Iterator[tuple[str, int, int]]:
    text, first, column = "", 0, 0
    for number, line in enumerate([*script.text.split("\n"), ""]):
        if not text:
            first, column = number, len(line) - len(line.lstrip())
        # A `#` within a word begins no comment, nor does one in an expression.
        text += re.sub(r"(?:^|\s)#(?!\{).*", "", line).rstrip()
        # One command is one line to the rules, however its author broke it.
        if text.endswith("\\"):
            text = text[:-1].rstrip() + " "
        elif text.strip():
            yield text.strip()[:LONGEST], script.text_line + first, script.text_column + column
            text = ""
