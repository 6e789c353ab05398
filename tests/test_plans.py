"""What inputs mean for gate and report on GitHub."""

from __future__ import annotations

from dataclasses import replace

import pytest

from accel_ci import plans
from accel_ci.domain import context
from accel_ci.domain.errors import ConfigurationError
from accel_ci.domain.grant import Grant, Trust
from accel_ci.domain.record import RunRecord
from accel_ci.domain.workload import CommitSource, WorkspaceSource
from accel_ci.inputs import models, parsing
from tests.usecases.worlds import HERE


def test_the_gates_policy_is_what_its_inputs_say() -> None:
    """Each input of gate reaches the decision."""
    given = {"label": "go", "branches": "main", "paths": "src/**", "drafts": "true", "label-lasts": "until-push"}
    policy = plans.policy(parsing.parse(models.GateInputs, given))
    assert (policy.label, policy.branches, policy.paths) == ("go", ("main",), ("src/**",))
    assert (policy.drafts, policy.until_push, policy.skip_words) == (True, True, ("[skip accel-ci]",))


GRANT = Grant(
    repository_id=HERE.repository_id, run_id=HERE.run_id, sha="d" * 40, trust=Trust.FORK, actor="eve", evidence="label",
    expires_at=1,
)  # fmt: skip


def test_a_run_that_left_nothing_is_about_the_granted_commit() -> None:
    """Where provision never began, the check is looked for on the granted commit, else on the pull request's.

    The commit of a job that an issue's comment started is the base branch's: then there is none to speak of.
    """
    labelled = replace(HERE, event="pull_request_target", head_sha="c" * 40, pull_request=5)
    commented = replace(HERE, event="issue_comment")
    found = [plans.nothing(labelled, GRANT, slot="", now=0.0), plans.nothing(labelled, None, slot="", now=0.0)]
    found += [plans.nothing(commented, None, slot="", now=0.0), plans.nothing(HERE, None, slot="", now=0.0)]
    assert [record.identity.sha for record in found] == ["d" * 40, "c" * 40, "", HERE.sha]
    assert found[0].identity.trust == "fork"


def test_how_a_run_is_shown() -> None:
    """The matrix's size and the workflow come from the job, the rest from the inputs."""
    how = plans.publication(replace(HERE, siblings=4, workflow="Nightly"), name="tpu", failure_issue=False)
    assert (how.check, how.siblings, how.workflow, how.failure_issue) == ("tpu", 4, "Nightly", False)


@pytest.mark.parametrize("option", ["machine-account=ci@p.iam.gserviceaccount.com", "sudo=true"])
def test_what_only_our_own_code_may_have(option: str) -> None:
    """A fork's machine has no account of its own and no sudo, whatever the workflow says; a trusted commit's may."""
    inputs = parsing.parse(models.ProvisionInputs, {"accelerator": "v6e-1", "options": option})
    with pytest.raises(ConfigurationError, match=option.split("=")[0]):
        plans.order(inputs, plans.begun(HERE, inputs, GRANT, now=0.0))
    trusted = GRANT.model_copy(update={"trust": Trust.TRUSTED})
    for permission in (trusted, None):
        assert plans.order(inputs, plans.begun(HERE, inputs, permission, now=0.0)).spec.options


@pytest.mark.parametrize("given", [{"accelerator": "local"}, {"backend": "local", "accelerator": "local-2"}])
def test_a_stranger_does_not_run_beside_us(given: dict[str, str]) -> None:
    """On the runner itself a fork's code could read the job's token: only where somebody says that there is none."""
    inputs = parsing.parse(models.ProvisionInputs, given)
    with pytest.raises(ConfigurationError, match="beside the job's credentials"):
        plans.order(inputs, plans.begun(HERE, inputs, GRANT, now=0.0))
    assert plans.order(inputs, plans.begun(HERE, inputs, GRANT, now=0.0), forks_here=True).spec.backend == "local"
    assert plans.order(inputs, plans.begun(HERE, inputs, None, now=0.0)).spec.backend == "local"


def test_a_stranger_may_be_told_that_there_is_no_sudo() -> None:
    """`sudo=false` is the default said aloud."""
    inputs = parsing.parse(models.ProvisionInputs, {"accelerator": "v6e-1", "options": "sudo=false"})
    assert plans.order(inputs, plans.begun(HERE, inputs, GRANT, now=0.0)).ttl_s == 2700.0


def _begun(permission: Grant | None, *, pull_request: int | None = 5, options: str = "") -> RunRecord:
    inputs = parsing.parse(models.ProvisionInputs, {"accelerator": "v6e-1", "options": options})
    return plans.begun(replace(HERE, pull_request=pull_request), inputs, permission, now=0.0)


def test_a_merge_is_of_what_the_grant_names() -> None:
    """Commit and base of the grant, for forks too; without a pull request nothing is merged, and the commit is tested."""
    granted = GRANT.model_copy(update={"base_sha": "b" * 40})
    source = plans.source(HERE, _begun(granted), wanted="merge", directory=".")
    assert isinstance(source, CommitSource) and (source.sha, source.base) == ("d" * 40, "b" * 40)
    alone = plans.source(HERE, _begun(granted), wanted="commit", directory=".")
    assert isinstance(alone, CommitSource) and alone.base == ""
    nightly = plans.source(HERE, _begun(None, pull_request=None), wanted="merge", directory=".")
    assert isinstance(nightly, CommitSource) and (nightly.sha, nightly.base) == (HERE.sha, "")


def test_a_grant_without_a_base_merges_nothing() -> None:
    """A pull request's merge needs the base that gate pinned: no later event and no moving ref stands in for it."""
    with pytest.raises(ConfigurationError, match="names no base"):
        plans.source(HERE, _begun(GRANT), wanted="merge", directory=".")


def test_the_record_knows_that_sudo_was_ordered() -> None:
    """What the machine's user may do then surprises nobody."""
    assert _begun(None, options="sudo=true").target.sudo
    assert not _begun(None, options="sudo=false").target.sudo and not _begun(None).target.sudo


def test_at_a_terminal_there_is_no_commit_to_send() -> None:
    """Outside GitHub Actions a run has none: what is sent there is told, and no SHA asked for."""
    here = context.of_terminal(directory="/project", user="me", now=0.0, token="0" * 32)
    inputs = parsing.parse(models.ProvisionInputs, {"backend": "local"})
    record = plans.begun(here, inputs, None, now=0.0)
    with pytest.raises(ConfigurationError, match="no commit to send"):
        plans.source(here, record, wanted="commit", directory="/project")
    assert isinstance(plans.source(here, record, wanted="auto", directory="/project"), WorkspaceSource)
