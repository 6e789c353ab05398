"""Run on the RFC's workflows, doctor finds each thing that went wrong with them, at its place."""

from __future__ import annotations

import pytest

from accel_ci.doctor import examine
from tests.doctor import seed


def _places(text: str, rule: str) -> list[str]:
    return [place for place, _ in seed.found(text, rule)]


def _begin(text: str, rule: str, *begins: str) -> None:
    places = _places(text, rule)
    assert len(places) == len(begins), places
    assert all(place.startswith(begin) for place, begin in zip(places, begins, strict=True)), places


def test_any_label_starts_it_again() -> None:
    """The condition asks for the pull request's labels, so that a size label runs code nobody looked at."""
    _begin(seed.PULL_REQUEST, "any-label", "if: contains(github.event.pull_request.labels")


def test_a_skipped_job_satisfies_a_required_check() -> None:
    """Without the label the job is skipped, which is green."""
    _begin(seed.PULL_REQUEST, "skipped-is-green", "if: contains(")


def test_forks_have_no_secrets() -> None:
    """On `pull_request` the key is missing for a fork's pull request."""
    _begin(seed.PULL_REQUEST, "no-secrets-for-forks", "check-label:")
    assert _places(seed.NIGHTLY, "no-secrets-for-forks") == []


@pytest.mark.parametrize("text", [seed.NIGHTLY, seed.PULL_REQUEST])
def test_a_lost_runner_leaks(text: str) -> None:
    """Create and delete stand in one job only, which a cancel or a lost runner ends before the delete."""
    assert len(_places(text, "no-second-defence")) == 1


@pytest.mark.parametrize("text", [seed.NIGHTLY, seed.PULL_REQUEST])
def test_a_failed_delete_is_hidden(text: str) -> None:
    """`|| true` behind the delete."""
    _begin(text, "hidden-failure-of-delete", "gcloud compute tpus tpu-vm delete")


def test_a_second_attempt_meets_the_first_ones_machine() -> None:
    """The name has the run's id and not the attempt."""
    _begin(seed.NIGHTLY, "name-clash-on-rerun", "TPU_NAME: ci-tpu-${{ github.run_id }}")


def test_a_key_lies_in_a_secret() -> None:
    """The service account's JSON key is a secret of the repository."""
    _begin(seed.NIGHTLY, "key-in-a-secret", "credentials_json: ")


def test_nobody_is_told_of_a_timeout() -> None:
    """`failure()` is false when the job runs into its 20 minutes."""
    _begin(seed.NIGHTLY, "failure-blind-to-cancel", "if: failure()")


def test_each_night_opens_an_issue() -> None:
    """Another issue each red night, none closed."""
    _begin(seed.NIGHTLY, "new-issue-every-night", "name: Report failure")


def test_remote_output_commands_the_runner() -> None:
    """What the machine prints reaches the log, and so the runner, as it is."""
    assert len(_places(seed.NIGHTLY, "commands-in-remote-output")) == 1


def test_the_output_of_failing_tests_is_lost() -> None:
    """`bash -e` ends the script at the redirect, before `cat`."""
    _begin(seed.NIGHTLY, "output-lost-on-failure", 'tpu_ssh "cd ~/code')


def test_the_verdict_is_a_word() -> None:
    """`grep -q OK` takes a failing test_lookOKup for a pass."""
    _begin(seed.NIGHTLY, "verdict-by-grep", 'grep -q "OK"')


def test_a_pause_stands_for_readiness() -> None:
    """`sleep 30` after the create."""
    _begin(seed.NIGHTLY, "sleep-for-readiness", "sleep 30")


def test_one_zone_is_tried_once() -> None:
    """No other zone, no second try: no capacity and a preemption look like failed tests."""
    _begin(seed.NIGHTLY, "one-zone-one-try", "gcloud compute tpus tpu-vm create")


def test_only_a_pass_is_told_and_each_time_anew() -> None:
    """A comment on success only, another one at each run."""
    assert len(_places(seed.PULL_REQUEST, "only-success-is-told")) == 1
    assert len(_places(seed.PULL_REQUEST, "new-comment-every-run")) == 1


def test_the_performance_check_cannot_fail() -> None:
    """The file is not on the runner: `jq` gives nothing, `bc` an error, the condition is false and the step green."""
    _begin(seed.PERFORMANCE, "check-that-cannot-fail", "CURRENT=$(cat", "if (( $(echo")


def test_the_baseline_is_a_number() -> None:
    """105 seconds, measured once on one machine."""
    _begin(seed.PERFORMANCE, "constant-baseline", "BASELINE=105")


def test_titles_are_garbled() -> None:
    """The icons of title and comment were saved in the wrong encoding."""
    assert len(_places(seed.NIGHTLY, "garbled-text")) == len(_places(seed.PULL_REQUEST, "garbled-text")) == 1


def test_permissions_pins_and_limits_are_missing() -> None:
    """No permissions, five actions by a tag in each, no limit for the pull request's job, no concurrency group."""
    for text in (seed.NIGHTLY, seed.PULL_REQUEST):
        assert len(_places(text, "missing-permissions")) == len(_places(text, "missing-concurrency")) == 1
        assert len(_places(text, "unpinned-action")) == 5
    _begin(seed.PULL_REQUEST, "missing-timeout", "check-label:")


def test_nothing_else_is_claimed() -> None:
    """What the workflows do right, such as cleaning up always, is not found fault with."""
    rules = {each.rule for text in (seed.NIGHTLY, seed.PULL_REQUEST) for each in examine.examine("x", text.encode())}
    assert rules.isdisjoint(
        {"cleanup-not-always", "machine-known-by-output", "strangers-code-with-secrets", "unreadable"}
    )
