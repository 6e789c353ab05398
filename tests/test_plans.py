"""What inputs mean for gate and report on GitHub."""

from __future__ import annotations

from dataclasses import replace

from accel_ci import plans
from accel_ci.inputs import models, parsing
from tests.usecases.worlds import HERE


def test_the_gates_policy_is_what_its_inputs_say() -> None:
    """Each input of gate reaches the decision."""
    given = {"label": "go", "branches": "main", "paths": "src/**", "drafts": "true", "label-lasts": "until-push"}
    policy = plans.policy(parsing.parse(models.GateInputs, given))
    assert (policy.label, policy.branches, policy.paths) == ("go", ("main",), ("src/**",))
    assert (policy.drafts, policy.until_push, policy.skip_words) == (True, True, ("[skip accel-ci]",))


def test_a_run_that_left_nothing_is_about_the_pull_requests_commit() -> None:
    """Where provision never began, report looks for the check on the pull request's commit, not on the base branch's."""
    event = replace(HERE, event="pull_request_target", head_sha="c" * 40, pull_request=5)
    assert plans.nothing(event, slot="", now=0.0).identity.sha == "c" * 40
    assert plans.nothing(HERE, slot="", now=0.0).identity.sha == HERE.sha


def test_how_a_run_is_shown() -> None:
    """The matrix's size and the workflow come from the job, the rest from the inputs."""
    how = plans.publication(replace(HERE, siblings=4, workflow="Nightly"), name="tpu", failure_issue=False)
    assert (how.check, how.siblings, how.workflow, how.failure_issue) == ("tpu", 4, "Nightly", False)
