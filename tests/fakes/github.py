"""A repository on GitHub, in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from accel_ci.domain.check import Check, Issue
from accel_ci.domain.errors import AccelError, ConfigurationError
from accel_ci.domain.pullrequest import PullRequest, Push, Reaction, Role
from accel_ci.domain.queued import WorkflowJob, WorkflowRun


@dataclass
class FakeGitHub:
    """What a test sets up and looks at. `denied` maps a method's name to the error that it raises.

    `stubborn` runs only end when forced, `immortal` ones never; `written` names the calls that changed something, in order.
    """

    roles: dict[str, Role] = field(default_factory=dict)
    pulls: dict[int, PullRequest] = field(default_factory=dict)
    files: dict[int, list[str]] = field(default_factory=dict)
    labels: dict[int, set[str]] = field(default_factory=dict)
    pushes: dict[str, Push] = field(default_factory=dict)
    changes: dict[str, str] = field(default_factory=dict)
    approvals: dict[tuple[int, str], list[str]] = field(default_factory=dict)
    reactions: dict[int, list[Reaction]] = field(default_factory=dict)
    all_checks: list[Check] = field(default_factory=list)
    comments: dict[int, dict[str, str]] = field(default_factory=dict)
    titles: dict[int, str] = field(default_factory=dict)
    open_issues: dict[int, tuple[str, Issue]] = field(default_factory=dict)
    runs: dict[int, WorkflowRun] = field(default_factory=dict)
    jobs_of: dict[int, list[WorkflowJob]] = field(default_factory=dict)
    stubborn: set[int] = field(default_factory=set)
    immortal: set[int] = field(default_factory=set)
    denied: dict[str, AccelError] = field(default_factory=dict)
    written: list[str] = field(default_factory=list)

    def role(self, user: str) -> Role:
        self._asked("role")
        return self.roles.get(user, Role.NONE)

    def pull_request(self, number: int) -> PullRequest:
        self._asked("pull_request")
        if number not in self.pulls:
            raise ConfigurationError(f"no pull request {number}")
        return self.pulls[number]

    def changed_files(self, number: int) -> Iterator[str]:
        self._asked("changed_files")
        yield from self.files.get(number, [])

    def last_push(self, branch: str) -> Push | None:
        self._asked("last_push")
        return self.pushes.get(branch)

    def last_change(self, path: str) -> str:
        self._asked("last_change")
        return self.changes.get(path, "")

    def approvers(self, number: int, sha: str) -> list[str]:
        self._asked("approvers")
        return self.approvals.get((number, sha), [])

    def react(self, comment: int, reaction: Reaction) -> None:
        self._writes("react")
        self.reactions.setdefault(comment, []).append(reaction)

    def remove_label(self, number: int, label: str) -> None:
        self._writes("remove_label")
        self.labels.get(number, set()).discard(label)

    def put_check(self, check: Check) -> None:
        self._writes("put_check")
        ours = (check.sha, check.name, check.external_id)
        places = [n for n, each in enumerate(self.all_checks) if (each.sha, each.name, each.external_id) == ours]
        for place in places:
            self.all_checks[place] = check
        if not places:
            self.all_checks.append(check)

    def checks(self, sha: str, name: str = "") -> list[Check]:
        self._asked("checks")
        found = [each for each in self.all_checks if each.sha == sha and (not name or each.name == name)]
        return found if name else [each for n, each in enumerate(found) if each.name not in _names(found[n + 1 :])]

    def put_comment(self, number: int, marker: str, body: str) -> None:
        self._writes("put_comment")
        assert len(body) < 65_500, len(body)
        self.comments.setdefault(number, {})[marker] = body

    def remove_comment(self, number: int, marker: str) -> None:
        self._asked("remove_comment")
        if self.comments.get(number, {}).pop(marker, None):
            self.written.append("remove_comment")

    def open_issue(self, marker: str, title: str, body: str) -> Issue:
        self._writes("open_issue")
        for known in self.issues(marker):
            return known
        issue = Issue(number=max(self.titles, default=100) + 1, body=f"<!-- accel-ci {marker} -->\n{body}")
        self.open_issues[issue.number] = (marker, issue)
        self.titles[issue.number] = title
        return issue

    def issues(self, marker: str) -> list[Issue]:
        self._asked("issues")
        return [issue for known, issue in self.open_issues.values() if known == marker]

    def close_issue(self, number: int) -> None:
        self._writes("close_issue")
        self.open_issues.pop(number, None)

    def waiting_runs(self, workflow: str) -> list[WorkflowRun]:
        self._asked("waiting_runs")
        return [run for run in self.runs.values() if run.workflow == workflow and not run.over]

    def last_success(self, workflow: str) -> WorkflowRun | None:
        self._asked("last_success")
        return max(
            (run for run in self.runs.values() if run.workflow == workflow and run.over),
            key=lambda run: run.started_at,
            default=None,
        )

    def run(self, run_id: int) -> WorkflowRun:
        self._asked("run")
        if run_id not in self.runs:
            raise ConfigurationError(f"no run {run_id}")
        return self.runs[run_id]

    def jobs(self, run_id: int) -> list[WorkflowJob]:
        self._asked("jobs")
        return self.jobs_of.get(run_id, [])

    def cancel(self, run_id: int, *, force: bool = False) -> None:
        self._writes(f"{'force-' if force else ''}cancel {run_id}")
        if run_id not in self.immortal and (force or run_id not in self.stubborn):
            self.runs[run_id] = replace(self.runs[run_id], status="completed")

    def _asked(self, method: str) -> None:
        if method in self.denied:
            raise self.denied[method]

    def _writes(self, method: str) -> None:
        self._asked(method.split(" ")[0])
        self.written.append(method)


def _names(checks: list[Check]) -> set[str]:
    return {check.name for check in checks}
