"""From what users wrote to inputs, or to all their mistakes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accel_ci.domain.errors import ConfigurationError, Family, Mistake
from accel_ci.inputs import declaration, models, parsing
from accel_ci.inputs.declaration import Inputs
from accel_ci.inputs.models import (
    CleanupInputs,
    CollectInputs,
    GateInputs,
    JourneyInputs,
    ProvisionInputs,
    RunRemoteInputs,
)

NAMES = sorted({entry.name for model in models.COMMAND_LINE.values() for entry in declaration.inputs(model)})
SECRET = "ghp_0123456789abcdefghij"


def mistakes(model: type[Inputs], texts: dict[str, str]) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        parsing.parse(model, texts)
    return [str(mistake) for mistake in caught.value.mistakes]


def test_all_mistakes_are_told_at_once() -> None:
    """Unknown, missing and wrong inputs, and inputs that do not go together, come in one report."""
    found = mistakes(
        ProvisionInputs,
        {
            "zne": "us-central1-b",
            "setup": "x",
            "backend": "tpuu",
            "spot": "maybe",
            "ttl": "5m",
            "service-account": "ci@p.iam.gserviceaccount.com",
        },
    )
    assert found == [
        "zne: is not an input here (did you mean `zones`?)",
        "setup: is not an input here (it is an input of `run-remote`)",
        f"accelerator: is required ({ProvisionInputs.model_fields['accelerator'].description})",
        "backend: `tpuu` is not a choice here (did you mean `tpu`?)",
        "spot: `maybe` is neither true nor false (write `true` or `false`)",
        "service-account: `ci@p.iam.gserviceaccount.com` needs `workload-identity-provider` beside it (see docs/sign-in.md)",
        "ttl: `5m` leaves no time after `boot-timeout`, 10m (write a longer one, such as `45m`)",
    ]


def test_the_error_says_whose_turn_it_is() -> None:
    """Wrong inputs are the reader's to mend: exit code 2, how many there are, and where all inputs are written down."""
    with pytest.raises(ConfigurationError) as caught:
        parsing.parse(CollectInputs, {"x": "", "y": ""})
    error = caught.value
    assert (error.family, error.exit_code) == (Family.CONFIGURATION, 2)
    assert str(error) == "3 mistakes in the inputs of `collect`"
    assert error.what_to_do == "see `accel-ci collect --help` or docs/reference/collect.md for all inputs"
    with pytest.raises(ConfigurationError, match=r"^1 mistake in the inputs of `collect`$"):
        parsing.parse(CollectInputs, {})


def test_an_empty_text_is_not_given() -> None:
    """Empty and blank texts mean the default, as GitHub passes inputs that were left out."""
    given = {"accelerator": "v6e-1", "ttl": "", "zones": "  \n", "spot": " "}
    assert parsing.parse(ProvisionInputs, given) == parsing.parse(ProvisionInputs, {"accelerator": "v6e-1"})
    assert mistakes(RunRemoteInputs, {"run": " \n "}) == [
        "run: is required (The command that tests: shell text, run in the repository on every worker.)"
    ]


def test_names_have_no_case() -> None:
    """GitHub does not mind the case of input names and hands them on as they were written; so do we."""
    assert parsing.parse(JourneyInputs, {"Accelerator": "v6e-1", "RUN": "x", "TIMEOUT": "1h"}).timeout == 3600


@pytest.mark.parametrize("name", ["boot_timeout", "boottimeout", "boot-timeouts", "Boot Timeout"])
def test_names_are_written_with_dashes(name: str) -> None:
    """A name in another notation is unknown, and the right one is offered."""
    assert mistakes(ProvisionInputs, {"accelerator": "v6e-1", name: "5m"}) == [
        f"{name.lower()}: is not an input here (did you mean `boot-timeout`?)"
    ]


def test_an_unknown_name_that_resembles_nothing() -> None:
    """Where no name is near, all of them are listed; the unknown one is shown cut."""
    known = "label, paths, branches, drafts, label-lasts, skip-words, quiet-period, max-running, max-per-day, check"
    assert mistakes(GateInputs, {"x" * 80: "", "limit": "1h"}) == [
        f"{'x' * 39}…: is not an input here (the inputs are: {known})",
        "limit: is not an input here (it is an input of `reap-queued`)",
    ]


def test_a_journey_outlives_its_parts() -> None:
    """The time to live follows from the time limit of the run: boot, setup and the way back are added to it."""
    given = {"accelerator": "v6e-1", "run": "x"}
    assert parsing.parse(JourneyInputs, given).provision().ttl == 45 * 60
    assert parsing.parse(JourneyInputs, given | {"timeout": "2h"}).provision().ttl == 145 * 60
    assert parsing.parse(ProvisionInputs, {"accelerator": "v6e-1"}).ttl == 45 * 60


@pytest.mark.parametrize(
    ("model", "texts", "found"),
    [
        (
            ProvisionInputs,
            {"backend": "local", "accelerator": "v6e-8"},
            "accelerator: `v6e-8` is not on this computer: `backend: local` has `local`, or `local-2` for two workers",
        ),
        (
            ProvisionInputs,
            {"backend": "gce", "accelerator": "local"},
            "accelerator: `local` is this computer, which `backend: gce` cannot lease",
        ),
        (
            CollectInputs,
            {"paths": "x", "max-file-size": "2GiB"},
            "max-file-size: `2GiB` is more than `max-total-size` allows for all files together",
        ),
        (
            CleanupInputs,
            {"for": "tpu", "mode": "run"},
            "for: `tpu` names jobs, which `mode: run` does not look at",
        ),
        (
            CleanupInputs,
            {"service-account": "ci@p.iam.gserviceaccount.com"},
            "service-account: `ci@p.iam.gserviceaccount.com` needs `workload-identity-provider` beside it",
        ),
    ],
)
def test_what_does_not_go_together(model: type[Inputs], texts: dict[str, str], found: str) -> None:
    """Inputs that contradict each other are refused, filed under the one to change, with what to do."""
    (told,) = mistakes(model, texts)
    assert told.startswith(f"{found} (") and told.endswith(")")


def test_unsafe_values_are_never_shown() -> None:
    """Scripts, variables and grants may hold secrets: their values are in no message, however wrong they are."""
    for name in ("run", "setup", "env"):
        texts = {"run": "x", name: f"{SECRET}\x00"}
        assert SECRET not in "".join(mistakes(RunRemoteInputs, texts))
    assert SECRET not in "".join(mistakes(RunRemoteInputs, {"run": "x", "env": SECRET}))
    assert SECRET not in "".join(mistakes(ProvisionInputs, {"grant": f"{SECRET}\x00"}))


def test_values_of_others_are_never_shown() -> None:
    """A wrong input does not bring the others into the message."""
    found = mistakes(JourneyInputs, {"run": f"curl -H {SECRET}", "spot": "maybe", "unknown": SECRET})
    assert SECRET not in "".join(found)


def test_wrong_values_are_shown_cut() -> None:
    """A safe value is shown to at most 40 characters, on one line."""
    found = mistakes(GateInputs, {"drafts": "yes\n::error::" + "x" * 100})
    assert found == [f"drafts: `yes ::error::{'x' * 26}…` is neither true nor false (write `true` or `false`)"]


def test_inputs_have_a_size() -> None:
    """More than 1 MiB of inputs is refused as a whole."""
    with pytest.raises(ConfigurationError, match="larger than 1 MiB"):
        parsing.parse(RunRemoteInputs, {"run": "x" * (1 << 20)})
    with pytest.raises(ConfigurationError, match="larger than 1 MiB"):
        parsing.from_json(" " * (1 << 20) + "{}")


def test_json_from_github() -> None:
    """GitHub's `toJSON(inputs)` is an object of texts by name, and of truth values where a workflow declares them."""
    given, wrong = parsing.from_json('{\n  "run": "a\\nb",\n  "spot": "true",\n  "drafts": false\n}')
    assert (given, wrong) == ({"run": "a\nb", "spot": "true", "drafts": "false"}, [])


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"x"', "1", "[" * 100_000, '{"a": "b"} x', "\ufeff{}"])
def test_what_is_no_json_object(text: str) -> None:
    """Anything but a JSON object is refused with what to write."""
    with pytest.raises(ConfigurationError, match="not a JSON object") as caught:
        parsing.from_json(text)
    assert "toJSON(inputs)" in caught.value.what_to_do


def test_json_values_are_texts() -> None:
    """Values that are not texts are all named, and not shown; the texts beside them are read."""
    given, wrong = parsing.from_json(json.dumps({"run": "x", "env": {"A": SECRET}, "ttl": 30, "zones": None}))
    assert (given, [mistake.name for mistake in wrong]) == ({"run": "x"}, ["env", "ttl", "zones"])
    assert SECRET not in "".join(map(str, wrong))


def test_mistakes_of_others_are_told_with_ours() -> None:
    """What was found before and what the catalogue knows come in the same report; no input is told twice, or as lacking."""
    found = [Mistake("run", "has no value", "write it")]

    def look(values: Mapping[str, object]) -> list[Mistake]:
        assert "timeout" not in values and values["zones"] == ("us-central1-b",)
        return [Mistake("accelerator", "is not known", "see"), Mistake("timeout", "is silly", "mend it")]

    given = {"accelerator": "v6e-9", "zones": "us-central1-b", "timeout": "5"}
    with pytest.raises(ConfigurationError) as caught:
        parsing.parse(JourneyInputs, given, found=found, look=look)
    assert [str(mistake) for mistake in caught.value.mistakes] == [
        "run: has no value (write it)",
        "timeout: `5` is not a duration (say the unit: `5m` or `5s`)",
        "accelerator: is not known (see)",
    ]
    assert (
        caught.value.what_to_do
        == "see `accel-ci run --help` or docs/reference/run.md for all inputs, and `accel-ci accelerators` for machines"
    )


def test_what_later_steps_are_given_is_judged_ahead() -> None:
    """Wrong values are told; what is not known or lacks may be changed on the way, and is left to those steps."""
    parsing.ahead(JourneyInputs, {"accelerator": "v6e-8", "mine": "x", "run": ""}, look=lambda values: ())
    with pytest.raises(ConfigurationError) as caught:
        parsing.ahead(
            JourneyInputs,
            {"accelerator": "v6e-8", "mine": "x", "paths": "/etc, ../x"},
            look=lambda values: [Mistake("zones", "not given"), Mistake("accelerator", "is gone")],
        )
    assert [mistake.name for mistake in caught.value.mistakes] == ["paths", "paths", "accelerator"]


def refusal(work: Callable[[], object]) -> ConfigurationError | None:
    """How the work was refused, None when it was not; any other error ends the test."""
    try:
        work()
    except ConfigurationError as error:
        return error
    return None


@given(
    st.sampled_from(list(models.COMMAND_LINE.values())), st.dictionaries(st.sampled_from(NAMES) | st.text(), st.text())
)
def test_nothing_but_a_configuration_error_comes_of_wrong_inputs(model: type[Inputs], texts: dict[str, str]) -> None:
    """Whatever is written, the answer is inputs or a list of mistakes that each fit a line."""
    error = refusal(lambda: parsing.parse(model, texts))
    lines = [str(mistake) for mistake in error.mistakes] if error else ["read"]
    assert lines
    assert all(len(line) < 250 and line.isprintable() for line in lines)


@given(st.text() | st.recursive(st.none() | st.text(), lambda inner: st.dictionaries(st.text(), inner)).map(json.dumps))
def test_any_text_can_come_as_json(text: str) -> None:
    """Whatever comes instead of GitHub's JSON, the answer is texts by name or a configuration error."""
    refused = refusal(lambda: parsing.from_json(text))
    assert refused or all(isinstance(value, str) for value in parsing.from_json(text)[0].values())
