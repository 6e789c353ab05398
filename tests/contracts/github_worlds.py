"""The same repository twice: in the fake, and in the simulated GitHub behind the adapter."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import Protocol

from accel_ci.adapters.github_calls import Calls
from accel_ci.adapters.github_rest import GitHubRest
from accel_ci.domain.check import Check, Conclusion
from accel_ci.domain.pullrequest import PullRequest, Push, Role
from accel_ci.domain.queued import WorkflowJob, WorkflowRun
from accel_ci.ports.github import GitHub
from accel_ci_sim.wire import github as wire
from accel_ci_sim.wire.github import Exchange
from accel_ci_sim.world import github as world
from accel_ci_sim.world.github import GitHubWorld
from tests.fakes.clock import START, FakeClock
from tests.fakes.entropy import FakeEntropy
from tests.fakes.github import FakeGitHub
from tests.wire.github import description

TOKEN = "a-token-of-the-job"
SHA = "a" * 40
NOW = START


class Setting(Protocol):
    """What a contract test sets up and looks at."""

    @property
    def github(self) -> GitHub:
        """The implementation."""

    def collaborator(self, login: str, role: Role) -> None:
        """Somebody with this role."""

    def pull(self, number: int, *, fork: bool, labels: tuple[str, ...], files: tuple[str, ...]) -> None:
        """A pull request at SHA."""

    def push(self, branch: str, sha: str, *, actor: str, at: float) -> None:
        """Somebody pushed a branch of the repository."""

    def change(self, path: str, sha: str) -> None:
        """A commit of the default branch changed the file."""

    def review(self, number: int, author: str, sha: str, *, state: str) -> None:
        """Somebody reviewed a commit."""

    def comment(self, number: int, body: str) -> int:
        """The id of somebody's comment."""

    def reactions(self, comment: int) -> set[str]:
        """Our reactions to a comment."""

    def labels(self, number: int) -> set[str]:
        """The pull request's labels."""

    def comments(self, number: int) -> list[str]:
        """The comments' texts, without markers."""

    def issue(self, number: int) -> tuple[str, str]:
        """The title and state of an issue."""

    def a_run(self, run_id: int, *, jobs: dict[str, str], stubborn: bool) -> None:
        """A queued run of tests.yml with jobs by name and status, all begun an hour ago."""


@dataclass
class Faked:
    """The fake."""

    github: FakeGitHub

    def collaborator(self, login: str, role: Role) -> None:
        self.github.roles[login] = role

    def pull(self, number: int, *, fork: bool, labels: tuple[str, ...], files: tuple[str, ...]) -> None:
        self.github.pulls[number] = PullRequest(
            number=number, title="Speed it up", head_sha=SHA, base_ref="main", fork=fork
        )
        self.github.labels[number] = set(labels)
        self.github.files[number] = list(files)

    def push(self, branch: str, sha: str, *, actor: str, at: float) -> None:
        self.github.pushes[branch] = Push(sha=sha, at=at, actor=actor)

    def change(self, path: str, sha: str) -> None:
        self.github.changes[path] = sha

    def review(self, number: int, author: str, sha: str, *, state: str) -> None:
        approved = self.github.approvals.setdefault((number, sha), [])
        if author.endswith("[bot]"):
            return
        if state == "APPROVED":
            approved.append(author)
        elif state != "COMMENTED":
            approved.remove(author)

    def comment(self, number: int, body: str) -> int:
        return 9

    def reactions(self, comment: int) -> set[str]:
        return {each.value for each in self.github.reactions[comment]}

    def labels(self, number: int) -> set[str]:
        return self.github.labels[number]

    def comments(self, number: int) -> list[str]:
        return list(self.github.comments.get(number, {}).values())

    def issue(self, number: int) -> tuple[str, str]:
        return self.github.titles[number], "open" if number in self.github.open_issues else "closed"

    def a_run(self, run_id: int, *, jobs: dict[str, str], stubborn: bool) -> None:
        url = f"https://github.com/org/hello/actions/runs/{run_id}"
        self.github.runs[run_id] = WorkflowRun(id=run_id, workflow="tests.yml", attempt=1, status="queued", url=url)
        self.github.jobs_of[run_id] = [
            WorkflowJob(name=name, status=status, created_at=NOW - 3600) for name, status in jobs.items()
        ]
        if stubborn:
            self.github.stubborn.add(run_id)


@dataclass
class Wired:
    """The adapter, a socket, and the simulated GitHub."""

    github: GitHubRest
    state: GitHubWorld
    clock: FakeClock
    exchanges: list[Exchange]
    address: str

    def collaborator(self, login: str, role: Role) -> None:
        self.state.collaborators[login] = role.value

    def pull(self, number: int, *, fork: bool, labels: tuple[str, ...], files: tuple[str, ...]) -> None:
        self.state.add_pull(number, head_sha=SHA, fork=fork, labels=labels).files = list(files)

    def push(self, branch: str, sha: str, *, actor: str, at: float) -> None:
        self.state.push(branch, sha, actor=actor, at=at)

    def change(self, path: str, sha: str) -> None:
        self.state.changes[path] = sha

    def review(self, number: int, author: str, sha: str, *, state: str) -> None:
        self.state.review(number, author, sha, state=state)

    def comment(self, number: int, body: str) -> int:
        return self.state.comment("ada", number, body).id

    def reactions(self, comment: int) -> set[str]:
        return {content for _, content in self.state.comments[comment].reactions}

    def labels(self, number: int) -> set[str]:
        return set(self.state.issue(number).labels)

    def comments(self, number: int) -> list[str]:
        return [each.body.split("\n", 1)[1] for each in self.state.comments_of(number)]

    def issue(self, number: int) -> tuple[str, str]:
        return self.state.issue(number).title, self.state.issue(number).state

    def a_run(self, run_id: int, *, jobs: dict[str, str], stubborn: bool) -> None:
        listed = [
            world.Job(id=run_id * 100 + place, name=name, status=status, created_at=NOW - 3600)
            for place, (name, status) in enumerate(jobs.items())
        ]
        self.state.runs[run_id] = world.Run(id=run_id, jobs=listed, stubborn=stubborn)

    def another(self, token: str = TOKEN) -> GitHubRest:
        """The adapter of a step that begins now."""
        calls = Calls(token, "org/hello", api_url=self.address, clock=self.clock, entropy=FakeEntropy())
        return GitHubRest(calls)


@contextmanager
def wired(**permissions: str) -> Iterator[Wired]:
    """The adapter with a job's token; every exchange is as GitHub's description says."""
    clock, exchanges = FakeClock(), list[Exchange]()
    state = GitHubWorld(clock.now)
    state.tokens[TOKEN] = world.job_token(**permissions)
    with wire.serve(state, watch=exchanges.append) as address:
        calls = Calls(TOKEN, "org/hello", api_url=address, clock=clock, entropy=FakeEntropy())
        yield Wired(GitHubRest(calls), state, clock, exchanges, address)
    assert [told for each in exchanges for told in description.violations(each)] == []


@contextmanager
def faked() -> Iterator[Faked]:
    """The fake."""
    yield Faked(FakeGitHub())


def check(name: str = "accel-ci", run: int = 77, conclusion: Conclusion | None = None) -> Check:
    """A check of SHA."""
    pending = Check(
        sha=SHA,
        name=name,
        external_id=f"accel-ci:{run}:1",
        title="Waiting",
        summary="s",
        text="t",
        url="https://x.org/1",
    )
    return replace(pending, conclusion=conclusion)


WORLDS: dict[str, Callable[[], AbstractContextManager[Setting]]] = {"fake": faked, "rest": wired}
