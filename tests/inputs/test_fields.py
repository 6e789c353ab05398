"""How single inputs are read."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accel_ci.domain.verdict import OnInfrastructure
from accel_ci.inputs import fields
from accel_ci.inputs.fields import (
    Accelerator,
    Boolean,
    Choice,
    Environment,
    FieldError,
    Pattern,
    Settings,
    Syntax,
    Text,
    Words,
)
from tests.inputs.refusals import refused

ZONE = Pattern("zone", "[a-z0-9-]+", "us-central1-b")


@pytest.mark.parametrize(
    "text",
    ["v6e-8", "v5litepod-16", "v5p-8", "tpu7x-2", "l4-1", "a100-80gb-4", "h100-mega-8", "local", "local-1", "local-99"],
)
def test_accelerator_types_are_taken(text: str) -> None:
    """A family with a count, and this computer with or without a count of workers, are accelerator types."""
    assert Accelerator().parse(text) == text


def test_accelerator_types_have_no_case() -> None:
    """Accelerator types are kept in lower case, and blanks around them do not count."""
    assert Accelerator().parse(" V6E-8\n") == "v6e-8"


@pytest.mark.parametrize(
    ("text", "suggestion"),
    [
        ("v6e", "did you mean `v6e-1`?"),
        ("tpu", "write a family and a count such as `v6e-8`, or `local`"),
        ("v6e_8", "did you mean `v6e-8`?"),
        ("L4 1", "did you mean `l4-1`?"),
        ("8", "write a family and a count such as `v6e-8`, or `local`"),
        ("a100-80gb", "did you mean `a100-80gb-1`?"),
        ("v6e-0", "write a family and a count such as `v6e-8`, or `local`"),
        ("v6e-08", "write a family and a count such as `v6e-8`, or `local`"),
        ("v6e-8;rm", "write a family and a count such as `v6e-8`, or `local`"),
        ("", "write a family and a count such as `v6e-8`, or `local`"),
    ],
)
def test_what_is_no_accelerator_type_is_told_so(text: str, suggestion: str) -> None:
    """A text that is no accelerator type is refused, with the nearest one where it is near."""
    error = refused(Accelerator(), text)
    assert (error.problem, error.suggestion) == ("is not an accelerator type", suggestion)


@pytest.mark.parametrize("text", ["local-0", "local-100", "local-x", "localhost-1", "local-4-2", f"v6e-{'x' * 70}-1"])
def test_what_only_looks_like_an_accelerator(text: str) -> None:
    """This computer with another count than 1 to 99 is no cloud's accelerator, and a type has an end."""
    assert refused(Accelerator(), text).problem == "is not an accelerator type"


@pytest.mark.parametrize(
    ("text", "value"), [("true", True), ("YES", True), ("On", True), ("False", False), ("no", False)]
)
def test_booleans_have_six_words(text: str, value: bool) -> None:
    """true, yes, on and false, no, off are booleans in any case."""
    assert Boolean().parse(text) is value


@pytest.mark.parametrize("text", ["1", "0", "y", "n", "t", "maybe", "", "true false", "wahr"])
def test_no_other_word_is_a_boolean(text: str) -> None:
    """Nothing else is a boolean, for a guess could cost money."""
    assert refused(Boolean(), text).suggestion == "write `true` or `false`"


def test_a_choice_is_one_of_its_words() -> None:
    """A choice gives the word back, and a near miss is told which was meant."""
    backends = Choice(("auto", "gce", "local"))
    assert backends.parse("gce") == "gce"
    assert refused(backends, "lokal").suggestion == "did you mean `local`?"
    assert refused(backends, "x").suggestion == "one of `auto`, `gce`, `local`"


def test_a_choice_from_an_enumeration_gives_its_member() -> None:
    """The value of a choice from an enumeration can be compared by identity."""
    assert Choice(tuple(OnInfrastructure)).parse("tolerate") is OnInfrastructure.TOLERATE


def test_a_list_has_commas_or_new_lines() -> None:
    """Commas and new lines separate; blanks, empty parts and repetitions do not count."""
    assert Words(ZONE).parse(" a-1, b-2\n\nc-3,, a-1 \n") == ("a-1", "b-2", "c-3")
    assert Words(ZONE).parse("") == ()
    assert Words(ZONE).parse(" , \n ") == ()


def test_the_wrong_word_of_a_list_is_named() -> None:
    """Of a list only the word that is wrong is complained about."""
    error = refused(Words(ZONE), "a-1, B 2, c-3")
    assert (error.part, error.problem, error.suggestion) == (
        "B 2",
        "is not a zone",
        "write something like `us-central1-b`",
    )


def test_a_list_has_an_end() -> None:
    """A list longer than its limit is refused."""
    error = refused(Words(ZONE, most=2), "a,b,c")
    assert (error.problem, error.suggestion) == ("names 3 zones", "at most 2")


@pytest.mark.parametrize(
    ("syntax", "text", "parts"),
    [
        (Words(ZONE), "A 1, b-2, C 3, D 4", ["A 1", "C 3", "D 4"]),
        (Settings("a=b"), "a=b, c, a=d, =", ["c", "a", "="]),
        (Environment(), "A=1\nB\n# why\nA=2\nC", [None, None, None]),
    ],
)
def test_every_wrong_piece_is_named(syntax: Syntax, text: str, parts: list[str | None]) -> None:
    """Of a text with several wrong pieces all are told, in their order, each with what to do."""
    error = refused(syntax, text)
    assert [each.part for each in (error, *error.others)] == parts
    assert all(each.suggestion for each in (error, *error.others))


def test_a_file_given_by_mistake_is_no_flood() -> None:
    """Ten wrong pieces are told, and how many more there are."""
    error = refused(Environment(), "\n".join(["word"] * 5000))
    assert len(error.others) == 10 and error.others[-1].problem == "has 4990 more pieces like these"


@pytest.mark.parametrize("path", ["results", "results/**", "a b/c", "./x", "a..b/c", ".github", "x/..y", "[ab]*/?"])
def test_relative_paths(path: str) -> None:
    """A path below the repository is taken, globs and blanks included."""
    assert Pattern("relative path", fields.RELATIVE, "x").parse(path) == path


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../b", "a/..", "..", "~/x", "a\\b", "a\tb"])
def test_paths_that_leave_the_repository(path: str) -> None:
    """A path that could leave the repository is refused."""
    assert refused(Pattern("relative path", fields.RELATIVE, "x"), path).problem == "is not a relative path"


def test_a_pattern_matches_as_a_whole() -> None:
    """A text that only begins like the pattern is refused, a line break behind it included."""
    assert refused(ZONE, "us-central1-b\nx").problem == "is not a zone"
    assert refused(Pattern("image name", "[a-z]+", "x"), "A").problem == "is not an image name"


def test_environment_lines() -> None:
    """Variables are lines NAME=VALUE; values keep their equals signs; empty lines and comments are left out."""
    text = "A=1\n\n# why\n  _b2=x=y z \r\nEMPTY=\n"
    assert Environment().parse(text) == {"A": "1", "_b2": "x=y z", "EMPTY": ""}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("A=1\nhunter2", "line 2 is not NAME=VALUE"),
        ("=hunter2", "line 1 is not NAME=VALUE"),
        ("2A=hunter2", "line 1 is not NAME=VALUE"),
        ("A B=hunter2", "line 1 is not NAME=VALUE"),
        ("A=1\nA=hunter2", "line 2 sets `A`, which is set twice"),
        ("accel_ci_x=hunter2", "line 1 sets `accel_ci_x`, which is a name that accel-ci keeps for itself"),
    ],
)
def test_wrong_environment_lines_are_named_by_number(text: str, problem: str) -> None:
    """A wrong line is named by its number, and its value is not repeated."""
    error = refused(Environment(), text)
    assert error.problem == problem
    assert "hunter2" not in error.problem + error.suggestion


def test_texts_are_kept() -> None:
    """A script stays as it is, but for blanks around it."""
    assert Text().parse("  a  'b'\n  c\n") == "a  'b'\n  c"


@pytest.mark.parametrize("text", ["a\x00b", "a\udc80b", "\ud800"])
@pytest.mark.parametrize("syntax", [Text(), Environment(), Boolean(), Words(ZONE), Accelerator()])
def test_characters_that_no_process_can_be_given(syntax: Syntax, text: str) -> None:
    """NUL and halves of characters are refused by every field, and not repeated."""
    error = refused(syntax, text)
    assert (error.problem, error.part) == ("holds a character that no command can take", "")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", {}),
        ("queued=true", {"queued": "true"}),
        ("image = v2-alpha-tpuv6e, external-ips=false\n\nnetwork=ci", None),
        ("machine-account=a-b@c-d.iam.gserviceaccount.com", {"machine-account": "a-b@c-d.iam.gserviceaccount.com"}),
    ],
)
def test_settings(text: str, found: dict[str, str] | None) -> None:
    """Settings are separated by commas or lines; blanks around names and values are nothing."""
    three = {"image": "v2-alpha-tpuv6e", "external-ips": "false", "network": "ci"}
    assert Settings("a=b").parse(text) == (three if found is None else found)


@pytest.mark.parametrize(
    ("text", "part", "problem"),
    [
        ("queued", "queued", "is not a setting"),
        ("a=b,=c", "=c", "is not a setting"),
        ("Queued=true", "Queued=true", "is not a setting"),
        ("a=$(id)", "a=$(id)", "is not a setting"),
        ("a=b,a=c", "a", "is set twice"),
    ],
)
def test_what_is_no_setting(text: str, part: str, problem: str) -> None:
    """The wrong one of several is named, and what a setting looks like."""
    error = refused(Settings("image=x"), text)
    assert (error.part, error.problem) == (part, problem)
    assert problem == "is set twice" or "image=x" in error.suggestion


@given(st.text())
def test_what_is_shown_fits_a_line(text: str) -> None:
    """Whatever a value holds, what is shown of it is one printable line of at most 40 characters."""
    shown = fields.shown(text)
    assert len(shown) <= 40
    assert shown.isprintable()
    assert len(text) > 40 or len(shown) == len(text)


def answer(text: str) -> str:
    """The accelerator type that the text is, or that is suggested for it; "" for neither."""
    try:
        return str(Accelerator().parse(text))
    except FieldError as error:
        return error.suggestion.split("`")[1] if error.suggestion.startswith("did you mean") else ""


@given(st.text(alphabet=string.ascii_lowercase + "-_ 0123456789", max_size=20))
def test_suggested_accelerators_are_accelerators(text: str) -> None:
    """Whatever is suggested for a wrong accelerator would be taken as it stands."""
    named = answer(text)
    assert named == "" or Accelerator().parse(named) == named


def test_near_words() -> None:
    """A near word is offered, in any case; a far one is not."""
    assert fields.meant("Zone", ("zones", "spot")) == "did you mean `zones`?"
    assert fields.meant("colour", ("zones", "spot")) == ""
