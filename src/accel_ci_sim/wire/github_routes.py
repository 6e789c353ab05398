"""Which request of GitHub's REST API is which act in the world, and which permission it takes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from accel_ci_sim.wire import github_shapes as shapes
from accel_ci_sim.world.github import ApiError, CheckRun, GitHubWorld, Token


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request: who asks, the parts of its path, its query and its JSON."""

    world: GitHubWorld
    token: Token
    parts: tuple[str, ...]
    query: Mapping[str, str]
    body: Mapping[str, Any]

    def number(self, place: int = 0) -> int:
        """A part of the path as a number."""
        if not self.parts[place].isdigit():
            raise ApiError(404, "Not Found")
        return int(self.parts[place])


@dataclass(frozen=True, slots=True)
class Listing:
    """Items to page through, below the member `under` when that is named."""

    items: list[Any]
    under: str = ""


Answer = tuple[int, Any]
Handler = Callable[[Asked], Answer]


def find(verb: str, path: str) -> tuple[Handler, tuple[str, ...]]:
    """The handler of a path below the repository and the parts of the path; ApiError 404 when there is none."""
    for method, pattern, handler in _ROUTES:
        if method == verb and (match := re.fullmatch(pattern, path)):
            return handler, match.groups()
    raise ApiError(404, "Not Found")


def _repository(asked: Asked) -> Answer:
    return 200, shapes.repository(asked.world)


def _permission(asked: Asked) -> Answer:
    (login,) = asked.parts
    return 200, shapes.permission(login, asked.world.collaborators.get(login, "read"))


def _pull(asked: Asked) -> Answer:
    asked.world.allow(asked.token, "pull_requests:read")
    return 200, shapes.pull(asked.world, asked.world.pull(asked.number()))


def _files(asked: Asked) -> Answer:
    asked.world.allow(asked.token, "pull_requests:read")
    pull = asked.world.pull(asked.number())
    return 200, Listing([shapes.file(path, moved_from=pull.moved.get(path, "")) for path in pull.files])


def _reviews(asked: Asked) -> Answer:
    asked.world.allow(asked.token, "pull_requests:read")
    pull = asked.world.pull(asked.number())
    return 200, Listing([shapes.review(asked.world, each, number=pull.number) for each in pull.reviews])


def _activity(asked: Asked) -> Answer:
    asked.world.allow(asked.token, "contents:read")
    branch = asked.query.get("ref", "").removeprefix("refs/heads/")
    found = [each for each in reversed(asked.world.activity) if branch in ("", each.branch)]
    return 200, Listing([shapes.activity(each) for each in found])


def _commits(asked: Asked) -> Answer:
    asked.world.allow(asked.token, "contents:read")
    sha = asked.world.changes.get(asked.query.get("path", ""))
    return 200, Listing([shapes.commit(asked.world, sha)] if sha else [])


def _react(asked: Asked) -> Answer:
    asked.world.allow(asked.token, "issues:write", "pull_requests:write")
    content = str(asked.body.get("content"))
    new = asked.world.react(asked.token.login, asked.number(), content)
    return 201 if new else 200, shapes.reaction(asked.token.login, content, at=asked.world.now())


def _add_labels(asked: Asked) -> Answer:
    asked.world.allow(asked.token, "issues:write", "pull_requests:write")
    issue = asked.world.issue(asked.number())
    issue.labels += [name for name in asked.body.get("labels", []) if name not in issue.labels]
    return 200, [shapes.label(name) for name in issue.labels]


def _remove_label(asked: Asked) -> Answer:
    asked.world.allow(asked.token, "issues:write", "pull_requests:write")
    left = asked.world.remove_label(asked.number(), asked.parts[1])
    return 200, [shapes.label(name) for name in left]


def _comments(asked: Asked) -> Answer:
    asked.world.allow(asked.token, "issues:read", "pull_requests:read")
    return 200, Listing([shapes.comment(asked.world, each) for each in asked.world.comments_of(asked.number())])


def _comment(asked: Asked) -> Answer:
    _may_talk(asked, asked.number())
    new = asked.world.comment(asked.token.login, asked.number(), asked.body["body"])
    return 201, shapes.comment(asked.world, new)


def _may_talk(asked: Asked, number: int) -> None:
    place = "pull_requests:write" if asked.world.issue(number).is_pull else "issues:write"
    asked.world.allow(asked.token, place)


def _edit_comment(asked: Asked) -> Answer:
    asked.world.allow(asked.token, "issues:write", "pull_requests:write")
    return 200, shapes.comment(asked.world, asked.world.edit_comment(asked.number(), asked.body["body"]))


def _delete_comment(asked: Asked) -> Answer:
    asked.world.allow(asked.token, "issues:write", "pull_requests:write")
    asked.world.delete_comment(asked.number())
    return 204, None


def _issues(asked: Asked) -> Answer:
    asked.world.allow(asked.token, "issues:read")
    state, author = asked.query.get("state", "open"), asked.query.get("creator", "")
    labels = set(filter(None, asked.query.get("labels", "").split(",")))
    found = [
        each
        for each in asked.world.listed_issues()
        if state in ("all", each.state) and author in ("", each.author) and labels <= set(each.labels)
    ]
    return 200, Listing([shapes.issue(asked.world, each) for each in found])


def _issue(asked: Asked) -> Answer:
    asked.world.allow(asked.token, "issues:read", "pull_requests:read")
    return 200, shapes.issue(asked.world, asked.world.issue(asked.number()))


def _open_issue(asked: Asked) -> Answer:
    asked.world.allow(asked.token, "issues:write")
    told = asked.body
    new = asked.world.open_issue(asked.token.login, told["title"], told.get("body") or "", told.get("labels") or ())
    return 201, shapes.issue(asked.world, new)


def _edit_issue(asked: Asked) -> Answer:
    asked.world.allow(asked.token, "issues:write")
    return 200, shapes.issue(asked.world, asked.world.edit_issue(asked.number(), asked.body))


def _open_check(asked: Asked) -> Answer:
    asked.world.allow(asked.token, "checks:write")
    body = asked.body
    new = CheckRun(
        id=asked.world.fresh_id(),
        app=asked.token.login.removesuffix("[bot]"),
        sha=body["head_sha"],
        name=body["name"],
        external_id=body.get("external_id", ""),
        at=asked.world.now(),
    )
    return 201, shapes.check(asked.world, _told(asked, new))


def _edit_check(asked: Asked) -> Answer:
    asked.world.allow(asked.token, "checks:write")
    known = asked.world.checks.get(asked.number())
    if known is None:
        raise ApiError(404, "Not Found")
    return 200, shapes.check(asked.world, _told(asked, known))


def _told(asked: Asked, run: CheckRun) -> CheckRun:
    body = asked.body
    run.status, run.conclusion = body.get("status", run.status), body.get("conclusion", run.conclusion)
    run.details_url = body.get("details_url", run.details_url)
    run.output = {**run.output, **body.get("output", {})}
    return asked.world.put_check(run)


def _checks(asked: Asked) -> Answer:
    asked.world.allow(asked.token, "checks:read")
    latest = asked.query.get("filter", "latest") == "latest"
    found = asked.world.checks_of(asked.parts[0], name=asked.query.get("check_name", ""), latest=latest)
    return 200, Listing([shapes.check(asked.world, each) for each in found], "check_runs")


def _runs(asked: Asked) -> Answer:
    asked.world.allow(asked.token, "actions:read")
    workflow, status = asked.parts[0], asked.query.get("status", "")
    found = [each for each in asked.world.listed_runs(workflow) if status in ("", each.status, each.conclusion)]
    return 200, Listing([shapes.run(asked.world, each) for each in found], "workflow_runs")


def _run(asked: Asked) -> Answer:
    asked.world.allow(asked.token, "actions:read")
    if asked.number() not in asked.world.runs:
        raise ApiError(404, "Not Found")
    return 200, shapes.run(asked.world, asked.world.runs[asked.number()])


def _jobs(asked: Asked) -> Answer:
    asked.world.allow(asked.token, "actions:read")
    run = asked.world.runs.get(asked.number())
    if run is None:
        raise ApiError(404, "Not Found")
    return 200, Listing([shapes.job(each, run_id=run.id) for each in run.jobs], "jobs")


def _cancel(asked: Asked) -> Answer:
    asked.world.allow(asked.token, "actions:write")
    asked.world.cancel(asked.number(), force=asked.parts[1] == "force-cancel")
    return 202, {}


JOBS, CANCEL = _jobs, _cancel  # whoever watches a world wants to know these
_ROUTES: tuple[tuple[str, str, Handler], ...] = (
    ("GET", "", _repository),
    ("GET", "/collaborators/([^/]+)/permission", _permission),
    ("GET", "/pulls/([^/]+)", _pull),
    ("GET", "/pulls/([^/]+)/files", _files),
    ("GET", "/pulls/([^/]+)/reviews", _reviews),
    ("GET", "/activity", _activity),
    ("GET", "/commits", _commits),
    ("POST", "/issues/comments/([^/]+)/reactions", _react),
    ("POST", "/issues/([^/]+)/labels", _add_labels),
    ("DELETE", "/issues/([^/]+)/labels/([^/]+)", _remove_label),
    ("GET", "/issues/([^/]+)/comments", _comments),
    ("POST", "/issues/([^/]+)/comments", _comment),
    ("PATCH", "/issues/comments/([^/]+)", _edit_comment),
    ("DELETE", "/issues/comments/([^/]+)", _delete_comment),
    ("GET", "/issues", _issues),
    ("POST", "/issues", _open_issue),
    ("GET", "/issues/([^/]+)", _issue),
    ("PATCH", "/issues/([^/]+)", _edit_issue),
    ("POST", "/check-runs", _open_check),
    ("PATCH", "/check-runs/([^/]+)", _edit_check),
    ("GET", "/commits/([^/]+)/check-runs", _checks),
    ("GET", "/actions/workflows/([^/]+)/runs", _runs),
    ("GET", "/actions/runs/([^/]+)", _run),
    ("GET", "/actions/runs/([^/]+)/jobs", _jobs),
    ("POST", "/actions/runs/([^/]+)/(cancel|force-cancel)", _cancel),
)
