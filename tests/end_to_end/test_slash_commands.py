"""Comments on a pull request, in a real runner: what a maintainer may say there, and what nobody else may."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import pytest

from accel_ci.domain import check
from accel_ci_sim.world import github as world
from accel_ci_sim.world.github import BOT
from tests.contracts.github_worlds import Wired
from tests.end_to_end import runner as runners
from tests.end_to_end.runner import Runner
from tests.end_to_end.test_shipped_workflows import _living, _variables
from tests.end_to_end.test_shipped_workflows import cloud_of_all as cloud_of_all
from tests.end_to_end.test_shipped_workflows import github as github
from tests.servers.simulator import SimulatorProcess
from tests.wire.github import description

pytestmark = [pytest.mark.judge("ssh"), pytest.mark.judge("node")]
EVENT = description.event("issue_comment.created")
NUMBER, MAINTAINER = EVENT["issue"]["number"], "Codertocat"
COMPOSED = (runners.ROOT / "examples/workflows/pr-label-composed.yml").read_text(encoding="utf-8")
SHORT = (runners.ROOT / "examples/workflows/pr-label.yml").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Conversation:
    """A fork's pull request, whose commit is the repository's newest, and the workflow that listens to comments."""

    runner: Runner
    github: Wired
    cloud: SimulatorProcess

    def said(
        self, body: str, *, who: str = MAINTAINER, workflow: str = COMPOSED, run: int = 77
    ) -> tuple[Any, list[str]]:
        """The whole run that a comment starts, and the reactions that the comment has then."""
        new = self.github.state.comment(who, NUMBER, body)
        event = copy.deepcopy(EVENT)
        event["comment"] |= {"id": new.id, "body": body}
        event["sender"]["login"] = event["comment"]["user"]["login"] = who
        event["issue"]["pull_request"] = {}  # how GitHub tells a pull request's comment from an issue's
        given = _variables(self.runner, self.github, self.cloud) | {"GITHUB_RUN_ID": str(run)}
        done = self.runner.act(workflow, event="issue_comment", payload=event, **given)
        return done, [content for _, content in self.github.state.comments[new.id].reactions]

    @property
    def ours(self) -> list[str]:
        """Our comments on the pull request."""
        return [each.body for each in self.github.state.comments_of(NUMBER) if each.author == BOT]


@pytest.fixture
def talk(runner: Runner, github: Wired, cloud: SimulatorProcess) -> Conversation:
    """Nobody has said anything yet."""
    github.state.add_pull(NUMBER, head_sha=runner.sha, fork=True)
    return Conversation(runner, github, cloud)


def test_a_maintainer_runs_a_forks_commit_and_runs_it_again(talk: Conversation) -> None:
    """`run <sha>` and then `rerun`: a rocket each, one comment with the counts, two checks, no machine left."""
    done, reactions = talk.said(f"/accel-ci run {talk.runner.sha}\n\nlooks good")
    assert runners.results(done) == {"gate": "success", "tpu": "failure", "cleanup": "success"}, runners.told(done)
    (record,) = talk.runner.kept()
    assert (record.identity.trust, record.identity.sha, reactions) == ("fork", talk.runner.sha, ["rocket"])
    assert record.machine is not None and record.machine.accelerator == "v6e-1"
    listens = SHORT.replace("  workflow_dispatch:\n", "  workflow_dispatch:\n  issue_comment: {types: [created]}\n")
    done, reactions = talk.said("/accel-ci rerun", workflow=listens, run=78)
    assert runners.results(done) == {"gate": "success", "test": "failure", "cleanup": "success"}, runners.told(done)
    assert reactions == ["rocket"] and "it was granted before" in done.stdout
    (comment,) = talk.ours
    assert "test_fail" in comment and "| 1 | 1 | 1 | 3 |" in comment
    ended = [each for each in talk.github.state.checks.values() if each.sha == talk.runner.sha]
    assert [(each.external_id, each.conclusion) for each in ended] == [
        ("accel-ci:77:1", "failure"),
        ("accel-ci:78:1", "failure"),
    ]
    assert len({each.identity.name for each in talk.runner.kept()}) == 2 and _living(talk.cloud) == []


def test_a_budget_that_is_used_up(talk: Conversation) -> None:
    """The second run of a day that may have one: refused in a comment that says when and by whom, and nothing is leased."""
    workflow = COMPOSED.replace("max-per-day: 50", "max-per-day: 1")
    done, _ = talk.said("/accel-ci run", workflow=workflow)
    assert "looked at" in talk.ours[0] and talk.github.state.checks == {}, runners.told(done)
    done, reactions = talk.said(f"/accel-ci run {talk.runner.sha}", workflow=workflow, run=78)
    assert runners.results(done)["tpu"] == "failure" and reactions == ["rocket"], runners.told(done)
    before = len(talk.cloud.machines())
    done, reactions = talk.said(f"/accel-ci run {talk.runner.sha}", workflow=workflow, run=79)
    assert (runners.results(done), reactions) == ({"gate": "success"}, ["-1"]), runners.told(done)
    (refusal,) = (each for each in talk.ours if "budget of 1 runs a day is used up" in each)
    assert "00:00 UTC" in refusal and "raise `max-per-day`" in refusal and len(talk.ours) == 2
    assert len(talk.cloud.machines()) == before
    (line,) = (each for each in talk.github.state.checks.values() if each.sha == "f" * 40)
    assert (line.external_id, line.output["title"]) == ("accel-ci:78:1", f"#{NUMBER} by {MAINTAINER}")


def test_what_needs_no_machine(talk: Conversation) -> None:
    """A triager is refused, help is told, cancel ends the run of the newest commit: one comment, and nothing is leased."""
    talk.github.state.collaborators["trent"] = "triage"
    before = len(talk.cloud.machines())
    done, reactions = talk.said(f"/accel-ci run {talk.runner.sha}", who="trent")
    assert (runners.results(done), reactions) == ({"gate": "success"}, ["-1"]), runners.told(done)
    assert "may not write to this repository" in talk.ours[0]
    done, reactions = talk.said("/accel-ci help")
    assert (runners.results(done), reactions) == ({"gate": "success"}, ["eyes"]), runners.told(done)
    assert all(f"`/accel-ci {verb}" in talk.ours[0] for verb in ("run", "rerun", "cancel", "help"))
    talk.github.state.runs[70] = world.Run(id=70, status="in_progress")
    talk.github.state.put_check(
        world.CheckRun(
            id=1,
            app=BOT.removesuffix("[bot]"),
            sha=talk.runner.sha,
            name=check.NAME,
            external_id=check.external_id(70, 1),
            status="in_progress",
        )
    )
    done, reactions = talk.said("/accel-ci cancel")
    assert (runners.results(done), reactions) == ({"gate": "success"}, ["rocket"]), runners.told(done)
    assert (talk.github.state.runs[70].conclusion, len(talk.ours)) == ("cancelled", 1)
    assert len(talk.cloud.machines()) == before
