"""Worlds with a stranger who acts at every port call of gate, provision, run-remote, collect and report."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from accel_ci import plans
from accel_ci.adapters.github_rest import GitHubRest
from accel_ci.domain import errors, grant
from accel_ci.domain.context import Context
from accel_ci.domain.grant import Grant
from accel_ci.domain.record import RunRecord
from accel_ci.domain.trigger import Policy
from accel_ci.domain.verdict import Verdict
from accel_ci.domain.workload import Caps
from accel_ci.inputs import models, parsing
from accel_ci.operations import records
from accel_ci.ports.world import World
from accel_ci.usecases import collect, gate, provision, report, run_remote
from accel_ci_sim.direct import crowd, files, stranger
from accel_ci_sim.direct.adversary_judge import PERSISTENT, SECRETS, Judge, Violation
from accel_ci_sim.direct.adversary_ports import Api, Commits, HostileRemote, Kept, OneMachine, Shown, Time, Watched
from accel_ci_sim.direct.crowd import Spread
from accel_ci_sim.direct.entropy import Entropy
from accel_ci_sim.direct.github import TOKEN
from accel_ci_sim.direct.lanes import Lanes
from accel_ci_sim.direct.stranger import LABEL, PULL, ROLES, Event, Maintainer, Scene, Stranger
from accel_ci_sim.world import dice
from accel_ci_sim.world.github import GitHubWorld, Run, job_token

CHUNK = 200
REPOSITORY, REPOSITORY_ID = "org/hello", 4711
BASE_SHA = "b" * 40
WORKFLOW = ".github/workflows/tests.yml"
MOST_ACTS = 25  # of a stranger in one world
MOST_RUNS = 12
CALM = 0.1  # of all worlds: nobody disturbs, and whoever asks gets a grant
RUN = "python -m pytest"
SEQUENCES = ("", "\x1b[m\x1b[K", "\x1b[31m", "\0", "\x7f")
UNSEEN = (*SEQUENCES, "\u200d", "\ufeff", "\x1b]0;t\x07")
CASE = '{{"event":"case","name":{name},"outcome":"{outcome}","duration_s":0.1,"message":{name}}}\n'


@dataclass
class Tally:
    """Figures of many worlds together."""

    worlds: int = 0
    events: int = 0
    grants: int = 0
    starts: int = 0
    acts: Counter[str] = field(default_factory=Counter)
    found: list[Violation] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Both together."""
        self.worlds += other.worlds
        self.events += other.events
        self.grants += other.grants
        self.starts += other.starts
        self.acts.update(other.acts)
        self.found += other.found


def run(seed: int, worlds: Sequence[int], *, spread: Spread = map) -> Tally:
    """The figures of these worlds; the same however they are spread."""
    total, chunks = Tally(), [worlds[start : start + CHUNK] for start in range(0, len(worlds), CHUNK)]
    for tally in spread(partial(_chunk, seed), chunks):
        total.add(tally)
    return total


def _chunk(seed: int, worlds: Sequence[int]) -> Tally:
    total = Tally()
    for world in crowd.undisturbed(worlds):
        total.add(Story(seed, world).tally())
    return total


def summary(tally: Tally, seconds: float) -> str:
    """The figures in a few lines, and every violation."""
    acts = ", ".join(f"{name} {count}" for name, count in sorted(tally.acts.items()))
    lines = [
        f"{tally.worlds} worlds in {seconds:.1f} s: {tally.events} events, {tally.grants} grants, {tally.starts} starts",
        f"the stranger's {tally.acts.total()} acts: {acts}",
        *(f"violation: world {each.world}: {each.rule}: {each.what}" for each in tally.found[:20]),
        f"violations: {len(tally.found)}",
    ]
    return "\n".join(lines)


class Story:
    """One world: people act on a pull request, and every event runs our workflow."""

    def __init__(self, seed: int, number: int) -> None:
        self._dice = dice.of(seed, number, "adversary")
        self._clock = Time()
        self._github = GitHubWorld(self._clock.now, repository=REPOSITORY, repository_id=REPOSITORY_ID)
        self._github.remaining = 1 << 30
        self._github.tokens[TOKEN] = job_token()
        self._github.collaborators |= ROLES
        self._judge = Judge(number, self._github)
        self._calm = dice.chance(self._dice, CALM)
        self._scene = self._opened()
        self._stranger = Stranger(self._scene)
        self._maintainer = Maintainer(self._scene, think=self._think)
        self._keenness = 0.0 if self._calm else self._dice.choice((0.02, 0.1, 0.4))
        self._left = 0 if self._calm else MOST_ACTS
        self._github.changes[WORKFLOW] = "f" * 40
        most = dice.of(seed, number, "budget").choice((0, 0, 1, 2))
        self._policy = Policy(label=LABEL, until_push=dice.chance(self._dice, 0.2), max_per_day=most)
        self._entropy = Entropy(dice.of(seed, number, "entropy"))
        self._texts: list[str] = []  # all grants ever given, as texts that somebody may have copied
        self._events = self._runs = 0

    def tally(self) -> Tally:
        """Let it all happen."""
        for _ in range(1 if self._calm else self._dice.randrange(2, 5)):
            self._pass(self._dice.choice((5.0, 90.0, 400.0)) + 60.0 * self._calm)
            if self._calm or dice.chance(self._dice, 0.8):
                self._maintainer.act(sure=self._calm)
            # Each event may make others: a world must end all the same.
            while self._scene.events and self._runs < MOST_RUNS:
                self._pass(self._dice.uniform(1.0, 20.0))
                self._handled(self._scene.events.pop(0))
            self._runs = 0
        self._judge.ended()
        return Tally(
            worlds=1,
            events=self._events,
            grants=len(self._judge.grants),
            starts=self._judge.starts,
            acts=Counter(self._stranger.acted),
            found=self._judge.found,
        )

    def _opened(self) -> Scene:
        scene = Scene(self._dice, self._github, self._judge, fork=dice.chance(self._dice, 0.6))
        self._github.add_pull(PULL, head_sha=scene.sha(), fork=scene.fork)
        return scene

    def _think(self, seconds: float) -> None:
        self._pass(seconds)

    def _pass(self, seconds: float) -> None:
        """Time goes by; the stranger may use any moment of it."""
        for _ in range(2):
            self._clock.sleep(seconds / 2)
            self._tempt()

    def _tempt(self) -> None:
        if self._left > 0 and dice.chance(self._dice, self._keenness):
            self._left -= 1
            self._stranger.act()

    def _handled(self, event: Event) -> None:
        """One workflow run: the gate, and the job behind it if the gate says so, or a stranger's copied grant."""
        self._events += 1
        self._runs += 1
        here = self._context(event)
        self._github.runs[here.run_id] = Run(id=here.run_id, status="in_progress", pulls=(PULL,))
        job = _Job(self, here)
        given = job.gated(event)
        if given:
            self._texts.append(given)
            job.tested(given)
            if dice.chance(self._dice, 0.05):  # the job again, a day later
                self._clock.sleep(grant.LIFETIME_S + 60)
                _Job(self, replace(here, attempt=2)).tested(given)
        elif not self._calm and dice.chance(self._dice, 0.3):
            job.tested(self._copied(here))
        self._github.runs[here.run_id].status = "completed"

    def _context(self, event: Event) -> Context:
        run_id = self._github.fresh_id()
        return Context(
            repository=REPOSITORY,
            repository_id=REPOSITORY_ID,
            run_id=run_id,
            job="tpu",
            event=event.name,
            actor=event.payload["sender"]["login"],
            sha=BASE_SHA,
            ref="refs/heads/main",
            server_url="https://github.com",
            run_url=f"https://github.com/{REPOSITORY}/actions/runs/{run_id}",
            pull_request=PULL,
            workflow="tests.yml",
            workflow_file=WORKFLOW,
        )

    def _copied(self, here: Context) -> str:
        """An older grant of this repository, or one that another repository gave for a run of the same number."""
        own = Grant(
            repository_id=REPOSITORY_ID + 1,
            run_id=here.run_id,
            pull_request=PULL,
            sha=self._scene.pull.head_sha,
            trust=grant.Trust.TRUSTED,
            actor="mallory",
            evidence="my own gate said so",
            expires_at=int(self._clock.now()) + 60,
        )
        other = own.model_copy(update={"repository_id": REPOSITORY_ID, "pull_request": PULL + 1})
        return self._dice.choice((*self._texts, "", own.model_dump_json(), other.model_dump_json()))


class _Job:
    """One run's steps, each a process of its own."""

    def __init__(self, story: Story, here: Context) -> None:
        self._story = story
        self._here = here
        self._files, self._shown, self._history = files.unwatched(), Shown(), Kept()
        self._remote = self._hostile()
        self._machines = OneMachine()

    def gated(self, event: Event) -> str:
        """The grant as the output of the gate's step; "" when there is none."""
        story, scene = self._story, self._story._scene
        times, asks = scene.labelled, event.payload.get("label", {}).get("name") == LABEL
        try:
            given = gate.gate(self._world(), self._here, event=event.payload, policy=story._policy)
        except errors.AccelError as error:
            given = None
            self._shown.log(str(error))
        kept = story._policy.until_push and not scene.fork and given is not None
        if asks and LABEL in story._github.issue(PULL).labels and times == scene.labelled and not kept:
            story._judge.label_left(PULL)
        if given is None:
            story._judge.denied(event.wish, "; ".join(self._shown.texts[-2:]))
        else:
            story._judge.granted(given, event.wish, most=story._policy.max_per_day)
        story._judge.seen("log", self._shown.texts)
        return self._shown.outputs.get("grant", "")

    def tested(self, text: str) -> None:
        """Provision with this grant, and what follows it; an error ends the step, as in a job."""
        story, here = self._story, self._here
        try:
            permission = grant.checked(text, here, now=story._clock.now())
            record = plans.begun(here, INPUTS, permission, now=story._clock.now())
            order = plans.order(INPUTS, record)
            record = provision.provision(self._world(), record, here.key(), order=order)
            self._run(record)
        except errors.AccelError as error:
            self._shown.log(str(error))
        if records.find(self._files, "") is not None:
            self._told()
        self._judged()

    def _run(self, record: RunRecord) -> None:
        here, now = self._here, self._story._clock.now()
        handed = plans.secrets(here, record, SECRETS, now=now, open_=lambda box: b"")
        source = plans.source(here, record, wanted="auto", directory="")
        work = replace(WORK.work(source), secrets=handed.values)
        # What commands do for every secret before anything runs.
        for value in handed.values.values():
            self._shown.mask(value)
        try:
            run_remote.run_remote(self._world(), work, slot="")
        finally:
            collect.collect(self._world(), ("out/**",), caps=Caps(), slot="", secrets=handed.values.values())

    def _told(self) -> None:
        world, known = self._world(), records.load(self._files, "")
        record = report.report(world, known, publication=plans.publication(self._here))
        if record.verdict is Verdict.PASSED:
            self._story._judge.passed(self._here.run_id, forged=self._remote.forges)

    def _judged(self) -> None:
        judge, documents = self._story._judge, self._files.documents
        nonces = [each.decode() for name, each in documents.items() if "nonce-" in name]
        judge.seen("log", self._shown.texts, secrets=nonces)
        judge.seen("outputs", self._shown.outputs.values(), secrets=nonces)
        judge.seen("summary", self._shown.pages, secrets=nonces)
        # Of the uploaded artifact: its files' names. What is in them is what the tests wrote.
        judge.seen("names", (name for name in documents if "/artifacts/" in name), secrets=nonces)
        kept = [each.decode(errors="replace") for name, each in documents.items() if PERSISTENT.search(name)]
        judge.seen("record", kept, secrets=nonces)
        judge.seen("history", (each.decode() for each in self._history.documents.values()), secrets=nonces)

    def _world(self) -> World:
        """The ports of one step."""
        story = self._story
        api = Api(
            story._github,
            act=story._tempt,
            wrote=story._judge.writes,
            clock=story._clock,
            entropy=story._entropy,
        )
        acted: Callable[[object], Watched] = partial(Watched, act=story._tempt)
        return World(
            machines=acted(self._machines),
            remote=acted(self._remote),
            sources=acted(Commits()),
            job=self._shown,
            files=acted(self._files),
            history=acted(self._history),
            clock=acted(story._clock),
            entropy=story._entropy,
            lanes=Lanes(),
            github=GitHubRest(api),
        )

    def _hostile(self) -> HostileRemote:
        story = self._story
        stream = story._dice
        exit_code = stream.choice((0, 0, 1))
        return HostileRemote(
            act=story._tempt,
            starts=lambda source, phase: story._judge.started(self._here.run_id, source, phase, story._clock.now()),
            prints=partial(_printed, stream),
            results=partial(_results, stream, "failed" if exit_code else "passed"),
            junit=partial(_junit, stream, failed=bool(exit_code)),
            boast=partial(_boast, stream),
            names=(stream.choice(stranger.HOSTILE), "out/model.bin"),
            into=self._files,
            clock=story._clock,
            forges=dice.chance(stream, 0.2),
            breaks=dice.chance(stream, 0.2),
            refuses=dice.chance(stream, 0.1),
            obstructs=dice.chance(stream, 0.05),
            exit_code=exit_code,
        )


def _printed(stream: dice.Dice, secrets: list[str]) -> bytes:
    """Hostile lines and every secret, also between colours; a forged end record, as if it were ours."""
    record = json.dumps({"exit_code": 0, "reason": "exited", "nonce": "0" * 32})
    divided = (_divided(stream, secret, SEQUENCES) for secret in secrets)
    return "\n".join([*stream.sample(stranger.HOSTILE, 2), *secrets, *divided, record, ""]).encode()


def _boast(stream: dice.Dice, secrets: list[str]) -> str:
    """What a machine says of itself: markup, and what it was handed, so that only a reader sees it."""
    return " ".join([stream.choice(stranger.HOSTILE), *(_divided(stream, secret, UNSEEN) for secret in secrets)])


def _results(stream: dice.Dice, outcome: str, secrets: list[str]) -> bytes:
    """A report whose test is named after the secrets, and tells them in its message."""
    name = json.dumps(f"t.py::test[{' '.join(secrets)} {_boast(stream, secrets)}]")
    case = CASE.format(name=name, outcome=outcome)
    return f'{{"event":"start","version":1}}\n{case}{{"event":"end","exit_status":0,"counts":{{}}}}\n'.encode()


def _junit(stream: dice.Dice, secrets: list[str], *, failed: bool) -> bytes:
    """The same in XML, each letter written as XML lets one write it."""
    told = [f"&#{ord(each)};" if each.isprintable() else "?" for each in _boast(stream, secrets)]
    words = "".join(told) + "".join(f" {secret[:5]}<![CDATA[{secret[5:]}]]>" for secret in secrets)
    inside = f"<failure>{words}</failure>" if failed else ""
    text = (
        f'<testsuite name="{"".join(told)}" tests="7"><testcase name="x{"".join(told)}">{inside}</testcase></testsuite>'
    )
    return text.encode(stream.choice(("utf-8", "utf-16")))


# Between the letters stands what cleaning takes out: only a reader would see the secret.
def _divided(stream: dice.Dice, secret: str, between: tuple[str, ...]) -> str:
    at = stream.randrange(1, len(secret))
    return f"{secret[:at]}{stream.choice(between)}{secret[at:]}"


INPUTS = parsing.parse(models.ProvisionInputs, {"backend": "tpu", "accelerator": "v6e-1", "zones": "us-east5-b"})
WORK = parsing.parse(models.RunRemoteInputs, {"run": RUN, "test-reports": "junit.xml"})
