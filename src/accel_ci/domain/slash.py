"""Commands in comments of a pull request: `/accel-ci run`, `rerun`, `cancel`, `help`. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from accel_ci.domain import trigger
from accel_ci.domain.trigger import Nothing, Request

WORD = "/accel-ci"
COMMANDS = {
    "run": "`/accel-ci run <sha>` runs that commit, with all of its digits; without them, the newest commit",
    "rerun": "`/accel-ci rerun` runs a commit again that was run before",
    "cancel": "`/accel-ci cancel` ends the runs of the newest commit, and their machines",
    "help": "`/accel-ci help` says this",
}
# Only digits as GitHub writes them: what looks like a sha and is none must not become a bare `run`.
_LINE = re.compile(rf"{re.escape(WORD)}(?:[ \t]+([a-z-]{{1,20}}))?(?:[ \t]+([0-9a-f]{{12,64}}))?[ \t]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What a comment asks for besides a run: `cancel`, `help`, or "" for what nobody understands."""

    verb: str
    number: int
    actor: str
    person: bool
    comment: int


def read(event: Mapping[str, Any]) -> Request | Command | Nothing:
    """What an `issue_comment` event asks for; the command is the comment's first line and nothing else stands in it."""
    comment, issue, sender = (_part(event, name) for name in ("comment", "issue", "sender"))
    number, written, body = issue.get("number"), comment.get("id"), comment.get("body")
    # An edited comment has another author than its words: whoever may edit it could put them into somebody's mouth.
    if event.get("action") != "created" or not isinstance(issue.get("pull_request"), dict):
        return Nothing(why="only a new comment on a pull request can be a command")
    if not isinstance(number, int) or not isinstance(written, int) or not isinstance(body, str):
        return Nothing(why="the event names no comment")
    # Quoted text and what stands further down may be the words of somebody else.
    line = body.split("\n", 1)[0].rstrip("\r")
    if line.split(" ", 1)[0].split("\t", 1)[0] != WORD:
        return Nothing(why="the comment is no command")
    actor, person = str(sender.get("login", "")), sender.get("type") == "User"
    found = _LINE.fullmatch(line)
    verb, sha = (found[1] or "help", found[2] or "") if found else ("", "")
    if verb in ("run", "rerun") and not (sha and verb == "rerun"):
        return Request(
            number=number,
            sha=sha,
            actor=actor,
            person=person,
            at=trigger.moment(comment.get("created_at")),
            comment=written,
            rerun=verb == "rerun",
        )
    known = verb if verb in COMMANDS and not sha and verb != "rerun" else ""
    return Command(verb=known, number=number, actor=actor, person=person, comment=written)


def usage() -> str:
    """The commands as a Markdown list."""
    return "\n".join(f"- {told}" for told in COMMANDS.values())


def _part(event: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = event.get(name)
    return part if isinstance(part, dict) else {}
