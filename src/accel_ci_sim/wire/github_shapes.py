"""The JSON of GitHub's REST API: our facts laid over GitHub's own published examples."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import resources
from typing import Any

from accel_ci_sim.world.github import Activity, CheckRun, Comment, GitHubWorld, Issue, Job, Pull, Review, Run

WEB = "https://github.com"
API = "https://api.github.com"  # the server puts its own address in its place


@functools.cache
def _examples() -> dict[str, Any]:
    place = resources.files("accel_ci_sim.wire").joinpath("github_examples.json")
    document: dict[str, Any] = json.loads(place.read_text(encoding="utf-8"))
    return document


def _like(kind: str, **facts: Any) -> dict[str, Any]:
    """The example with these facts. Its parts are copies, too: what only deeper parts differ in, they share."""
    shape = {name: dict(part) if isinstance(part, dict) else part for name, part in _examples()[kind].items()}
    return shape | facts


def moment(seconds: float) -> str:
    """Seconds since 1970 as GitHub writes them."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _user(login: str) -> dict[str, Any]:
    bot = login.endswith("[bot]")
    user: dict[str, Any] = _examples()["comment"]["user"]
    return user | {"login": login, "type": "Bot" if bot else "User"}


def _api(world: GitHubWorld) -> str:
    return f"{API}/repos/{world.repository}"


def repository(world: GitHubWorld) -> dict[str, Any]:
    """The repository itself."""
    shape = _like("repository", id=world.repository_id, full_name=world.repository, url=_api(world))
    return shape | {"name": world.repository.split("/")[1]}


def permission(login: str, role: str) -> dict[str, Any]:
    """What a user may do; maintain is told as write, triage as read."""
    legacy = {"maintain": "write", "triage": "read"}.get(role, role)
    return _like("collaborator", permission=legacy, role_name=role, user=_user(login) | {"role_name": role})


def pull(world: GitHubWorld, told: Pull) -> dict[str, Any]:
    """A pull request."""
    shape = _like("pull", number=told.number, title=told.title, draft=told.draft, state=told.state)
    shape |= {"url": f"{_api(world)}/pulls/{told.number}", "issue_url": f"{_api(world)}/issues/{told.number}"}
    shape["head"] |= {"sha": told.head_sha, "ref": told.head_ref}
    repository_ = shape["base"]["repo"] | {"id": world.repository_id, "full_name": world.repository}
    shape["base"] |= {"ref": told.base_ref, "repo": repository_}
    shape |= {"labels": [label(name) for name in world.issue(told.number).labels], "requested_teams": []}
    if told.head_repository_id is None:
        shape["head"]["repo"] = None
    else:
        shape["head"]["repo"] = shape["head"]["repo"] | {"id": told.head_repository_id}
    return shape


def file(path: str, *, moved_from: str = "") -> dict[str, Any]:
    """A changed file."""
    shape = _like("file", filename=path)
    return shape | ({"status": "renamed", "previous_filename": moved_from} if moved_from else {})


def review(world: GitHubWorld, told: Review, *, number: int) -> dict[str, Any]:
    """A review of a pull request."""
    url = f"{WEB}/{world.repository}/pull/{number}#pullrequestreview-{told.id}"
    shape = _like("review", id=told.id, user=_user(told.author), state=told.state, commit_id=told.sha, html_url=url)
    return shape | {"submitted_at": moment(told.at), "pull_request_url": f"{_api(world)}/pulls/{number}"}


def activity(told: Activity) -> dict[str, Any]:
    """A change of a branch; written out, for GitHub's example is not as GitHub's own schema says."""
    return {
        "id": told.id,
        "node_id": f"PSH_{told.id}",
        "before": told.before,
        "after": told.after,
        "ref": f"refs/heads/{told.branch}",
        "timestamp": moment(told.at),
        "activity_type": "push",
        "actor": _user(told.actor),
    }


def commit(world: GitHubWorld, sha: str) -> dict[str, Any]:
    """A commit of the default branch."""
    return _like("commit", sha=sha, url=f"{_api(world)}/commits/{sha}")


def reaction(author: str, content: str, *, at: float) -> dict[str, Any]:
    """A reaction to a comment."""
    return _like("reaction", user=_user(author), content=content, created_at=moment(at))


def label(name: str) -> dict[str, Any]:
    """A label."""
    return _like("label", name=name)


def issue(world: GitHubWorld, told: Issue) -> dict[str, Any]:
    """An issue; a pull request's one is marked as such."""
    shape = _like(
        "issue", number=told.number, id=told.number, title=told.title, body=told.body, user=_user(told.author)
    )
    shape |= {"state": told.state, "state_reason": told.state_reason, "labels": [label(name) for name in told.labels]}
    shape |= {"created_at": moment(told.at), "html_url": f"{WEB}/{world.repository}/issues/{told.number}"}
    shape["url"] = f"{_api(world)}/issues/{told.number}"
    if not told.is_pull:
        del shape["pull_request"]
    return shape


def comment(world: GitHubWorld, told: Comment) -> dict[str, Any]:
    """A comment."""
    url = f"{WEB}/{world.repository}/issues/{told.number}#issuecomment-{told.id}"
    shape = _like("comment", id=told.id, body=told.body, user=_user(told.author), html_url=url)
    return shape | {"created_at": moment(told.at), "url": f"{_api(world)}/issues/comments/{told.id}"}


def check(world: GitHubWorld, told: CheckRun) -> dict[str, Any]:
    """A check run."""
    ended = told.status == "completed"
    shape = _like("check", id=told.id, head_sha=told.sha, name=told.name, external_id=told.external_id)
    shape |= {"status": told.status, "conclusion": told.conclusion, "details_url": told.details_url or None}
    shape |= {"started_at": moment(told.at), "completed_at": moment(told.at) if ended else None}
    shape["url"] = f"{_api(world)}/check-runs/{told.id}"
    shape["app"] |= {"slug": told.app}
    shape["output"] |= {"title": None, "summary": None, "text": None} | told.output
    return shape


def run(world: GitHubWorld, told: Run) -> dict[str, Any]:
    """A workflow run."""
    shape = _like("run", id=told.id, status=told.status, conclusion=told.conclusion, run_attempt=told.attempt)
    shape |= {"path": f".github/workflows/{told.workflow}@main"}
    shape |= {"html_url": f"{WEB}/{world.repository}/actions/runs/{told.id}"}
    shape |= {"url": f"{_api(world)}/actions/runs/{told.id}", "jobs_url": f"{_api(world)}/actions/runs/{told.id}/jobs"}
    shape |= {"cancel_url": f"{_api(world)}/actions/runs/{told.id}/cancel"}
    shape |= {"created_at": moment(told.created_at)} if told.created_at else {}
    shape |= {"run_started_at": moment(told.started_at)} if told.started_at else {}
    shape |= {"updated_at": moment(told.updated_at)} if told.updated_at else {}
    return shape | {"pull_requests": [_small_pull(world, number) for number in told.pulls]}


def _small_pull(world: GitHubWorld, number: int) -> dict[str, Any]:
    told, url = world.pull(number), _api(world)
    here: Mapping[str, Any] = {"id": world.repository_id, "url": url, "name": world.repository.split("/")[1]}
    ends = {"head": told.head_sha, "base": "0" * 40}
    sides = {side: {"ref": "main", "sha": sha, "repo": here} for side, sha in ends.items()}
    return {"id": number, "number": number, "url": f"{url}/pulls/{number}", **sides}


def job(told: Job, *, run_id: int) -> dict[str, Any]:
    """A job of a run."""
    ended = told.status == "completed"
    shape = _like("job", id=told.id, name=told.name, status=told.status, run_id=run_id)
    shape |= {"created_at": moment(told.created_at), "started_at": moment(told.created_at)}
    return shape | {
        "conclusion": "cancelled" if ended else None,
        "completed_at": moment(told.created_at) if ended else None,
    }
