"""GitHub, as far as gate, report and reap-queued need it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from accel_ci.domain.check import Check, Issue
from accel_ci.domain.pullrequest import PullRequest, Push, Reaction, Role
from accel_ci.domain.queued import WorkflowJob, WorkflowRun


class GitHub(Protocol):
    """One repository, seen with one token. What is written converges: repeating a call, or losing its answer, does not

    make a second comment, check or issue, and only what this token's own identity wrote is ever changed.
    Errors: AccessError names the missing permission, TransientError, ConfigurationError for what does not exist.
    """

    def role(self, user: str) -> Role:
        """What the user may do in the repository; NONE for strangers."""

    def pull_request(self, number: int) -> PullRequest:
        """The pull request as it is now."""

    def changed_files(self, number: int) -> Iterator[str]:
        """The paths that the pull request changes, page by page as they are asked for; GitHub tells 3,000 at most."""

    def last_push(self, branch: str) -> Push | None:
        """The newest change of the repository's own branch; None when GitHub does not tell."""

    def last_change(self, path: str) -> str:
        """The commit of the default branch that last changed the file; "" when there is none."""

    def approvers(self, number: int, sha: str) -> list[str]:
        """The people whose newest review approves exactly this commit of the pull request; anybody may be among them."""

    def react(self, comment: int, reaction: Reaction) -> None:
        """The comment has our reaction."""

    def remove_label(self, number: int, label: str) -> None:
        """The pull request lacks the label from now on; fine when it did before."""

    def put_check(self, check: Check) -> None:
        """Make the commit's check of this name and external id say this."""

    def checks(self, sha: str, name: str = "") -> list[Check]:
        """Our checks of the commit, oldest first: all of this name, or the newest of each name."""

    def put_comment(self, number: int, marker: str, body: str) -> None:
        """Make the one comment with this marker on the issue or pull request say this (at most 65,536 characters)."""

    def remove_comment(self, number: int, marker: str) -> None:
        """There is no comment of ours with this marker on the issue or pull request from now on."""

    def open_issue(self, marker: str, title: str, body: str) -> Issue:
        """The one open issue with this marker; made with this title and body when there is none."""

    def issues(self, marker: str) -> list[Issue]:
        """Our open issues with this marker."""

    def close_issue(self, number: int) -> None:
        """The issue is closed as completed from now on."""

    def waiting_runs(self, workflow: str) -> list[WorkflowRun]:
        """The runs of the workflow (a file name) that are not over: queued ones, and those with a part in progress."""

    def last_success(self, workflow: str) -> WorkflowRun | None:
        """The newest run of the workflow (a file name) that succeeded; None when none did, or there is no such workflow."""

    def run(self, run_id: int) -> WorkflowRun:
        """One run as it is now."""

    def jobs(self, run_id: int) -> list[WorkflowJob]:
        """The jobs of the run's newest attempt."""

    def cancel(self, run_id: int, *, force: bool = False) -> None:
        """Ask for the run's end; fine when it is over. `force` also ends what `always()` holds on to."""
