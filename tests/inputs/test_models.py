"""What the models declare, and what becomes of it."""

from __future__ import annotations

import itertools
import re

import pytest
from pydantic import ValidationError

from accel_ci.domain.machine import MachineSpec
from accel_ci.domain.verdict import OnInfrastructure, Verdict
from accel_ci.domain.workload import Caps, CommitSource, Work
from accel_ci.inputs import declaration, models, parsing
from accel_ci.inputs.declaration import Input, Inputs
from accel_ci.inputs.models import (
    CleanupInputs,
    CollectInputs,
    JourneyInputs,
    ProvisionInputs,
    RunInputs,
    RunRemoteInputs,
)

EVERY = [*models.ACTIONS.values(), *models.COMMAND_LINE.values()]
SECRETS = re.compile("token|secret|password|api-?key|credential", re.IGNORECASE)


def named(model: type[Inputs]) -> dict[str, Input]:
    return {entry.name: entry for entry in declaration.inputs(model)}


def test_every_published_action_has_a_model() -> None:
    """There is one model per published action, by the verb of its name."""
    assert list(models.ACTIONS) == [
        "gate",
        "provision",
        "run-remote",
        "collect",
        "cleanup",
        "report",
        "reap-queued",
        "run",
    ]
    assert all(model.verb == verb for verb, model in models.COMMAND_LINE.items())


@pytest.mark.parametrize("model", models.ACTIONS.values(), ids=list(models.ACTIONS))
def test_an_action_has_at_most_twelve_inputs(model: type[Inputs]) -> None:
    """No action has more than twelve inputs, so that a person can know them all."""
    assert len(declaration.inputs(model)) <= 12


def test_what_must_be_said() -> None:
    """Only what cannot be guessed is required."""
    required = {
        verb: [name for name, e in named(model).items() if e.required] for verb, model in models.ACTIONS.items()
    }
    assert {verb: names for verb, names in required.items() if names} == {
        "provision": ["accelerator"],
        "run-remote": ["run"],
        "collect": ["paths"],
        "reap-queued": ["workflows"],
        "run": ["accelerator", "run"],
    }


@pytest.mark.parametrize("model", EVERY)
def test_names_and_help_are_fit_for_readers(model: type[Inputs]) -> None:
    """Names are words with dashes; help is one sentence, short enough for one line of the docs."""
    for entry in declaration.inputs(model):
        assert re.fullmatch("[a-z]+(-[a-z]+)*", entry.name), entry.name
        assert re.fullmatch(r"[A-Z][^\n|]{10,115}\.", entry.help), entry.help
    for name, text in model.outputs.items():
        assert re.fullmatch("[a-z]+(-[a-z]+)*", name), name
        assert re.fullmatch(r"[A-Z`][^\n|]{10,130}\.", text), text


@pytest.mark.parametrize("model", EVERY)
def test_no_input_is_made_for_a_secret(model: type[Inputs]) -> None:
    """No input asks for a secret: an input is shown in the log of whoever passes it."""
    assert [name for name in named(model) if SECRETS.search(name)] == []


@pytest.mark.parametrize("model", EVERY)
def test_defaults_are_read_like_what_users_write(model: type[Inputs]) -> None:
    """Every default is a text that its own field takes."""
    for entry in declaration.inputs(model):
        if entry.default is not None:
            entry.syntax.parse(entry.default)


def test_one_word_means_one_thing() -> None:
    """An input that several actions have under one name is written, read and explained the same way in all of them."""
    explained_apart = {
        "paths": "changed and wanted files",
        "backend": "to lease from, to look in",
        "run": "tests, by hand",
        "repository-id": "whose secret, whose machines",
    }
    explained_apart["json"] = "rows, findings"
    for one, other in itertools.combinations(models.COMMAND_LINE.values(), 2):
        ours, theirs = named(one), named(other)
        for name in ours.keys() & theirs.keys():
            assert ours[name].syntax.kind == theirs[name].syntax.kind, name
            if name not in explained_apart:
                assert (ours[name].help, ours[name].default) == (theirs[name].help, theirs[name].default), name


def test_the_verdicts_are_all_named() -> None:
    """The help of the output `verdict` names every verdict there is."""
    assert all(verdict.value in RunRemoteInputs.outputs["verdict"] for verdict in Verdict)


def test_a_machine_is_asked_for() -> None:
    """provision's inputs become a machine specification; options that were not given are left out."""
    given = {"accelerator": "v6e-8", "backend": "tpu", "zones": "us-central1-b, us-east5-b", "spot": "no"}
    spec = parsing.parse(ProvisionInputs, given | {"boot-timeout": "5m", "options": "image=v2-alpha-tpuv6e"}).spec()
    assert spec == MachineSpec(
        backend="tpu",
        accelerator="v6e-8",
        zones=("us-central1-b", "us-east5-b"),
        spot=False,
        boot_limit_s=300.0,
        options={"image": "v2-alpha-tpuv6e"},
    )


@pytest.mark.parametrize(
    ("given", "accelerator", "workers"),
    [
        ({"accelerator": "local"}, "local", 1),
        ({"accelerator": "local-4"}, "local-4", 4),
        ({"backend": "local"}, "local", 1),
        ({"backend": "local", "accelerator": "local-2"}, "local-2", 2),
    ],
)
def test_this_computer_is_a_backend(given: dict[str, str], accelerator: str, workers: int) -> None:
    """This computer is chosen by the accelerator or the backend alone, and its count is one of workers."""
    spec = parsing.parse(ProvisionInputs, given).spec()
    assert (spec.backend, spec.accelerator, spec.workers) == ("local", accelerator, workers)


def test_auto_stays_auto_for_a_cloud() -> None:
    """Which cloud has an accelerator is not decided by the inputs."""
    spec = parsing.parse(ProvisionInputs, {"accelerator": "v6e-8"}).spec()
    assert (spec.backend, spec.workers) == ("auto", 1)


@pytest.mark.parametrize(("accelerator", "workers"), [("v6e-16", 4), ("v5p-16", 2), ("v6e-8", 1), ("l4-8", 1)])
def test_the_catalogue_knows_the_workers(accelerator: str, workers: int) -> None:
    """A slice has as many workers as hosts; a type that the catalogue does not know has one."""
    assert parsing.parse(ProvisionInputs, {"accelerator": accelerator}).spec().workers == workers


def test_options_of_a_journey_reach_the_backend() -> None:
    """On the command line the journey takes a backend's own options, several times or as one list."""
    inputs = parsing.parse(RunInputs, {"accelerator": "v6e-1", "run": "x", "options": "queued=true,network=ci"})
    assert inputs.provision().spec().options == {"queued": "true", "network": "ci"}
    assert (inputs.provision().accelerator, inputs.provision().slot) == ("v6e-1", "")


def test_work_is_described() -> None:
    """run-remote's inputs become the work to do on the machine."""
    source = CommitSource(repository="https://github.com/o/r", sha="a" * 40)
    inputs = parsing.parse(
        RunRemoteInputs,
        {
            "run": "pytest -q",
            "setup": "pip install -e .",
            "timeout": "1h",
            "setup-timeout": "90s",
            "directory": "core",
            "env": "A=1",
            "test-reports": "out/*.xml",
            "allow-no-tests": "true",
        },
    )
    assert inputs.work(source) == Work(
        source=source,
        run="pytest -q",
        setup="pip install -e .",
        limit_s=3600.0,
        setup_limit_s=90.0,
        directory="core",
        environment={"A": "1"},
        report_patterns=("out/*.xml",),
        allow_no_tests=True,
    )


def test_the_defaults_of_inputs_and_domain_agree() -> None:
    """What is not said means the same as what the domain takes for granted."""
    source = CommitSource(repository="r", sha="a" * 40)
    assert parsing.parse(RunRemoteInputs, {"run": "x"}).work(source) == Work(source=source, run="x")
    assert parsing.parse(CollectInputs, {"paths": "x"}).caps() == Caps()
    plain = parsing.parse(ProvisionInputs, {"accelerator": "v6e-1"}).spec()
    assert plain == MachineSpec(backend="auto", accelerator="v6e-1")


def test_limits_of_collect() -> None:
    """collect's sizes become caps in bytes."""
    given = {"paths": "a", "max-file-size": "1KiB", "max-total-size": "2KiB", "max-files": "3"}
    assert parsing.parse(CollectInputs, given).caps() == Caps(file_bytes=1024, total_bytes=2048, files=3)


def test_policies_are_members_of_the_domain() -> None:
    """The policy for infrastructure failures is the domain's own, so that it can be compared by identity."""
    assert parsing.parse(RunRemoteInputs, {"run": "x"}).on_infrastructure is OnInfrastructure.FAIL
    tolerant = parsing.parse(RunRemoteInputs, {"run": "x", "on-infrastructure": "tolerate"})
    assert tolerant.on_infrastructure is OnInfrastructure.TOLERATE


def test_cleanup_names_jobs() -> None:
    """cleanup's `for` holds the ids of other jobs, its mode the scope."""
    inputs = parsing.parse(CleanupInputs, {"for": "tpu, gpu-tests"})
    assert (inputs.mode, inputs.for_, inputs.dry_run) == ("job", ("tpu", "gpu-tests"), False)


def test_a_journey_says_to_its_parts_what_was_said_to_it() -> None:
    """Every input of the journey reaches the part that has it; the other inputs of the parts keep their defaults."""
    said = {
        "accelerator": "l4-1",
        "backend": "gce",
        "zones": "us-central1-a",
        "spot": "false",
        "run": "pytest",
        "setup": "pip install .",
        "timeout": "1h",
        "paths": "out/**",
        "label": "run-gpu-tests",
        "check": "gpu tests",
        "workload-identity-provider": "projects/1/locations/global/workloadIdentityPools/p/providers/g",
        "service-account": "ci@my-project.iam.gserviceaccount.com",
    }
    journey = parsing.parse(JourneyInputs, said)
    parts = (journey.gate(), journey.provision(), journey.run_remote(), journey.collect())
    reached: set[str] = set()
    for part in parts:
        assert part is not None
        theirs = {name: text for name, text in said.items() if name in named(type(part))}
        theirs = {name: text for name, text in theirs.items() if (type(part), name) != (type(parts[0]), "paths")}
        follows = {"ttl": "1h + 25m"} if isinstance(part, ProvisionInputs) else {}
        assert part == parsing.parse(type(part), theirs | follows)
        reached |= theirs.keys()
    assert reached == said.keys()


def test_a_journey_collects_only_what_it_is_told_to() -> None:
    """Without paths there is nothing to collect."""
    assert parsing.parse(JourneyInputs, {"accelerator": "local", "run": "x"}).collect() is None


def test_the_command_line_understands_what_the_action_says() -> None:
    """The root action hands its inputs to the verb `run` of the command line, which takes all of them."""
    assert named(JourneyInputs).keys() < named(RunInputs).keys()
    assert models.COMMAND_LINE["run"] is RunInputs
    inputs = parsing.parse(RunInputs, {"backend": "local", "run": "x"})
    assert (inputs.on_infrastructure, inputs.html) == (OnInfrastructure.FAIL, "")


def test_inputs_cannot_be_changed() -> None:
    """Inputs are values: they do not change once they were read."""
    inputs = parsing.parse(JourneyInputs, {"accelerator": "local", "run": "x"})
    with pytest.raises(ValidationError):
        inputs.run = "y"  # type: ignore[misc]
