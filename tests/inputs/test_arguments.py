"""The command line says the same as the actions."""

from __future__ import annotations

import re

import pytest

from accel_ci.domain.errors import ConfigurationError
from accel_ci.inputs import arguments, declaration, models, parsing
from accel_ci.inputs.arguments import Command
from accel_ci.inputs.declaration import Inputs
from accel_ci.inputs.fields import Boolean
from accel_ci.inputs.models import ProvisionInputs, RunInputs


def read(*words: str) -> Command:
    return arguments.read(words, version="1.2.3")


def refused(*words: str) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        read(*words)
    return caught.value


def told(command: Command) -> list[str]:
    return [str(mistake) for mistake in command.mistakes]


def test_options_become_inputs() -> None:
    """Options carry the names of the inputs, and their texts unread."""
    command = read("provision", "--accelerator", "v6e-1", "--zones", "us-central1-b", "--boot-timeout=5m")
    assert command == Command("provision", {"accelerator": "v6e-1", "zones": "us-central1-b", "boot-timeout": "5m"})
    assert parsing.parse(ProvisionInputs, command.given).boot_timeout == 300


def test_what_is_not_said_is_not_given() -> None:
    """Without options nothing is given, so that the inputs of the environment and the defaults hold."""
    for verb in models.ACTIONS:
        assert read(verb) == Command(verb, {})


def test_the_words_after_two_dashes_are_the_command() -> None:
    """What follows `--` is one command, quoted so that a shell runs exactly these words."""
    assert read("run", "--backend", "local", "--", "pytest", "-q", "a b", "--", "$HOME").given == {
        "backend": "local",
        "run": "pytest -q 'a b' -- '$HOME'",
    }


def test_a_single_word_with_blanks_is_shell_text() -> None:
    """One quoted word is a script as it is; one without blanks is a program's name."""
    assert read("run", "--", "pytest -q && echo $HOME").given == {"run": "pytest -q && echo $HOME"}
    assert read("run-remote", "--", "make\ntest").given == {"run": "make\ntest"}
    assert read("run", "--", "a;b").given == {"run": "'a;b'"}


def test_the_command_is_given_once() -> None:
    """A command in both places is a mistake; nothing after `--` is no command."""
    twice = read("run", "--run", "a", "--", "b")
    assert told(twice) == ["run: is given twice (give `--run` or the words after `--`)"]
    assert read("run", "--").given == {}


def test_lists_may_be_repeated() -> None:
    """A list may be given at once or option by option."""
    given = read("run", "--zones", "a-1,b-2", "--zones", "c-3", "--accelerator", "v6e-1", "--", "x").given
    assert parsing.parse(RunInputs, given).zones == ("a-1", "b-2", "c-3")


def test_booleans_are_switches() -> None:
    """A boolean is switched on by its name and off by `no-`."""
    assert read("provision", "--spot").given == {"spot": "true"}
    assert read("provision", "--no-spot").given == {"spot": "false"}


def test_booleans_may_be_written_like_inputs() -> None:
    """`--spot=false` says what `spot: false` says; a word that is neither true nor false is for parse to tell."""
    assert read("provision", "--spot=false").given == {"spot": "false"}
    assert read("run", "--spot=maybe", "--", "x").given == {"spot": "maybe", "run": "x"}


def test_unknown_options_are_told_with_the_other_mistakes() -> None:
    """An option that no action has is handed on, so that one report names it beside all other mistakes."""
    command = read("run", "--zne", "us-central1-b", "--spott=yes", "--timeout", "x", "--", "pytest")
    assert command.given == {"zne": "", "spott": "", "timeout": "x", "run": "pytest"}
    with pytest.raises(ConfigurationError) as caught:
        parsing.parse(RunInputs, command.given)
    assert [mistake.name for mistake in caught.value.mistakes] == ["zne", "spott", "accelerator", "timeout"]


def test_options_are_not_abbreviated() -> None:
    """Half of a name is not the name: a new input must not change what an old command line means."""
    assert read("provision", "--accel", "v6e-1").given == {"accel": ""}


def test_words_outside_options() -> None:
    """A command without `--` in front of it is told what is missing."""
    assert told(read("run", "--backend", "local", "pytest", "-q")) == [
        "run: `pytest` belongs to no option (put the command to run after `--`)"
    ]
    assert told(read("cleanup", "now")) == [
        "command line: `now` belongs to no option (to end one machine: `accel-ci end MACHINE`)"
    ]
    assert told(read("list", "now")) == ["command line: `now` belongs to no option (see `accel-ci list --help`)"]
    # What stands behind a wrong option may be its value, and a secret.
    assert told(read("run", "--password", "hunter2")) == []


def test_a_run_is_named_without_an_option() -> None:
    """attach takes the run's name as a word of its own."""
    assert read("attach", "accel-x-1-1-0a1b2c3d") == Command("attach", {"name": "accel-x-1-1-0a1b2c3d"})
    assert read("attach").given == {}


def test_verbs_are_known() -> None:
    """A verb that does not exist is refused with the one that was meant, or with all."""
    assert refused("provison", "--zones", "x").what_to_do == "did you mean `provision`?"
    assert refused("delete", "tpu://p/z/n").what_to_do == "did you mean `end`?"
    assert refused("fly").what_to_do.startswith("use one of gate, provision, run-remote")
    assert str(refused()) == "no verb is given"


def test_missing_values_are_told_with_all_other_mistakes() -> None:
    """An option at the end, or in front of another one, lacks its value; reading goes on behind it."""
    command = read("run", "--timeout", "--zones", "a-1", "--zones", "--spot", "--setup")
    assert told(command) == [
        f"{name}: has no value (write `--{name}` and the value behind it)" for name in ("timeout", "zones", "setup")
    ]
    assert command.given == {"spot": "true", "zones": "a-1"}
    # An empty text is a value, and so is what only looks like an option.
    assert read("provision", "--zones", "", "--ttl", "-5", "--slot", "-").given == {
        "zones": "",
        "ttl": "-5",
        "slot": "-",
    }
    assert told(read("run", "--setup", "-x --y z")) == []


def test_what_argparse_cannot_read_is_our_own_error() -> None:
    """It ends as a mistake of the command line, not as a process that leaves."""
    error = refused("run", "--no-spot=yes")
    assert str(error).startswith("the command line cannot be read: argument --spot/--no-spot: ignored")
    assert (error.exit_code, error.what_to_do) == (2, "see `accel-ci run --help`")


@pytest.mark.parametrize("model", models.COMMAND_LINE.values(), ids=list(models.COMMAND_LINE))
def test_help_names_every_input(model: type[Inputs], capsys: pytest.CaptureFixture[str]) -> None:
    """Each verb's help has every input with its help and its default, and ends well."""
    with pytest.raises(SystemExit) as left:
        read(model.verb, "--help")
    assert left.value.code == 0
    shown = " ".join(capsys.readouterr().out.split())
    for entry in declaration.inputs(model):
        assert (entry.name.upper() if entry.name == model.bare else f"--{entry.name}") in shown
        assert isinstance(entry.syntax, Boolean) is (f"--no-{entry.name}" in shown)
        assert entry.help in shown
        assert not entry.default or f"(default: {entry.default})" in shown


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """The version is the one that it was told."""
    with pytest.raises(SystemExit) as left:
        read("--version")
    assert (left.value.code, capsys.readouterr().out) == (0, "accel-ci 1.2.3\n")


def test_options_of_a_backend_add_up() -> None:
    """`--options` may be said several times, and each time with several settings."""
    words = ["provision", "--accelerator", "v6e-1", "--options", "queued=true", "--options", "network=ci,subnetwork=us"]
    given = arguments.read(words, version="1").given
    assert parsing.parse(ProvisionInputs, given).options == {"queued": "true", "network": "ci", "subnetwork": "us"}


def test_verbs_from_elsewhere_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    """A verb that another package brings is in the help and among the guesses, and is unknown without that package."""
    elsewhere = {"sim": "Serve a simulated cloud."}
    with pytest.raises(SystemExit):
        arguments.read(["--help"], version="1", elsewhere=elsewhere)
    assert re.search("sim +Serve a simulated cloud", capsys.readouterr().out)
    with pytest.raises(ConfigurationError) as caught:
        arguments.read(["simm"], version="1", elsewhere=elsewhere)
    assert caught.value.what_to_do == "did you mean `sim`?"
    assert "sim" not in refused("sim").what_to_do


def test_a_word_and_a_command() -> None:
    """ssh takes a machine's name beside the options and a command after `--`, and needs neither."""
    words = ("tpu://p/z/n", "--worker", "all", "--", "nvidia-smi", "-L")
    assert read("ssh", *words) == Command("ssh", {"machine": "tpu://p/z/n", "worker": "all", "run": "nvidia-smi -L"})
    assert read("ssh") == Command("ssh", {})


@pytest.mark.parametrize(("words", "told"), [([], "no verb is given"), (["help"], "`help` is not a verb")])
def test_who_does_not_know_where_to_begin_is_told(words: list[str], told: str) -> None:
    """Without a verb, and for `help`, the answer is the help and a first command."""
    with pytest.raises(ConfigurationError, match=told) as caught:
        arguments.read(words, version="1")
    assert "accel-ci --help" in caught.value.what_to_do and "run --backend local" in caught.value.what_to_do
