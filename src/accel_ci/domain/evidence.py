"""Why we may believe that whoever asked had seen the very commit, and not one that was pushed a moment before. Pure."""

from __future__ import annotations

from accel_ci.domain.pullrequest import PullRequest, Push
from accel_ci.domain.trigger import Policy, Refusal, Request


def of_push(request: Request, push: Push | None, *, head: str, quiet_s: float) -> str:
    """What the branch's newest push says for the request; "" when it says nothing.

    Both moments are GitHub's own: a commit's date is written by whoever made it.
    """
    # Somebody pushed again since: whatever was seen, it was another commit.
    if push is None or push.sha != head:
        return ""
    # Nobody can be surprised by a commit of their own.
    if push.actor == request.actor:
        return f"{request.actor} pushed the commit"
    waited = request.at - push.at
    return f"the commit was there for {waited:.0f} s" if waited >= quiet_s else ""


def lacking(pull: PullRequest, policy: Policy) -> Refusal:
    """The refusal when there is none, with every way to give some."""
    why = "nothing shows that this very commit was looked at"
    ways = [f"comment `/accel-ci run {pull.head_sha}`", "approve it in a review and ask again"]
    if pull.fork:
        return Refusal(why=f"it comes from a fork, and {why}", what_to_do=f"look at it, then {', or '.join(ways)}")
    ways += [f"ask again when it has been there for {policy.quiet_s:.0f} s"]
    return Refusal(why=why, what_to_do=f"look at it, then {', or '.join(ways)}")


def asked(request: Request, policy: Policy, *, role: str, shown: str) -> str:
    """The whole evidence in one line, for the check, the grant and the log."""
    how = f"label {policy.label} on" if request.comment is None else "a comment on"
    return f"{how} pull request #{request.number} by {request.actor} ({role}); {shown}"
