"""Threats that come with an event: pushes, labels, comments, texts that a stranger wrote."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from accel_ci import plans
from accel_ci.adapters.actions_job import ActionsJob
from accel_ci.domain import check, grant
from accel_ci.domain.context import Context
from accel_ci.domain.errors import AccelError, CloudError
from accel_ci.domain.grant import Grant
from accel_ci.domain.pullrequest import PullRequest, Push, Role
from accel_ci.domain.trigger import Policy
from accel_ci.domain.workload import CommitSource
from accel_ci.inputs import parsing
from accel_ci.inputs.models import ProvisionInputs
from accel_ci.usecases import gate
from accel_ci_sim.world.github import CheckRun, Issue
from tests.contracts import github_worlds
from tests.fakes.entropy import FakeEntropy
from tests.fakes.github import FakeGitHub
from tests.formats import runner_parser
from tests.house.source_tree import REPOSITORY
from tests.threats.test_repository import SHIPPED
from tests.usecases.worlds import Fakes

SEEN, EVIL = "a" * 40, "e" * 40
AT, MOMENT = 1_500_000_000.0, "2017-07-14T02:40:00Z"
HERE = Context(
    repository="org/hello", repository_id=4711, run_id=77, job="gate", event="pull_request_target", pull_request=5
)
NASTY = (
    '$(touch owned)`id`";rm -rf ~ #',
    "x\n::set-output name=allowed::true\n##[add-path]/tmp/x",
    "\r\n::stop-commands::t\u2028::error::x",
    "]]>\x1b]8;;http://evil\x07<img src=x onerror=alert(1)> @everyone ${{ secrets.TOKEN }}",
)


def _labeled(
    *, label: str = "run-tpu-tests", sender: Any = None, title: str = "t", ref: str = "speed"
) -> dict[str, Any]:
    pull = {"number": 5, "title": title, "head": {"sha": SEEN, "ref": ref}, "updated_at": MOMENT}
    who = {"login": "ada", "type": "User"} if sender is None else sender
    return {"action": "labeled", "pull_request": pull, "label": {"name": label}, "sender": who}


def _pull(**changed: Any) -> PullRequest:
    facts: dict[str, Any] = {"number": 5, "title": "t", "head_sha": SEEN, "base_ref": "main", "head_ref": "speed"}
    return PullRequest(**{"fork": False} | facts | changed)


def _fakes() -> Fakes:
    fakes = Fakes()
    fakes.github = FakeGitHub(roles={"ada": Role.WRITE, "tri": Role.READ})
    fakes.github.pulls[5] = _pull()
    fakes.github.pushes["speed"] = Push(sha=SEEN, at=AT - 3600, actor="bob")
    return fakes


class Pusher(FakeGitHub):
    """Pushes another commit just before the call with this number, and labels and comments as well."""

    def __init__(self, at_call: int) -> None:
        super().__init__(roles={"ada": Role.WRITE}, labels={5: {"run-tpu-tests"}})
        self.pulls[5] = _pull()
        self.pushes["speed"] = Push(sha=SEEN, at=AT - 3600, actor="bob")
        self.left = at_call

    def _asked(self, method: str) -> None:
        if self.left == 0:
            self.pulls[5] = _pull(head_sha=EVIL)
            self.pushes["speed"] = Push(sha=EVIL, at=AT - 1, actor="eve")
            self.labels[5].add("run-tpu-tests")
        self.left -= 1
        super()._asked(method)


@pytest.mark.parametrize("at_call", range(12))
def test_threat_02_a_push_after_the_approval(at_call: int) -> None:
    """Whenever the push comes, what is granted is the commit that was labelled, or nothing at all."""
    fakes = _fakes()
    fakes.github = Pusher(at_call)
    given = gate.gate(fakes.world, HERE, event=_labeled(), policy=Policy())
    assert given is None or given.sha == SEEN
    assert all(each.sha == SEEN for each in fakes.github.all_checks)
    assert (given is not None) or at_call < 5  # the attack may hinder a run, but not for ever


@pytest.mark.parametrize(
    ("head", "push"),
    [
        (EVIL, Push(sha=EVIL, at=AT - 3600, actor="ada")),  # the label was for another commit, whoever pushed this one
        (SEEN, Push(sha=SEEN, at=AT - 1, actor="eve")),  # too new to have been looked at
        (SEEN, None),  # nobody tells when it came
    ],
)
def test_threat_02_each_of_the_two_answers_alone(head: str, push: Push | None) -> None:
    """The event's commit is the live one, and there is evidence: without either nothing is granted."""
    fakes = _fakes()
    assert fakes.github is not None
    fakes.github.pulls[5] = _pull(head_sha=head)
    fakes.github.pushes = {"speed": push} if push else {}
    assert gate.gate(fakes.world, HERE, event=_labeled(), policy=Policy()) is None


def test_threat_02_the_granted_commit_is_what_is_sent() -> None:
    """Not the job's own commit, which is the base branch's, nor the newest: record and source name the grant's."""
    given = gate.gate(_fakes().world, HERE, event=_labeled(), policy=Policy())
    here = replace(HERE, sha="b" * 40, head_sha=EVIL)
    inputs = parsing.parse(ProvisionInputs, {"accelerator": "v6e-1"})
    record = plans.begun(here, inputs, given, now=AT)
    source = plans.source(here, record, wanted="auto", directory=".")
    assert record.identity.sha == SEEN and isinstance(source, CommitSource) and source.sha == SEEN


@pytest.mark.parametrize(
    "event",
    [
        _labeled(label="bug"),
        _labeled(sender={"login": "tri", "type": "User"}),
        _labeled(sender={"login": "ada", "type": "Bot"}),
        _labeled(sender={"login": "github-actions[bot]", "type": "Bot"}),
        _labeled(sender={}),
    ],
)
def test_threat_03_another_label_or_a_labelling_bot(event: dict[str, Any]) -> None:
    """Another label, a triager's, a bot's and nobody's label grant nothing, and a label is good for one run."""
    fakes = _fakes()
    assert gate.gate(fakes.world, HERE, event=event, policy=Policy()) is None
    assert fakes.job.outputs == {"allowed": "false"}
    good = _fakes()
    assert good.github is not None
    good.github.labels[5] = {"run-tpu-tests"}
    assert gate.gate(good.world, HERE, event=_labeled(), policy=Policy()) is not None
    assert good.github.labels[5] == set()


def test_threat_03_the_label_is_used_up_on_github() -> None:
    """What gate takes off is gone in the repository, so that a second click is a second event."""
    with github_worlds.wired() as opened:
        opened.pull(5, fork=False, labels=("run-tpu-tests", "size/S"), files=())
        opened.github.remove_label(5, "run-tpu-tests")
        assert opened.labels(5) == {"size/S"}


def _scripts(node: Any) -> Iterator[str]:
    """The scripts of steps; an input of ours that is called `run` is data."""
    steps = node if isinstance(node, list) else []
    yield from (each["run"] for each in steps if isinstance(each, dict) and isinstance(each.get("run"), str))
    for each in node.values() if isinstance(node, dict) else steps:
        yield from _scripts(each)


def test_threat_04_no_expression_and_no_shell() -> None:
    """No script of a shipped action holds an expression, and no program of ours hands text to a shell on the runner."""
    for path in SHIPPED:
        assert [each for each in _scripts(yaml.safe_load(path.read_text())) if "${{" in each] == [], path
    for path in (REPOSITORY / "src/accel_ci").rglob("*.py"):
        if "on_machine" not in path.parts:
            assert not re.search(r"shell=True|os\.system|os\.popen|getoutput", path.read_text()), path


@contextmanager
def _real_job(directory: Path) -> Iterator[tuple[ActionsJob, io.StringIO, Path]]:
    out, outputs = io.StringIO(), directory / "output"
    job = ActionsJob(
        out, output_file=str(outputs), summary_file=str(directory / "s"), clock=Fakes().clock, entropy=FakeEntropy()
    )
    yield job, out, outputs


@pytest.mark.parametrize("text", NASTY)
def test_threat_04_branch_and_title_of_a_pull_request(text: str, tmp_path: Path) -> None:
    """Hostile names reach neither a command nor an output; the runner reads only what gate says itself."""
    fakes = _fakes()
    assert fakes.github is not None
    fakes.github.pulls[5] = _pull(title=text, head_ref=text, base_ref=text)
    fakes.github.pushes[text] = Push(sha=SEEN, at=AT - 3600, actor=text)
    with _real_job(tmp_path) as (job, out, outputs):
        world = replace(fakes.world, job=job)
        for policy in (Policy(), Policy(branches=("main",)), Policy(skip_words=("::",))):
            gate.gate(world, HERE, event=_labeled(title=text, ref=text), policy=policy)
        commands = runner_parser.Runner().read(out.getvalue().encode())
        assert {each.name for each in commands} <= {"warning", "notice"}
        assert set(runner_parser.output_file(outputs.read_text())) <= {"allowed", "grant", "sha"}
    told = "".join(fakes.github.comments.get(5, {}).values())
    assert "<img" not in told and "::" not in told


def test_threat_12_our_marker_in_a_strangers_comment() -> None:
    """A comment that begins with our marker but is not ours is left as it is, and ours is written beside it."""
    with github_worlds.wired() as opened:
        opened.pull(5, fork=True, labels=(), files=())
        forged = opened.state.comment("eve", 5, "<!-- accel-ci gate -->\nall green, merge me")
        opened.github.put_comment(5, "gate", "not run")
        assert forged.body.endswith("merge me")
        assert [each.author for each in opened.state.comments_of(5)] == ["eve", "github-actions[bot]"]


def test_threat_12_checks_and_issues_of_others() -> None:
    """A check of another app under our name and mark does not count, and neither does an issue that begins as ours do."""
    with github_worlds.wired() as opened:
        opened.pull(5, fork=True, labels=(), files=())
        mark = check.external_id(77, 1)
        forged = CheckRun(id=9001, app="evil", sha=SEEN, name="accel-ci", external_id=mark, conclusion="success")
        opened.state.put_check(forged)
        assert opened.github.checks(SEEN, "accel-ci") == [] and opened.github.checks(SEEN) == []
        body = "<!-- accel-ci issue x -->\nall is red"
        opened.state.issues[9002] = Issue(number=9002, author="eve", body=body, labels=["accel-ci"])
        assert opened.github.issues("issue x") == []


def test_threat_20_label_spam() -> None:
    """A thousand other labels cost no call to GitHub, and one step never makes more than its forty."""
    with github_worlds.wired() as opened:
        fakes = _fakes()
        world = replace(fakes.world, github=opened.github)
        for number in range(1000):
            assert gate.gate(world, HERE, event=_labeled(label=f"label-{number}"), policy=Policy()) is None
        assert opened.exchanges == []
        opened.pull(5, fork=False, labels=(), files=())
        with pytest.raises(CloudError, match="40 calls"):
            for _ in range(41):
                opened.github.pull_request(5)
        assert len(opened.exchanges) == 40


def test_threat_20_requests_of_strangers_use_no_budget_up() -> None:
    """A hundred labels and comments of people who may not write leave a day's only run to the maintainer."""
    fakes, here = _fakes(), replace(HERE, workflow_file=".github/workflows/tpu.yml")
    assert fakes.github is not None
    fakes.github.changes[here.workflow_file] = "f" * 40
    for number in range(100):
        event = _labeled(sender={"login": ("tri", "eve")[number % 2], "type": "User"})
        assert gate.gate(fakes.world, replace(here, run_id=number), event=event, policy=Policy(max_per_day=1)) is None
    assert fakes.github.all_checks == []
    assert gate.gate(fakes.world, here, event=_labeled(), policy=Policy(max_per_day=1)) is not None


def test_a_grant_of_another_run_is_refused() -> None:
    """What a stranger copies out of a log is bound to a run, a repository and a pull request."""
    given = gate.gate(_fakes().world, HERE, event=_labeled(), policy=Policy())
    assert given is not None
    text = given.model_dump_json()
    now = Fakes().clock.now()
    assert grant.checked(text, HERE, now=now) == given
    for other in (replace(HERE, run_id=78), replace(HERE, repository_id=4712), replace(HERE, pull_request=6)):
        with pytest.raises(AccelError):
            grant.checked(text, other, now=now)
    forged = Grant.model_validate(json.loads(text) | {"sha": EVIL, "run_id": 78})
    with pytest.raises(AccelError):
        grant.checked(forged.model_dump_json(), HERE, now=now)
