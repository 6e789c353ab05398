"""What there is to tell, whatever it looks like later."""

from __future__ import annotations

import shlex

import pytest

from accel_ci.domain.record import CleanupFacts, Cost, RunRecord
from accel_ci.domain.verdict import Verdict
from accel_ci.inputs import arguments, models, parsing
from accel_ci.render import page, proof, story, summary, terminal
from tests.render import samples


@pytest.mark.parametrize("verdict", Verdict)
def test_every_verdict_has_words(verdict: Verdict) -> None:
    """The headline is never the bare identifier."""
    record = samples.passed()
    record.verdict = verdict
    assert story.headline(record)[0].isupper()


def test_the_sentence_names_the_failing_tests() -> None:
    """An exit code alone explains little: the number of failing tests is added, once."""
    record = samples.failed()
    assert story.why(record) == "Run ended with exit code 1: 3 of 1,239 tests failed."
    record.reason = "exit code 0, but 3 tests failed"
    assert story.why(record) == "Exit code 0, but 3 tests failed."


def test_a_run_that_goes_on_says_so() -> None:
    """Without a verdict there is no word that could be taken for one."""
    record = samples.passed()
    record.verdict, record.reason, record.ended_at = None, "", None
    assert (story.headline(record), story.elapsed(record)) == ("Still running on v6e-1", None)
    assert story.why(record) == "The run has not come to a verdict yet."


def test_steps_cover_the_run_in_order() -> None:
    """Each try, each phase and the giving back, one after the other."""
    steps = story.steps(samples.failed())
    assert [(step.name, step.outcome, step.good) for step in steps] == [
        ("try 1: us-central1-b spot", "no-capacity", False),
        ("try 2: us-east5-b spot", "ready", True),
        ("setup", "passed", True),
        ("run", "failed", False),
        ("collect and give back", "gone", True),
    ]
    assert steps[3].note == "exit code 1; peak memory 11.1 GiB"


def test_a_step_tells_what_happened_on_its_workers() -> None:
    """Signals, details, lost connections and dropped output are all in the note."""
    record = samples.failed()
    phase = record.phases[-1]
    phase.reattached = 2
    phase.workers = [
        phase.workers[0].model_copy(update={"signal": 9, "detail": "out of memory", "output_dropped_bytes": 2048}),
        phase.workers[0].model_copy(update={"worker": 1, "exit_code": None, "verdict": Verdict.CANCELLED}),
    ]
    assert story.steps(record)[3].note == (
        "w0: signal 9 (out of memory); w1: cancelled; connected again 2 times; peak memory 11.1 GiB; 2.0 KiB of output dropped"
    )


def test_costs_are_known_or_said_to_be_unknown() -> None:
    """An unknown price is never $0."""
    record = samples.passed()
    assert story.cost(record) == "$0.10 (4 m 40 s of machine time at $1.35 an hour)"
    record.cost = Cost(machine_seconds=280)
    assert story.cost(record) == "unknown (4 m 40 s of machine time, its price is not known)"
    assert story.cost(samples.no_capacity()) == "nothing: no machine was leased"
    record.cost = None
    assert story.cost(record) == "unknown"


@pytest.mark.parametrize(
    ("facts", "good", "sentence"),
    [
        (None, None, "Not verified yet: the cleanup had not run when this was written."),
        (
            CleanupFacts(found=["a"], released=["a"], verified_at=0),
            True,
            "1 machine released; looked again at 1970-01-01 00:00:00 UTC and found none.",
        ),
        (
            CleanupFacts(verified_at=0),
            True,
            "No machine had to be ended; looked again at 1970-01-01 00:00:00 UTC and found none.",
        ),
        (CleanupFacts(found=["a", "b"], left=["a", "b"]), False, "2 machines may still live and cost money."),
        (CleanupFacts(found=["a"]), None, "1 machine found, left alone (dry run)."),
    ],
)
def test_cleanup_is_proven_or_said_not_to_be(facts: CleanupFacts | None, good: bool | None, sentence: str) -> None:
    """Only a look afterwards that found nothing counts as proof."""
    record = samples.passed()
    record.cleanup = facts
    assert story.cleanup(record) == (good, sentence)


def test_a_run_that_asked_for_nothing_has_nothing_to_clean() -> None:
    """Neither a machine nor a try: there was nothing to leave behind."""
    record = samples.passed()
    record.cleanup, record.machine, record.tries = None, None, []
    assert story.cleanup(record) == (True, "No machine was asked for.")


def _again(record: RunRecord) -> models.JourneyInputs:
    command = arguments.read(shlex.split(story.repeat(record)[-1])[1:], version="0")
    assert command.verb == "run"
    return parsing.parse(models.JourneyInputs, command.given)


@pytest.mark.parametrize("run", ["pytest", "pytest -k 'a and b' \"$HOME\"", "set -e\npytest 'x' `id` \\n!", "it's"])
def test_the_command_that_repeats_the_run_says_the_same(run: str) -> None:
    """Read by a shell and by our own parser, it asks for the same machine and the same commands."""
    record = samples.passed()
    record.target.run, record.target.spot = run, False
    again = _again(record)
    assert (again.run, again.setup, again.spot) == (run, "pip install -e '.[test]'", False)
    assert (again.accelerator, again.backend, list(again.zones)) == ("v6e-1", "tpu", record.target.zones)
    assert story.repeat(record)[0] == f"git checkout {samples.SHA}"


@pytest.mark.parametrize(
    "text",
    [
        "@me",
        "#1",
        "a_b",
        "`x`",
        "*x*",
        "https://x.y",
        "www.x.y",
        "<b>",
        "[x](y)",
        "a|b",
        ":tada:",
        "a\nb",
        "\\",
        "&lt;",
        "fixed by GH-26",
        "gh-1",
        f"see {samples.SHA}",
    ],
)
def test_only_plain_words_are_flat(text: str) -> None:
    """Whatever a renderer could take for markup is not plain, nor what GitHub makes a reference of without any sign."""
    assert not story.flat(text)
    assert story.flat("exit code 0, but 2 tests failed: it's 99.5% (w1)")


def test_tries_name_their_backend_where_there_were_several() -> None:
    """Two backends had the same zone: which one refused is in the name of the step."""
    record = samples.passed()
    first = record.tries[0]
    record.tries = [
        first.model_copy(update={"backend": "gce"}),
        first.model_copy(update={"number": 2, "backend": "tpu"}),
    ]
    names = [step.name for step in story.steps(record)[:2]]
    assert names[0].endswith(" by gce") and names[1].endswith(" by tpu")
    record.tries = record.tries[:1]
    assert " by " not in story.steps(record)[0].name


def test_what_the_probe_found() -> None:
    """Number, name, driver and CUDA version, as far as they are known; nothing where nobody looked."""
    record = samples.passed()
    assert record.machine is not None and story.hardware(record) == ""
    record.machine.hardware = {"devices": "8", "name": "NVIDIA H100", "driver": "570.86.15", "cuda": "12.8"}
    assert story.hardware(record) == "8 NVIDIA H100, driver 570.86.15, CUDA 12.8"
    record.machine.hardware = {"devices": "4", "name": "TPU"}
    assert story.hardware(record) == "4 TPU"


def test_a_choice_of_ours_is_said() -> None:
    """`auto` says what it took and why; who named the backend is told nothing."""
    record = samples.passed()
    assert record.machine is not None and story.chosen(record) == ""
    record.target.backend = "auto"
    assert story.chosen(record).startswith("tpu, chosen by auto: the Cloud TPU API")
    record.machine.handle = "gce://p/us-central1-a/n"
    assert "ends the machine by itself" in story.chosen(record)
    record.machine.handle = "local://n"
    assert story.chosen(record) == "local"


def test_a_kept_machine_is_not_gone() -> None:
    """Nobody reads that nothing was found while a machine lives on because somebody wants it to."""
    record = samples.passed()
    record.cleanup = CleanupFacts(kept=["tpu://p/z/name"], verified_at=1_790_000_000.0)
    good, sentence = story.cleanup(record)
    assert good is None and sentence == (
        "No machine had to be ended; 1 machine kept on purpose, which costs money until its end."
    )
    for text in (page.render(record), summary.render(record), terminal.render(record)):
        assert "tpu://p/z/name" in text and "kept on purpose" in text and "found none" not in text
    assert "tpu://p/z/name" in proof.cleanup(record.cleanup, ()) and "✅" not in proof.cleanup(record.cleanup, ())


@pytest.mark.parametrize("verdict", Verdict)
def test_what_is_not_the_codes_fault_says_so_and_what_to_do(verdict: Verdict) -> None:
    """Every page of a run that the cloud failed has one sentence of advice; a verdict on the code needs none."""
    record = samples.passed()
    record.verdict = verdict
    advice = story.advice(record)
    assert ("no verdict on the code" in advice) is verdict.is_infrastructure
    assert bool(advice) is (verdict.is_infrastructure or verdict is Verdict.TIMED_OUT)
    for text in (page.render(record), summary.render(record), terminal.render(record)):
        assert not advice or advice in text


def test_advice_never_names_what_is_so_already() -> None:
    """Who has no spot machine is not told to take none."""
    record = samples.no_capacity()
    assert story.advice(record).endswith("name more zones, or take spot: false.")
    record.target.spot = False
    assert story.advice(record).endswith("name more zones.")


def test_nothing_to_count_is_told_apart() -> None:
    """No machine, so no test; a run without reports is another thing."""
    record = samples.passed()
    record.tests = None
    assert [story.untested(each) for each in (samples.no_capacity(), record, samples.failed())] == [
        "no test ran",
        "no test report",
        "",
    ]
