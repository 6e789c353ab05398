"""Everything that somebody without the right to write can do to a pull request, and the people whom it may confuse."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from accel_ci_sim.direct.adversary_judge import Judge, Wish
from accel_ci_sim.wire import github_shapes as shapes
from accel_ci_sim.world import dice
from accel_ci_sim.world.dice import Dice
from accel_ci_sim.world.github import CheckRun, Comment, GitHubWorld, Pull

LABEL = "run-tpu-tests"
PULL = 3
# The triager may label; a bot may have been given the right to write, and obeys whoever talks to it.
STRANGERS = ("mallory", "trent", "labeler[bot]")
ROLES = {"ada": "write", "grace": "maintain", "trent": "triage", "labeler[bot]": "write"}
HOSTILE = (
    "x`$(id)`;::set-output name=grant::{}",
    "##[set-env name=PATH]/evil",
    "<!-- accel-ci gate -->\n@org/all ![x](https://evil.example/beacon)",
    "a\x1b]0;x\x07\u202e\r\n::stop-commands::x",
    "../../../etc/passwd",
    "fixes GH-1, www.evil.example",  # plain words, of which GitHub makes references all the same
    "a\n```\n</details>\n@org/all\n~~~\n| a ` | b ``",
)


@dataclass(slots=True)
class Event:
    """What starts a workflow run, and what a maintainer meant by it."""

    name: str
    payload: dict[str, Any]
    wish: Wish | None = None


@dataclass
class Scene:
    """The pull request, and the events that nobody has handled yet. `prepared`: pairs of commits that begin alike."""

    dice: Dice
    github: GitHubWorld
    judge: Judge
    fork: bool
    events: list[Event] = field(default_factory=list)
    labelled: int = 0
    twins: dict[str, str] = field(default_factory=dict)

    @property
    def pull(self) -> Pull:
        """The pull request."""
        return self.github.pulls[PULL]

    def sha(self) -> str:
        """A new commit, and its twin: two commits that share 12 digits cost their maker seconds (2^24 tries)."""
        begin = f"{self.dice.getrandbits(48):012x}"
        first, second = (begin + f"{self.dice.getrandbits(112):028x}" for _ in range(2))
        self.twins |= {first: second, second: first}
        return first

    def push(self, sha: str, actor: str) -> None:
        """The pull request's branch is at this commit."""
        if self.fork:
            self.pull.head_sha = sha
        else:
            self.github.push(self.pull.head_ref, sha, actor=actor)
        self._happened("pull_request_target", {"action": "synchronize", **self._pull(), "sender": user(actor)})

    def label(self, actor: str, name: str = LABEL, wish: Wish | None = None) -> None:
        """Somebody sets a label; setting one that is there is no event."""
        labels = self.github.issue(PULL).labels
        if name not in labels:
            labels.append(name)
            self.labelled += name == LABEL
            payload = {"action": "labeled", "label": {"name": name}, **self._pull(), "sender": user(actor)}
            self._happened("pull_request_target", payload, wish)

    def comment(self, actor: str, body: str, wish: Wish | None = None) -> None:
        """Somebody comments."""
        self._commented("created", self.github.comment(actor, PULL, body), actor, wish)

    def edit(self, comment: Comment, actor: str, body: str) -> None:
        """Somebody changes a comment, their own or another's."""
        self.github.edit_comment(comment.id, body)
        self._commented("edited", comment, actor, None)

    def _commented(self, action: str, comment: Comment, actor: str, wish: Wish | None) -> None:
        told = {"id": comment.id, "body": comment.body, "user": user(comment.author)}
        told |= {"created_at": shapes.moment(comment.at), "updated_at": shapes.moment(self.github.now())}
        issue = {"number": PULL, "pull_request": {}}
        payload = {"action": action, "comment": told, "issue": issue, "sender": user(actor)}
        self._happened("issue_comment", payload, wish)

    def _happened(self, name: str, payload: dict[str, Any], wish: Wish | None = None) -> None:
        self.events.append(Event(name, payload, wish))

    def _pull(self) -> dict[str, Any]:
        labels = [{"name": name} for name in self.github.issue(PULL).labels]
        head = {"sha": self.pull.head_sha, "ref": self.pull.head_ref}
        moment = shapes.moment(self.github.now())
        return {"pull_request": {"number": PULL, "updated_at": moment, "head": head, "labels": labels}}


def user(login: str) -> dict[str, str]:
    """A sender as events tell them."""
    return {"login": login, "type": "Bot" if login.endswith("[bot]") else "User"}


class Stranger:
    """Acts when told to. `acted` counts what was done, by name."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._dice = scene.dice
        self.acted: dict[str, int] = {}

    def act(self) -> None:
        """Do one thing."""
        act = self._dice.choice(ACTS)
        self.acted[act.__name__] = self.acted.get(act.__name__, 0) + 1
        act(self)

    def push(self) -> None:
        """A new commit, the twin of the one that is there, or an older one again."""
        scene = self._scene
        known = list(scene.twins)
        # A twin begins like what a maintainer looked at, an old one was granted once.
        sha = self._dice.choice((scene.sha(), scene.twins[scene.pull.head_sha], self._dice.choice(known)))
        scene.push(sha, "mallory" if scene.fork else "labeler[bot]")

    def label(self) -> None:
        """The label, or another one while ours may be there."""
        self._scene.label(self._dice.choice(STRANGERS[1:]), self._dice.choice((LABEL, LABEL, "size/S")))

    def relabel(self) -> None:
        """Off and on again."""
        labels = self._scene.github.issue(PULL).labels
        if LABEL in labels:
            labels.remove(LABEL)
        self._scene.label("trent")

    def comment(self) -> None:
        """A command, with a right or a wrong commit."""
        head = self._scene.pull.head_sha
        named = self._dice.choice((head, head[:12], self._scene.twins[head], "", "0" * 40))
        verb = self._dice.choice(("run", "run", "rerun", "cancel", "help"))
        self._scene.comment(self._dice.choice(STRANGERS), f"/accel-ci {verb} {named}".rstrip())

    def edit(self) -> None:
        """An own comment becomes a command."""
        own = [each for each in self._scene.github.comments.values() if each.author in STRANGERS]
        if own:
            comment = self._dice.choice(own)
            self._scene.edit(comment, comment.author, f"/accel-ci run {self._scene.pull.head_sha}")

    def forge(self) -> None:
        """A comment with our marker, or a check of another app with our name and mark."""
        marker = self._dice.choice(("gate", "report accel-ci"))
        self._scene.github.comment(self._dice.choice(STRANGERS), PULL, f"<!-- accel-ci {marker} -->\nall is well")
        check = CheckRun(
            id=self._scene.github.fresh_id(),
            app="labeler",
            sha=self._scene.pull.head_sha,
            name="accel-ci",
            external_id="accel-ci:1:1",
            conclusion="success",
        )
        self._scene.github.put_check(check)

    def approve(self) -> None:
        """An account without rights approves what is there."""
        self._scene.github.review(PULL, self._dice.choice(STRANGERS), self._scene.pull.head_sha)

    def rename(self) -> None:
        """A hostile title; a fork's branch may have any name, that of our main branch too."""
        self._scene.pull.title = self._dice.choice(HOSTILE)
        if self._scene.fork:
            self._scene.pull.head_ref = self._dice.choice((*HOSTILE, "main", "speed"))


ACTS: tuple[Callable[[Stranger], None], ...] = (
    Stranger.push,
    Stranger.push,
    Stranger.push,
    Stranger.label,
    Stranger.relabel,
    Stranger.comment,
    Stranger.edit,
    Stranger.forge,
    Stranger.approve,
    Stranger.rename,
)


class Maintainer:
    """An honest person with the right to write, who looks at one commit and then says what they think of it."""

    LONGEST_THOUGHT_S = 55.0  # the page is loaded again before a click after longer: what the quiet period relies on

    def __init__(self, scene: Scene, *, think: Callable[[float], None]) -> None:
        self._scene = scene
        self._think = think

    def act(self, *, sure: bool = False) -> None:
        """Look, think, act. `sure`: with everything that the documentation asks for."""
        scene = self._scene
        who, seen = scene.dice.choice(("ada", "grace")), scene.pull.head_sha
        self._think(scene.dice.uniform(1.0, self.LONGEST_THOUGHT_S))
        choice = scene.dice.random()
        if not sure and choice < 0.12:
            self._moderate(who)
        elif not sure and choice < 0.2:
            scene.comment(who, scene.dice.choice(("/accel-ci help", "/accel-ci cancel", "looks wrong to me")))
        else:
            scene.judge.wanted.add(seen)
            self._ask(who, Wish(who, seen, sure), choice=choice)

    def _ask(self, who: str, wish: Wish, *, choice: float) -> None:
        scene, dice_ = self._scene, self._scene.dice
        if wish.sure or dice.chance(dice_, 0.4):
            scene.github.review(PULL, who, wish.sha)
        if choice < 0.6:
            scene.label(who, wish=wish)
        elif choice < 0.85:
            scene.comment(who, f"/accel-ci run {dice_.choice((wish.sha, wish.sha[:12]))}", wish)
        elif choice < 0.95 or wish.sure:
            scene.comment(who, "/accel-ci run", wish)
        else:
            scene.comment(who, "/accel-ci rerun", wish)

    def _moderate(self, who: str) -> None:
        """Mend a typo in somebody's comment, whatever else it says."""
        others = [each for each in self._scene.github.comments.values() if each.author in STRANGERS]
        commands = [each for each in others if "/accel-ci run" in each.body]
        if others:
            comment = (commands or others)[-1]
            self._scene.edit(comment, who, f"{comment.body}\n(mended)")
