"""GitHub's REST API as our port. Whatever is made is looked for first, by a marker and by its author, and again after."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

from accel_ci.adapters import unreadable
from accel_ci.adapters.github_calls import Calls, RefusedError
from accel_ci.domain import errors
from accel_ci.domain.check import Check, Conclusion, Issue
from accel_ci.domain.pullrequest import PullRequest, Push, Reaction, Role
from accel_ci.domain.queued import WorkflowJob, WorkflowRun

LOGIN = "github-actions[bot]"
LABEL = "accel-ci"
PULLS, CHECKS, ISSUES, ACTIONS = "pull-requests: write", "checks: write", "issues: write", "actions: write"
READ_PULLS, READ_METADATA, READ_ACTIONS = "pull-requests: read", "metadata: read", "actions: read"
READ_CONTENTS = "contents: read"
DECISIONS = {"APPROVED", "CHANGES_REQUESTED", "DISMISSED"}  # a mere comment leaves an approval standing


@unreadable.told_by("GitHub")
class GitHubRest:
    """The port over `calls`. `login` is who the token writes as; nobody else's comments, checks and issues count."""

    def __init__(self, calls: Calls, *, login: str = LOGIN) -> None:
        self._calls = calls
        self._login = login

    def role(self, user: str) -> Role:
        """From /collaborators/USER/permission; a role that GitHub added since is READ."""
        try:
            found = self._calls.get(f"/collaborators/{quote(user, safe='')}/permission", needs=READ_METADATA)
        except RefusedError as error:
            if error.status == 404:
                return Role.NONE
            raise
        return Role(found["permission"]) if found["permission"] in tuple(Role) else Role.READ

    def pull_request(self, number: int) -> PullRequest:
        """From /pulls/NUMBER; without a head repository, which was deleted, it counts as a fork."""
        found = self._calls.get(f"/pulls/{number}", needs=READ_PULLS)
        head, base = found["head"], found["base"]
        return PullRequest(
            number=number,
            title=found["title"],
            head_sha=head["sha"],
            base_ref=base["ref"],
            fork=head["repo"] is None or head["repo"]["id"] != base["repo"]["id"],
            draft=bool(found.get("draft")),
            open=found["state"] == "open",
            head_ref=head["ref"],
            base_sha=base["sha"],
        )

    def changed_files(self, number: int) -> Iterator[str]:
        """From /pulls/NUMBER/files; of a file that was moved both names."""
        for file in self._calls.pages(f"/pulls/{number}/files", needs=READ_PULLS):
            # A file that was moved out of a place is a change there, too.
            yield from filter(None, (file["filename"], file.get("previous_filename")))

    def last_push(self, branch: str) -> Push | None:
        """From /activity, newest first; a branch that is gone has none."""
        try:
            found = self._calls.get("/activity", needs=READ_CONTENTS, ref=f"refs/heads/{branch}", per_page=1)
        except RefusedError as error:
            if error.status in (404, 422):  # an Enterprise Server that is too old, or a branch that is gone
                return None
            raise
        if found == []:
            return None
        newest = found[0]
        actor = (newest["actor"] or {}).get("login", "")
        return Push(sha=newest["after"], at=_seconds(newest["timestamp"]), actor=actor)

    def last_change(self, path: str) -> str:
        """From /commits, newest first."""
        found = self._calls.get("/commits", needs=READ_CONTENTS, path=path, per_page=1)
        return "" if found == [] else found[0]["sha"]

    def approvers(self, number: int, sha: str) -> list[str]:
        """From /pulls/NUMBER/reviews; people only, each by the newest review that decides."""
        newest = dict[str, dict[str, Any]]()
        for review in self._calls.pages(f"/pulls/{number}/reviews", needs=READ_PULLS):  # oldest first
            # A bot that may write and approves whatever passes has looked at nothing.
            if (review["user"] or {}).get("type") == "User" and review["state"] in DECISIONS:
                newest[review["user"]["login"]] = review
        return [who for who, last in newest.items() if last["state"] == "APPROVED" and last["commit_id"] == sha]

    def react(self, comment: int, reaction: Reaction) -> None:
        """By POST, which GitHub answers with the reaction that is there when it is there already."""
        body = {"content": reaction.value}
        self._calls.post(f"/issues/comments/{comment}/reactions", needs=PULLS, body=body)

    def remove_label(self, number: int, label: str) -> None:
        """By DELETE; a label that is not there is fine."""
        self._delete(f"/issues/{number}/labels/{quote(label, safe='')}")

    def put_check(self, check: Check) -> None:
        """By POST once, then PATCH of what differs."""
        body = _check_body(check)
        made = {**body, "head_sha": check.sha, "name": check.name, "external_id": check.external_id}
        for found in self._made(
            lambda: [each for each in self._runs_of(check.sha, check.name) if each["external_id"] == check.external_id],
            lambda: self._calls.post("/check-runs", needs=CHECKS, body=made),
            # What waits is made by the gate alone, and whoever ends it looks again: no wait for its lists.
            shared=check.conclusion is not None,
        ):
            if _check(found) != check:  # of several all tell the same: which one GitHub counts is its own affair
                self._calls.send("PATCH", f"/check-runs/{found['id']}", needs=CHECKS, body=body)

    def checks(self, sha: str, name: str = "") -> list[Check]:
        """From /commits/SHA/check-runs, only what our own app wrote."""
        return [_check(found) for found in self._runs_of(sha, name)]

    def _runs_of(self, sha: str, name: str) -> list[dict[str, Any]]:
        wanted = {"check_name": name, "filter": "all"} if name else {"filter": "latest"}
        path, app = f"/commits/{quote(sha, safe='')}/check-runs", self._login.removesuffix("[bot]")
        listed = self._calls.pages(path, needs=CHECKS, under="check_runs", **wanted)
        return _by_id(each for each in listed if (each["app"] or {}).get("slug") == app)

    def put_comment(self, number: int, marker: str, body: str) -> None:
        """By POST once, then PATCH; copies that a doubled request left are deleted."""
        path, text = f"/issues/{number}/comments", _marked(marker, body)

        def put(known: dict[str, Any]) -> bool:
            return self._answers("PATCH", f"/issues/comments/{known['id']}", needs=PULLS, body={"body": text})

        for other in self._kept(
            lambda: self._comments(number, marker),
            lambda: self._calls.post(path, needs=PULLS, body={"body": text}),
            put,
        )[1:]:
            self._delete(f"/issues/comments/{other['id']}")

    def remove_comment(self, number: int, marker: str) -> None:
        """By DELETE of every copy."""
        for each in self._comments(number, marker):
            self._delete(f"/issues/comments/{each['id']}")

    def _comments(self, number: int, marker: str) -> list[dict[str, Any]]:
        return self._ours(self._calls.pages(f"/issues/{number}/comments", needs=PULLS), marker)

    def _delete(self, path: str) -> None:
        """Jobs that end at the same time tidy up the same things: what is gone already is as good as deleted."""
        self._answers("DELETE", path, needs=PULLS)

    def _answers(self, verb: str, path: str, *, needs: str, body: Mapping[str, Any] | None = None) -> bool:
        """False when what is to be changed is gone."""
        try:
            self._calls.send(verb, path, needs=needs, body=body)
        except RefusedError as error:
            if error.status != 404:
                raise
            return False
        return True

    def open_issue(self, marker: str, title: str, body: str) -> Issue:
        """By POST once; copies that a doubled request left are closed as not planned."""
        new = {"title": title, "body": _marked(marker, body), "labels": [LABEL]}

        def is_open(known: dict[str, Any]) -> bool:
            return bool(self._calls.get(f"/issues/{known['number']}", needs=ISSUES)["state"] == "open")

        first, *others = self._kept(
            lambda: self._issues(marker), lambda: self._calls.post("/issues", needs=ISSUES, body=new), is_open
        )
        for other in others:
            self._close(other["number"], "not_planned")
        return Issue(number=first["number"], body=first["body"])

    def issues(self, marker: str) -> list[Issue]:
        """From /issues with our label, only what our own login wrote; no pull requests."""
        return [Issue(number=each["number"], body=each["body"]) for each in self._issues(marker)]

    def close_issue(self, number: int) -> None:
        """By PATCH."""
        self._close(number, "completed")

    def _issues(self, marker: str) -> list[dict[str, Any]]:
        listed = self._calls.pages("/issues", needs=ISSUES, state="open", labels=LABEL, creator=self._login)
        return self._ours((each for each in listed if "pull_request" not in each), marker)

    def _close(self, number: int, reason: str) -> None:
        body = {"state": "closed", "state_reason": reason}
        self._calls.send("PATCH", f"/issues/{number}", needs=ISSUES, body=body)

    def waiting_runs(self, workflow: str) -> list[WorkflowRun]:
        """From /actions/workflows/FILE/runs, queued and in progress, by id."""
        path = f"/actions/workflows/{quote(workflow, safe='')}/runs"
        found = {
            run["id"]: run
            for status in ("queued", "in_progress")
            for run in self._calls.pages(path, needs=READ_ACTIONS, under="workflow_runs", status=status)
        }
        return [_run(found[run_id]) for run_id in sorted(found)]

    def last_success(self, workflow: str) -> WorkflowRun | None:
        """From /actions/workflows/FILE/runs; a workflow that is not there has none."""
        path = f"/actions/workflows/{quote(workflow, safe='')}/runs"
        try:
            told = self._calls.get(path, needs=READ_ACTIONS, status="success", per_page=1)
        except RefusedError as error:
            if error.status == 404:
                return None
            raise
        return _run(told["workflow_runs"][0]) if told["workflow_runs"] else None

    def run(self, run_id: int) -> WorkflowRun:
        """From /actions/runs/ID."""
        return _run(self._calls.get(f"/actions/runs/{run_id}", needs=READ_ACTIONS))

    def jobs(self, run_id: int) -> list[WorkflowJob]:
        """From /actions/runs/ID/jobs, the newest attempt's."""
        listed = self._calls.pages(f"/actions/runs/{run_id}/jobs", needs=READ_ACTIONS, under="jobs", filter="latest")
        return [
            WorkflowJob(
                name=job["name"], status=job["status"], created_at=_seconds(job.get("created_at") or job["started_at"])
            )
            for job in listed
        ]

    def cancel(self, run_id: int, *, force: bool = False) -> None:
        """By POST; a run that is over is fine."""
        try:
            self._calls.post(f"/actions/runs/{run_id}/{'force-cancel' if force else 'cancel'}", needs=ACTIONS)
        except RefusedError as error:
            if error.status != 409:  # it is over
                raise

    def _kept(
        self,
        find: Callable[[], list[dict[str, Any]]],
        create: Callable[[], dict[str, Any]],
        there: Callable[[dict[str, Any]], bool],
    ) -> list[dict[str, Any]]:
        """The one that stays and its copies. `there` is asked of what was found: lists tell for a while of what is gone."""
        made, gone = set[int](), set[int]()

        def new() -> dict[str, Any]:
            answer = create()
            made.add(answer["id"])
            return answer

        while True:
            found = self._made(lambda: [each for each in find() if each["id"] not in gone], new)
            if found[0]["id"] in made or there(found[0]):
                return found
            gone.add(found[0]["id"])

    def _made(
        self, find: Callable[[], list[dict[str, Any]]], create: Callable[[], dict[str, Any]], *, shared: bool = True
    ) -> list[dict[str, Any]]:
        """What is there, lowest id first, after making it when nothing was; never empty. `shared`: others make it, too."""
        found = find()
        if found:
            # A copy that a doubled request left a moment ago may be in no list yet.
            if shared and not all(self._calls.settled(_made_at(each)) for each in found):
                self._calls.settle()
                found = find() or found
            return found
        new: list[dict[str, Any]] = []
        for last in (False, True):
            try:
                new = [create()]
                self._check_author(new[0])
            except errors.TransientError:  # it may have worked: only looking tells
                if last:
                    raise
            # A sibling's may be as new as ours, and in no list yet.
            if shared or not new:
                self._calls.settle()
            found = find()
            if new or found:
                return _by_id({each["id"]: each for each in [*new, *found]}.values())
        raise AssertionError("the second try ends in one way or the other")

    def _check_author(self, made: Mapping[str, Any]) -> None:
        author = (made.get("user") or {}).get("login", self._login)
        if author != self._login:
            raise errors.ConfigurationError(
                f"the token writes as {author}, not as {self._login}: what it writes would not be found again",
                what_to_do=f"set ACCEL_CI_LOGIN to {author}",
            )

    def _ours(self, found: Iterator[dict[str, Any]], marker: str) -> list[dict[str, Any]]:
        begin = _marked(marker, "")
        return _by_id(
            each
            for each in found
            if (each["user"] or {}).get("login") == self._login and (each["body"] or "").startswith(begin)
        )


def _marked(marker: str, body: str) -> str:
    return f"<!-- accel-ci {marker} -->\n{body}"


def _by_id(found: Any) -> list[dict[str, Any]]:
    return sorted(found, key=lambda each: int(each["id"]))


def _check_body(check: Check) -> dict[str, Any]:
    output = {"title": check.title, "summary": check.summary, "text": check.text}
    body: dict[str, Any] = {"output": output, **({"details_url": check.url} if check.url else {})}
    if check.conclusion is None:
        return {**body, "status": "in_progress"}
    return {**body, "status": "completed", "conclusion": check.conclusion.value}


def _check(found: Mapping[str, Any]) -> Check:
    told, ended = found["output"], found["conclusion"]
    return Check(
        sha=found["head_sha"],
        name=found["name"],
        external_id=found["external_id"] or "",
        conclusion=Conclusion(ended) if ended in tuple(Conclusion) else None,
        title=told["title"] or "",
        summary=told["summary"] or "",
        text=told["text"] or "",
        url=found["details_url"] or "",
    )


def _run(found: Mapping[str, Any]) -> WorkflowRun:
    return WorkflowRun(
        id=found["id"],
        workflow=found["path"].partition("@")[0].rsplit("/", 1)[-1],
        attempt=found.get("run_attempt") or 1,
        status=found["status"] or "",
        url=found["html_url"],
        pull_requests=tuple(pull["number"] for pull in found["pull_requests"] or ()),
        started_at=_seconds(found["run_started_at"]) if found.get("run_started_at") else 0.0,
        updated_at=_seconds(found["updated_at"]) if found.get("updated_at") else 0.0,
    )


def _made_at(found: Mapping[str, Any]) -> float:
    """When a check, a comment or an issue was made; 0 where GitHub does not tell."""
    moment = found.get("started_at") or found.get("created_at")
    return _seconds(moment) if moment else 0.0


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()
