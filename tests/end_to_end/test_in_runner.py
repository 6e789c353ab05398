"""The shipped actions, unchanged, in a real runner (act, host mode): set-up, machine, tests, report, nothing left."""

from __future__ import annotations

import pytest

from accel_ci.domain.verdict import Verdict
from tests.actions import uploads
from tests.end_to_end import runner as runners
from tests.end_to_end.runner import Runner

pytestmark = pytest.mark.judge("node")  # the post step is an action in JavaScript


def test_the_composed_form_tests_exactly_the_commit(runner: Runner) -> None:
    """Gate, machine, tests of the pushed commit, files, cleanup, report: job red for the failing test, machine gone."""
    (runner.repository / "test_three.py").write_text("def test_of_the_worktree(): assert False\n")
    done = runner.run(runners.composed("git describe --always > version.txt; python -m pytest -q -p no:cacheprovider"))
    results = runners.results(done)
    assert (results["gate"], results["tpu"], results["cleanup"]) == ("success", "failure", "success"), done.stdout[
        -6000:
    ]
    (record,) = runner.kept()
    assert (record.verdict, record.identity.sha) == (Verdict.FAILED, runner.sha)
    assert record.tests is not None and record.tests.counts == {"passed": 1, "failed": 1, "skipped": 1}
    assert [artifact.name for artifact in record.artifacts] == ["version.txt"]
    assert record.cleanup is not None and record.cleanup.left == []
    assert "test_fail" in runners.summaries(done)
    (uploaded,) = uploads.kept(runner.base).items()
    assert uploaded == (
        f"{record.identity.name}-tpu",
        {"artifacts/w0/0001-version.txt", "log/run-w0.log", "record.json"},
    )
    assert record.artifact_url == uploads.ADDRESS
    assert f"[Download files, log and record]({uploads.ADDRESS})" in runners.summaries(done)
    assert runner.terminal.machines() == []


def test_the_root_action_is_the_journey_in_one_step(runner: Runner) -> None:
    """One step leases, runs, brings back and gives back; its outputs tell the verdict."""
    show = {"run": 'echo "seen: $VERDICT $TESTS"', "env": {"VERDICT": "${{ steps.all.outputs.verdict }}"}}
    show["env"]["TESTS"] = "${{ steps.all.outputs.tests }}"  # type: ignore[index]
    whole = {"uses": "org/accel-ci@v1", "id": "all"}
    whole["with"] = {"accelerator": "local", "run": "python -m pytest -q -p no:cacheprovider -k 'pass or skip'"}  # type: ignore[assignment]
    done = runner.run({"tpu": {"runs-on": "ubuntu-latest", "steps": [whole, show]}})
    assert runners.results(done)["tpu"] == "success", done.stdout[-6000:]
    assert 'seen: passed {\\"passed\\": 1, \\"skipped\\": 1}' in done.stdout
    assert runner.terminal.machines() == []


def test_an_event_that_gate_does_not_know_costs_nothing(runner: Runner) -> None:
    """A refusal of the gate ends before any machine is asked for."""
    jobs = runners.composed("true")
    jobs["gate"]["steps"][0]["with"] = {"branches": "release"}
    done = runner.run(jobs)
    assert runners.results(done)["gate"] == "failure"
    assert "may not use an accelerator" in done.stdout
    assert runner.kept() == []


def test_a_collect_that_fails_still_uploads_the_log(runner: Runner) -> None:
    """What is known of the machine is lost, so no file can be fetched; log and record are uploaded all the same."""
    jobs = runners.composed("echo said before; python -m pytest -q -p no:cacheprovider -k pass")
    lost = {"run": 'rm "$RUNNER_TEMP"/accel-ci/runs/*/main/machine.json'}
    steps = jobs["tpu"]["steps"]
    steps.insert(next(number for number, step in enumerate(steps) if "collect" in step["uses"]), lost)
    done = runner.run(jobs)
    assert runners.results(done)["tpu"] == "failure", done.stdout[-6000:]
    (uploaded,) = uploads.kept(runner.base).values()
    assert uploaded == {"log/run-w0.log", "record.json"}
    (log,) = (runner.base / "kept").glob("*/log/run-w0.log")
    assert "said before" in log.read_text()
    assert runner.terminal.machines() == []


def test_two_journeys_in_one_job_are_two(runner: Runner) -> None:
    """Each has its own machine, record and verdict: the second one's failure is its own, and the first one's files stay."""
    first = runners.uses("provision")["uses"].replace("/provision", "")
    steps = [
        {"uses": first, "with": {"accelerator": "local", "run": "echo one >a.txt", "paths": "a.txt"}},
        {"uses": first, "with": {"accelerator": "local", "run": "test -e README; echo two; exit 7"}},
    ]
    done = runner.run({"tpu": {"runs-on": "ubuntu-latest", "steps": steps}})
    assert runners.results(done)["tpu"] == "failure"
    one, two = sorted(runner.kept(), key=lambda record: record.started_at)
    assert (one.verdict, two.verdict, two.exit_code) == (Verdict.PASSED, Verdict.FAILED, 7), done.stdout[-4000:]
    assert (one.identity.slot, two.identity.slot) == ("", "run-2") and one.identity.name != two.identity.name
    assert [artifact.name for artifact in one.artifacts] == ["a.txt"]
    assert runner.terminal.machines() == []


def test_steps_that_would_take_over_what_others_did_are_refused(runner: Runner) -> None:
    """Another `run-remote` with other commands, another `provision`: both fail, say what to do, and nothing is green."""
    steps = [
        runners.uses("provision", {"accelerator": "local"}),
        runners.uses("run-remote", {"run": "true"}),
        runners.uses("run-remote", {"run": "false"}, **runners.ALWAYS),
        runners.uses("provision", {"accelerator": "local"}, **runners.ALWAYS),
        runners.uses("cleanup", **runners.ALWAYS),
        runners.uses("report", **runners.ALWAYS),
    ]
    done = runner.run({"tpu": {"runs-on": "ubuntu-latest", "steps": steps}})
    assert "has run other commands already" in done.stdout and "`slot: second`" in done.stdout, done.stdout[-4000:]
    (record,) = runner.kept()
    assert record.verdict is Verdict.INFRA_ERROR and runners.results(done)["tpu"] == "failure"
    assert runner.terminal.machines() == []
