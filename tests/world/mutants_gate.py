"""Known bugs of what protects a repository from strangers: each must be found by the adversary's worlds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest

from accel_ci import plans
from accel_ci.adapters.github_rest import GitHubRest, _by_id, _marked
from accel_ci.domain import errors, evidence, grant, slash, trigger, verdict
from accel_ci.domain.check import Check
from accel_ci.domain.context import Context
from accel_ci.domain.grant import Grant
from accel_ci.domain.pullrequest import PullRequest, Role
from accel_ci.domain.record import RunRecord
from accel_ci.domain.trigger import Nothing, Policy, Refusal, Request
from accel_ci.domain.verdict import EndRecord, Verdict
from accel_ci.formats import markup, output, redaction
from accel_ci.formats.redaction import Redactor
from accel_ci.operations import budget, follow, publish, reports
from accel_ci.render import story
from accel_ci.usecases import gate, run_remote
from accel_ci_sim.direct import adversary
from accel_ci_sim.direct.adversary_judge import SECRETS

Patch = Callable[[pytest.MonkeyPatch], None]


@dataclass(frozen=True)
class Mutant:
    """A bug, the rules of which one must break, and within how many worlds."""

    name: str
    patch: Patch
    rules: frozenset[str]
    within: int


BANK: list[Mutant] = []
SEED = 3


def _bug(name: str, *rules: str, within: int) -> Callable[[Patch], Patch]:
    def add(patch: Patch) -> Patch:
        BANK.append(Mutant(name, patch, frozenset(rules), within))
        return patch

    return add


def found_in(mutant: Mutant) -> tuple[int, str] | None:
    """How many worlds it took and which rule broke; None when none did. The mutant's patch must be in place."""
    for number in range(mutant.within):
        broken = {each.rule for each in adversary.run(SEED, [number]).found} & mutant.rules
        if broken:
            return number + 1, min(broken)
    return None


def _without(patch: pytest.MonkeyPatch, part: str) -> None:
    """trigger.refused, whose refusals that say `part` are left out."""
    honest = trigger.refused

    def refused(
        request: Request, policy: Policy, *, pull: PullRequest, role: Role, changed: Iterable[str]
    ) -> Refusal | None:
        found = honest(request, policy, pull=pull, role=role, changed=changed)
        return None if found and part in found.why else found

    patch.setattr(trigger, "refused", refused)


@_bug("the event's commit is taken for the live one", "I7-seen", within=300)
def _(patch: pytest.MonkeyPatch) -> None:
    _without(patch, "the code changed")
    honest = trigger.granted

    def granted(context: Context, request: Request, *, pull: PullRequest, evidence: str, now: float) -> Grant:
        there = replace(pull, head_sha=request.sha) if request.comment is None else pull
        return honest(context, request, pull=there, evidence=evidence, now=now)

    patch.setattr(trigger, "granted", granted)


@_bug("the newest commit is taken, whatever was named", "I7-seen", within=300)
def _(patch: pytest.MonkeyPatch) -> None:
    _without(patch, "that is not the newest commit")


@_bug("the role is not asked", "I7-asked", within=100)
def _(patch: pytest.MonkeyPatch) -> None:
    _without(patch, "may not write")


@_bug("who may read may label", "I7-asked", within=100)
def _(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Role, "may_write", property(lambda role: role is not Role.NONE))


@_bug("bots with write access may label", "I7-asked", within=200)
def _(patch: pytest.MonkeyPatch) -> None:
    honest = trigger.read

    def read(event: Mapping[str, Any], policy: Policy) -> Any:
        found = honest(event, policy)
        return replace(found, person=True) if isinstance(found, Request) else found

    patch.setattr(trigger, "read", read)


@_bug("any label counts while ours is there, whoever set it", "I7-asked", "label-used", within=1000)
def _(patch: pytest.MonkeyPatch) -> None:
    honest = trigger.read

    def read(event: Mapping[str, Any], policy: Policy) -> Any:
        if event.get("action") == "labeled" and policy.label in trigger._labels(event["pull_request"]):
            event = {**event, "label": {"name": policy.label}, "sender": {"login": "ada", "type": "User"}}
        return honest(event, policy)

    patch.setattr(trigger, "read", read)


@_bug("the label stays", "label-used", within=20)
def _(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(GitHubRest, "remove_label", lambda self, number, label: None)


@_bug("an approval of another commit counts", "I7-seen", within=300)
def _(patch: pytest.MonkeyPatch) -> None:
    def approvers(self: GitHubRest, number: int, sha: str) -> list[str]:
        reviews = self._calls.pages(f"/pulls/{number}/reviews", needs="")
        return [review["user"]["login"] for review in reviews]

    patch.setattr(GitHubRest, "approvers", approvers)


@_bug("a bot's approval counts", "I7-seen", within=1000)
def _(patch: pytest.MonkeyPatch) -> None:
    def approvers(self: GitHubRest, number: int, sha: str) -> list[str]:
        reviews = self._calls.pages(f"/pulls/{number}/reviews", needs="")
        return [review["user"]["login"] for review in reviews if review["commit_id"] == sha]

    patch.setattr(GitHubRest, "approvers", approvers)


@_bug("twelve digits name a commit", "I7-seen", within=1000)
def _(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Request, "named", property(lambda request: request.comment is not None and bool(request.sha)))


@_bug("no evidence is asked for", "I7-seen", within=300)
def _(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(gate, "_shown", lambda *args, **kwargs: "somebody set the label")


@_bug("any time is quiet enough", "I7-seen", within=1000)
def _(patch: pytest.MonkeyPatch) -> None:
    honest = evidence.of_push
    patch.setattr(
        evidence, "of_push", lambda request, push, *, head, quiet_s: honest(request, push, head=head, quiet_s=-1e9)
    )


@_bug("edited comments are obeyed", "I7-asked", within=300)
def _(patch: pytest.MonkeyPatch) -> None:
    honest = slash.read

    def read(event: Mapping[str, Any]) -> Any:
        return honest({**event, "action": "created"})

    patch.setattr(slash, "read", read)


@_bug("a comment's author is not its sender", "I7-asked", within=1000)
def _(patch: pytest.MonkeyPatch) -> None:
    honest = slash.read

    def read(event: Mapping[str, Any]) -> Any:
        found = honest(event)
        return found if isinstance(found, Nothing) else replace(found, actor="ada", person=True)

    patch.setattr(slash, "read", read)


@_bug("another app's check shows an earlier grant", "I7-seen", within=1000)
def _(patch: pytest.MonkeyPatch) -> None:
    def runs_of(self: GitHubRest, sha: str, name: str) -> list[dict[str, Any]]:
        return _by_id(self._calls.pages(f"/commits/{sha}/check-runs", needs="", under="check_runs", filter="all"))

    patch.setattr(GitHubRest, "_runs_of", runs_of)


@_bug("the day's runs are not counted", "budget", within=300)
def _(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(budget, "_beyond", lambda *args, **kwargs: None)


@_bug("a granted run has no line in the book", "budget", within=300)
def _(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(budget.Book, "write", lambda self, title: None)


def _unbound(patch: pytest.MonkeyPatch, **kept: bool) -> None:
    def checked(text: str, context: Context, *, now: float) -> Grant | None:
        if not text:
            raise errors.ConfigurationError("no grant", what_to_do="")
        found = Grant.model_validate_json(text)
        same_run = found.run_id == context.run_id or not kept.get("run", True)
        same_repository = found.repository_id == context.repository_id or not kept.get("repository", True)
        same_pull = found.pull_request == context.pull_request or not kept.get("pull", True)
        if not (same_run and same_repository and same_pull) or (now >= found.expires_at and kept.get("expiry", True)):
            raise errors.ConfigurationError("not good", what_to_do="")
        return found

    patch.setattr(grant, "checked", checked)


@_bug("a grant is good for every run", "I7-started", within=300)
def _(patch: pytest.MonkeyPatch) -> None:
    _unbound(patch, run=False)


@_bug("a grant of another repository is good", "I7-started", within=300)
def _(patch: pytest.MonkeyPatch) -> None:
    _unbound(patch, repository=False)


@_bug("a grant for another pull request is good", "I7-started", within=300)
def _(patch: pytest.MonkeyPatch) -> None:
    _unbound(patch, pull=False)


@_bug("a grant never ends", "I7-started", within=300)
def _(patch: pytest.MonkeyPatch) -> None:
    _unbound(patch, expiry=False)


@_bug("a run without a grant tests the job's own commit", "I7-started", within=300)
def _(patch: pytest.MonkeyPatch) -> None:
    honest = grant.checked
    patch.setattr(grant, "checked", lambda text, here, *, now: honest(text, here, now=now) if text else None)


@_bug("secrets go to forks", "I8-fork", within=50)
def _(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(plans, "secrets", lambda here, record, given, *, now, open_: plans.Secrets(values=given))


@_bug("nothing is hidden in output", "I8-sink", within=50)
def _(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(redaction.Redactor, "redact", lambda self, text: text)


@_bug("the kept log is not masked", "I8-sink", within=50)
def _(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(redaction.Masker, "feed", lambda self, data: data)


@_bug("the kept log hides no secret between colours", "I8-sink", within=50)
def _(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(redaction, "_bare", lambda text: (text, [(0, 0)]))


@_bug("reports are looked through before they are read, and not after", "I8-sink", within=50)
def _(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(reports, "_shown", lambda report, redactor: report)


@_bug("a file's name is looked at as it came", "I8-sink", within=50)
def _(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Redactor, "finds", Redactor._any_in)


@_bug("what a reader would put together is not hidden", "I8-sink", within=50)
def _(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Redactor, "hidden", Redactor.redact)


@_bug("what a machine says of an end is shown as it came", "I8-sink", within=100)
def _(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(follow, "_told", lambda state, detail: output.one_line(detail))


@_bug("why a run ended may quote the machine", "I8-sink", within=200)
def _(patch: pytest.MonkeyPatch) -> None:
    honest = run_remote._judge

    def judge(record: RunRecord, given: Verdict, reason: str) -> None:
        honest(
            record, given, f"{reason} ({' '.join(SECRETS.values())})" if "could not be fetched" in reason else reason
        )

    patch.setattr(run_remote, "_judge", judge)


@_bug("a name is shown without its code span", "markup", within=50)
def _(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(markup, "markdown", lambda text, limit=200: output.single(text)[:limit])


@_bug("a code block's fence is always three signs", "markup", within=50)
def _(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(markup, "_fence", lambda text, *, shortest: "`" * shortest)


@_bug("whatever looks like words is plain", "markup", within=100)
def _(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(story, "flat", lambda text: bool(story.FLAT.fullmatch(text)))


@_bug("output is shown as it came", "I8-command", within=50)
def _(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(output.Sanitizer, "feed", lambda self, data: data.decode(errors="replace"))


@_bug("the comment shows the record's environment", "I8-sink", within=50)
def _(patch: pytest.MonkeyPatch) -> None:
    honest = publish._check

    def told(record: RunRecord, *, name: str) -> Check:
        return replace(honest(record, name=name), text="HF_TOKEN=canary-7c1d9e42b8")

    patch.setattr(publish, "_check", told)


@_bug("a marker of others is taken for ours", "others", within=50)
def _(patch: pytest.MonkeyPatch) -> None:
    def ours(self: GitHubRest, found: Iterable[dict[str, Any]], marker: str) -> list[dict[str, Any]]:
        return _by_id(each for each in found if (each["body"] or "").startswith(_marked(marker, "")))

    patch.setattr(GitHubRest, "_ours", ours)


@_bug("every refusal is a new comment", "one-comment", within=50)
def _(patch: pytest.MonkeyPatch) -> None:
    def put(self: GitHubRest, number: int, marker: str, body: str) -> None:
        self._calls.post(f"/issues/{number}/comments", needs="", body={"body": _marked(marker, body)})

    patch.setattr(GitHubRest, "put_comment", put)


@_bug("an end record is believed without its nonce", "forged-pass", within=100)
def _(patch: pytest.MonkeyPatch) -> None:
    honest = verdict.of_worker

    def of_worker(record: EndRecord | None, *, key: str, nonce: str, phase: str) -> Verdict:
        return honest(record, key=key, nonce=record.nonce if record else nonce, phase=phase)

    patch.setattr(verdict, "of_worker", of_worker)


@_bug("gate refuses everybody", "live", within=100)
def _(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(gate, "_shown", lambda *args, **kwargs: "")
