"""Where we run."""

from __future__ import annotations

import pytest

from accel_ci.domain import context, errors, lease

ENVIRON = {
    "GITHUB_REPOSITORY": "org/hello",
    "GITHUB_REPOSITORY_ID": "4711",
    "GITHUB_RUN_ID": "77",
    "GITHUB_RUN_ATTEMPT": "2",
    "GITHUB_JOB": "tpu",
    "GITHUB_EVENT_NAME": "schedule",
    "GITHUB_SHA": "a" * 40,
    "GITHUB_REF": "refs/heads/main",
    "GITHUB_ACTOR": "octocat",
}


def test_a_github_job_is_read_from_its_variables() -> None:
    """Repository, run, attempt, job and commit make the run key and the link to the run."""
    found = context.of_github(ENVIRON, {})
    key = found.key(slot="second")
    assert (key.repository_id, key.run_id, key.attempt, key.job, key.slot) == (4711, 77, 2, "tpu", "second")
    assert found.run_url == "https://github.com/org/hello/actions/runs/77"
    assert found.on_github


@pytest.mark.parametrize(
    ("reference", "path"),
    [
        ("org/hello/.github/workflows/tpu.yml@refs/heads/main", ".github/workflows/tpu.yml"),
        ("org/hello/.github/workflows/tpu.yml@refs/pull/5/merge@x", ".github/workflows/tpu.yml"),
        ("org/rules/.github/workflows/tpu.yml@refs/heads/main", ""),
        ("org/hello-2/.github/workflows/tpu.yml@refs/heads/main", ""),
        ("", ""),
    ],
)
def test_the_workflows_file_is_one_of_this_repository(reference: str, path: str) -> None:
    """An organisation's rule may start a workflow of another repository, whose commits are not ours to write on."""
    assert context.of_github(ENVIRON | {"GITHUB_WORKFLOW_REF": reference}, {}).workflow_file == path


def test_matrix_siblings_have_different_keys() -> None:
    """The matrix values and the index make the instance; no matrix makes none."""
    legs = [
        context.of_github(ENVIRON | {"ACCEL_CI_MATRIX": matrix, "ACCEL_CI_STRATEGY": strategy}, {}).key().name
        for matrix, strategy in (
            ('{"type": "v6e-1"}', '{"job-index": 0}'),
            ('{"type": "v6e-8"}', '{"job-index": 1}'),
            ("null", '{"job-index": 0}'),
        )
    ]
    assert len(set(legs)) == 3
    assert context.of_github(ENVIRON | {"ACCEL_CI_MATRIX": "null"}, {}).instance == ""


def test_calls_of_a_reusable_workflow_have_different_keys() -> None:
    """A called job is told apart from another call's of the same id by what was called with, in every attempt alike."""
    calls = ['{"accelerator": "v6e-1"}', '{"accelerator": "l4-1"}', ""]
    found = [context.of_github(ENVIRON | {"ACCEL_CI_CALL": call}, {}) for call in calls]
    assert len({each.key().name for each in found}) == 3
    assert found[0].key() == context.of_github(ENVIRON | {"ACCEL_CI_CALL": calls[0]}, {}).key()
    assert [each.job_of("test") == "test" for each in found] == [False, False, True]
    assert found[0].job_of("test") == found[0].job_of("test") != found[1].job_of("test")


def test_a_cleanup_job_finds_its_own_calls_machines() -> None:
    """The cleanup job of a call computes the digest that the testing job of that call put on its machine."""
    call = {"ACCEL_CI_CALL": "{}", "GITHUB_JOB": "test"}
    leased = context.of_github(ENVIRON | call, {}).key()
    elsewhere = context.of_github(ENVIRON | call | {"GITHUB_JOB": "cleanup"}, {})
    assert lease.of_run(elsewhere.key(), jobs=(elsewhere.job_of("test"),)).jobs == frozenset((leased.job_digest,))


def test_missing_variables_are_all_named() -> None:
    """A broken environment names everything that lacks, at once."""
    with pytest.raises(errors.ConfigurationError, match="GITHUB_REPOSITORY, GITHUB_RUN_ID, GITHUB_JOB"):
        context.of_github({"GITHUB_EVENT_NAME": "push"}, {})


def test_a_run_id_that_is_no_number_is_refused() -> None:
    """Numbers are checked before they become part of a name."""
    with pytest.raises(errors.ConfigurationError, match="GITHUB_RUN_ID is not a number"):
        context.of_github(ENVIRON | {"GITHUB_RUN_ID": "7; rm"}, {})


def test_the_pull_request_comes_from_the_event() -> None:
    """A pull request's number is read from the event file; nonsense there is ignored."""
    assert context.of_github(ENVIRON, {"pull_request": {"number": 12}}).pull_request == 12
    assert context.of_github(ENVIRON, {"pull_request": "12"}).pull_request is None


def test_two_terminal_runs_never_share_a_name() -> None:
    """The random token keeps two runs of the same second in the same directory apart."""
    one, two = (
        context.of_terminal(directory="/tmp/x", user="me", now=5.0, token=token) for token in ("a" * 32, "b" * 32)
    )
    assert one.key().name != two.key().name
    assert one.repository_id == two.repository_id
    assert not one.on_github


def test_a_pull_request_and_a_matrix() -> None:
    """The number and commit of the pull request, the workflow's name and how many jobs the matrix has are known."""
    environ = ENVIRON | {"GITHUB_WORKFLOW": "Tests", "ACCEL_CI_STRATEGY": '{"job-index": 1, "job-total": 4}'}
    here = context.of_github(environ, {"pull_request": {"number": 5, "head": {"sha": "c" * 40}}})
    assert (here.pull_request, here.head_sha, here.workflow, here.siblings) == (5, "c" * 40, "Tests", 4)


@pytest.mark.parametrize("event", [{}, {"pull_request": None}, {"pull_request": {"head": 1}}, {"pull_request": []}])
def test_an_event_without_a_pull_request(event: dict[str, object]) -> None:
    """Whatever shape the event has, there is no pull request, no commit of one, and the job stands alone."""
    here = context.of_github(ENVIRON | {"ACCEL_CI_STRATEGY": '{"job-total": "x"}'}, event)
    assert (here.pull_request, here.head_sha, here.siblings) == (None, "", 1)
