"""GitHub as far as a CI job sees it: one repository, its people, its tokens, and what may go wrong. Pure state."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from accel_ci_sim.world.lists import Lists

Thing = TypeVar("Thing")
BOT = "github-actions[bot]"
BODY_LIMIT = 65_536
TEXT_LIMIT = 65_535
LOOKED_AT_S = 3600.0  # how long a new pull request's commit was there for people to look at
REACTIONS = frozenset({"+1", "-1", "laugh", "confused", "heart", "hooray", "rocket", "eyes"})
ENDED = frozenset({"success", "failure", "timed_out", "cancelled", "neutral", "skipped", "action_required", "stale"})


class ApiError(Exception):
    """GitHub says no: an HTTP status, a message, and headers."""

    def __init__(self, status: int, message: str, **headers: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


@dataclass(slots=True, kw_only=True)
class Token:
    """Who a token writes as, and what it may: levels by permission, `write` including `read`."""

    login: str = BOT
    permissions: dict[str, str] = field(default_factory=dict)


def job_token(**permissions: str) -> Token:
    """A job's own token: everything that our workflows ask for, unless said otherwise (`checks="none"`)."""
    ours = {"actions": "write", "checks": "write", "contents": "read", "issues": "write", "pull_requests": "write"}
    return Token(permissions=ours | permissions)


def fork_token() -> Token:
    """What a `pull_request` run of a fork gets: it may only read."""
    return Token(permissions=dict.fromkeys(("actions", "checks", "contents", "issues", "pull_requests"), "read"))


@dataclass(slots=True, kw_only=True)
class Pull:
    """A pull request; `head_repository_id` is None when the fork was deleted."""

    number: int
    title: str = "Speed it up"
    head_sha: str
    base_ref: str = "main"
    head_repository_id: int | None
    draft: bool = False
    state: str = "open"
    files: list[str] = field(default_factory=list)
    head_ref: str = "speed"
    reviews: list[Review] = field(default_factory=list)
    moved: dict[str, str] = field(default_factory=dict)  # new path -> old path


@dataclass(slots=True, kw_only=True)
class Review:
    """Somebody's review of one commit of a pull request; states as GitHub writes them."""

    id: int
    author: str
    sha: str
    state: str = "APPROVED"
    at: float = 0.0


@dataclass(slots=True, kw_only=True)
class Activity:
    """A change of a branch, by the server's clock."""

    id: int
    branch: str
    before: str
    after: str
    actor: str
    at: float


@dataclass(slots=True, kw_only=True)
class Issue:
    """An issue; pull requests have one too, which holds their labels."""

    number: int
    title: str = ""
    body: str = ""
    author: str = BOT
    state: str = "open"
    state_reason: str | None = None
    labels: list[str] = field(default_factory=list)
    is_pull: bool = False
    at: float = 0.0


@dataclass(slots=True, kw_only=True)
class Comment:
    """A comment on an issue or pull request."""

    id: int
    number: int
    author: str
    body: str
    at: float = 0.0
    reactions: list[tuple[str, str]] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class CheckRun:
    """A check of a commit, by the app of the token that made it."""

    id: int
    app: str
    sha: str
    name: str
    external_id: str = ""
    status: str = "queued"
    conclusion: str | None = None
    details_url: str = ""
    output: dict[str, str | None] = field(default_factory=dict)
    at: float = 0.0


@dataclass(slots=True, kw_only=True)
class Run:
    """A workflow run; a `stubborn` one ends only when forced. Its times are of its newest attempt; 0: of no interest."""

    id: int
    workflow: str = "tests.yml"
    status: str = "queued"
    conclusion: str | None = None
    attempt: int = 1
    pulls: tuple[int, ...] = ()
    stubborn: bool = False
    created_at: float = 0.0  # of its first attempt
    started_at: float = 0.0
    updated_at: float = 0.0
    jobs: list[Job] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Job:
    """A job of a run's newest attempt."""

    id: int
    name: str
    status: str = "queued"
    created_at: float


@dataclass(slots=True, kw_only=True)
class Fault:
    """What happens to the next `times` requests that match (verb and path). `after`: the effect is there all the same.

    Status 0 means that the connection is dropped without an answer.
    """

    matches: str
    status: int
    after: bool = False
    times: int = 1
    message: str = "Server Error"
    headers: dict[str, str] = field(default_factory=dict)


class GitHubWorld:
    """One repository. Whoever asks is named by a token; every method raises ApiError like GitHub does."""

    def __init__(self, now: Callable[[], float], *, repository: str = "org/hello", repository_id: int = 4711) -> None:
        self.now = now
        self.repository = repository
        self.repository_id = repository_id
        self.tokens: dict[str, Token] = {}
        self.collaborators: dict[str, str] = {}
        self.pulls: dict[int, Pull] = {}
        self.issues: dict[int, Issue] = {}
        self.comments: dict[int, Comment] = {}
        self.checks: dict[int, CheckRun] = {}
        self.runs: dict[int, Run] = {}
        self.activity: list[Activity] = []
        self.changes: dict[str, str] = {}
        self.faults: list[Fault] = []
        self.remaining = 1000
        self.resets_at = 0.0
        self.hidden: set[int] = set()
        self.lists = Lists(now)
        self._next = 1000

    def fresh_id(self) -> int:
        """A number that nothing else has."""
        self._next += 1
        return self._next

    def add_pull(self, number: int, *, head_sha: str, fork: bool = False, labels: Iterable[str] = ()) -> Pull:
        """A new pull request with its issue."""
        source = self.repository_id + 1 if fork else self.repository_id
        # A fork's own activity is not this repository's to see: its pushes leave no trace here.
        if not fork:
            self.push("speed", head_sha, actor="ada", at=self.now() - LOOKED_AT_S)
        self.pulls[number] = Pull(number=number, head_sha=head_sha, head_repository_id=source)
        self.issues[number] = Issue(number=number, author="ada", labels=list(labels), is_pull=True, at=self.now())
        return self.pulls[number]

    def push(self, branch: str, sha: str, *, actor: str, at: float | None = None) -> None:
        """The branch of this repository is at the commit, from `at` on (now), and so are its pull requests."""
        before = next((each.after for each in reversed(self.activity) if each.branch == branch), "0" * 40)
        moment = self.now() if at is None else at
        new = Activity(id=self.fresh_id(), branch=branch, before=before, after=sha, actor=actor, at=moment)
        self.activity.append(new)
        for pull in self.pulls.values():
            if pull.head_ref == branch and pull.head_repository_id == self.repository_id:
                pull.head_sha = sha

    def review(self, number: int, author: str, sha: str, *, state: str = "APPROVED") -> None:
        """Somebody reviewed this commit of the pull request."""
        new = Review(id=self.fresh_id(), author=author, sha=sha, state=state, at=self.now())
        self.pull(number).reviews.append(new)

    def react(self, author: str, comment_id: int, content: str) -> bool:
        """True when the reaction is new."""
        comment = _known(self.comments, comment_id)
        if content not in REACTIONS:
            raise ApiError(422, "Validation Failed")
        new = (author, content) not in comment.reactions
        if new:
            comment.reactions.append((author, content))
        return new

    def who(self, token: str) -> Token:
        """The token's owner; every request counts against the rate limit."""
        if token not in self.tokens:
            raise ApiError(401, "Bad credentials")
        # The limit of GITHUB_TOKEN is the whole repository's: 1,000 requests an hour.
        if self.remaining <= 0 and self.now() >= self.resets_at:
            self.remaining = 1000
        if self.remaining <= 0:
            # 403 as often as 429: a client that looks for 429 alone takes it for a missing right.
            raise ApiError(403, "API rate limit exceeded for installation.")
        self.remaining -= 1
        return self.tokens[token]

    def fault(self, request: str, *, after: bool) -> Fault | None:
        """What goes wrong with this request (such as `POST /issues`) at this moment; each time is counted."""
        for fault in self.faults:
            if fault.times > 0 and fault.after is after and re.search(fault.matches, request):
                fault.times -= 1
                return fault
        return None

    def allow(self, token: Token, *permissions: str) -> None:
        """ApiError 403 unless the token has one of these, each `name:level`."""
        if not any(_covers(token, wanted) for wanted in permissions):
            raise ApiError(403, "Resource not accessible by integration")

    def pull(self, number: int) -> Pull:
        """The pull request."""
        return _known(self.pulls, number)

    def issue(self, number: int) -> Issue:
        """The issue or the pull request's issue."""
        return _known(self.issues, number)

    def remove_label(self, number: int, label: str) -> list[str]:
        """The labels that are left."""
        issue = self.issue(number)
        if label not in issue.labels:
            # Two gates that race for one label: exactly one of them takes it, the other gets this.
            raise ApiError(404, "Label does not exist")
        issue.labels.remove(label)
        return issue.labels

    def comment(self, author: str, number: int, body: str) -> Comment:
        """A new comment."""
        self.issue(number)
        new = Comment(id=self.fresh_id(), number=number, author=author, body=_body(body), at=self.now())
        self.comments[new.id] = new
        self.lists.made("comment", new.id)
        # What a stale list hid shows up with the next write.
        self.hidden = set()
        return new

    def comments_of(self, number: int) -> list[Comment]:
        """The comments of an issue, oldest first; those that are `hidden` only after the next was written."""
        self.issue(number)
        listed = self.lists.of("comment", self.comments.values(), lambda each: each.id)
        return [each for each in listed if each.number == number and each.id not in self.hidden]

    def edit_comment(self, comment_id: int, body: str) -> Comment:
        """The changed comment."""
        comment = _known(self.comments, comment_id)
        comment.body = _body(body)
        return comment

    def delete_comment(self, comment_id: int) -> None:
        """The comment is gone."""
        self.lists.changed("comment", comment_id, _known(self.comments, comment_id))
        del self.comments[comment_id]

    def open_issue(self, author: str, title: str, body: str, labels: Iterable[str]) -> Issue:
        """A new issue."""
        # Issues and pull requests share their numbers.
        number = max([*self.issues, 0]) + 1
        new = Issue(number=number, title=title, body=_body(body), author=author, labels=list(labels), at=self.now())
        self.issues[number] = new
        self.lists.made("issue", number)
        return new

    def listed_issues(self) -> list[Issue]:
        """All issues as lists have them, newest first."""
        return self.lists.of("issue", self.issues.values(), lambda each: each.number)[::-1]

    def edit_issue(self, number: int, changes: Mapping[str, str]) -> Issue:
        """The changed issue: state, state_reason, title and body may be told."""
        issue = self.issue(number)
        self.lists.changed("issue", number, replace(issue))
        for name in ("state", "state_reason", "title", "body"):
            setattr(issue, name, changes.get(name, getattr(issue, name)))
        return issue

    def put_check(self, run: CheckRun) -> CheckRun:
        """The check as it is kept; a conclusion completes it."""
        texts = [run.output.get(name) or "" for name in ("summary", "text")]
        # Refused, not cut: a report that is too long would be none at all.
        if max(map(len, texts)) > TEXT_LIMIT:
            raise ApiError(422, "Only 65535 characters are allowed")
        if run.conclusion is not None:
            if run.conclusion not in ENDED:
                raise ApiError(422, "Invalid conclusion")
            run.status = "completed"
        if run.id not in self.checks:
            self.lists.made("check", run.id)
        self.checks[run.id] = run
        return run

    def checks_of(self, sha: str, *, name: str = "", latest: bool = True) -> list[CheckRun]:
        """The checks of a commit, newest first as GitHub lists them; `latest`: only the newest of a name and app."""
        listed = self.lists.of("check", self.checks.values(), lambda each: each.id)
        found = [each for each in listed if each.sha == sha and (not name or each.name == name)]
        # A check that was doubled by a lost reply is found below the newer one.
        found.sort(key=lambda each: -each.id)
        if not latest:
            return found
        # GitHub's own default hides older ones of a name: who cleans up has to ask for all.
        newest = {(each.app, each.name): each for each in reversed(found)}
        return [each for each in found if newest[each.app, each.name] is each]

    def cancel(self, run_id: int, *, force: bool) -> None:
        """The run ends, unless it is stubborn and only asked."""
        run = _known(self.runs, run_id)
        if run.status == "completed":
            raise ApiError(409, "Cannot cancel a workflow run that is completed.")
        # A polite cancel waits for always() steps, which may never end.
        if force or not run.stubborn:
            self.put_run(run_id, "completed")
            run.conclusion = "cancelled"
            for job in run.jobs:
                job.status = "completed"

    def put_run(self, run_id: int, status: str) -> None:
        """The run is in this status from now on."""
        run = _known(self.runs, run_id)
        self.lists.changed("run", run_id, replace(run))
        run.status, run.updated_at = status, self.now()

    def listed_runs(self, workflow: str) -> list[Run]:
        """The runs of a workflow as lists have them."""
        listed = self.lists.of("run", self.runs.values(), lambda each: each.id)
        return [each for each in listed if each.workflow == workflow]


def _known(things: dict[int, Thing], key: int) -> Thing:
    if key not in things:
        raise ApiError(404, "Not Found")
    return things[key]


def _covers(token: Token, wanted: str) -> bool:
    name, _, level = wanted.partition(":")
    has = token.permissions.get(name, "none")
    return has == "write" or (has == "read" and level == "read")


def _body(text: str) -> str:
    if len(text) > BODY_LIMIT:
        raise ApiError(422, "Body is too long (maximum is 65536 characters)")
    return text
