"""Where a sealed secret belongs, and what is said when it is anywhere else."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pydantic import ValidationError

from accel_ci.domain import sealed
from accel_ci.domain.context import Context
from accel_ci.domain.errors import ConfigurationError
from accel_ci.domain.sealed import NotOursError, Sealed

HERE = Context(repository="org/hello", repository_id=4711, run_id=7, job="tpu", event="schedule", ref="refs/heads/main")
NOW = 1_800_000_000.0
INSIDE = Sealed(repository_id=4711, name="HF_TOKEN", value="hunter2-and-more")


def boxed(inside: Sealed = INSIDE) -> str:
    """A box that these tests can look into."""
    return sealed.MARK + inside.model_dump_json()


def look(box: str) -> bytes:
    """Opens such boxes, and no others."""
    if not box.startswith("{"):
        raise NotOursError
    return box.encode()


def opened(here: Context = HERE, **given: str) -> tuple[dict[str, str], list[str]]:
    """What this run may have."""
    return sealed.opened(given, here, now=NOW, open_=look)


def test_a_box_of_this_repository_is_opened() -> None:
    """Its value comes under its name; values in the clear pass as they are."""
    assert opened(HF_TOKEN=boxed(), OTHER="in the clear") == (
        {"HF_TOKEN": "hunter2-and-more", "OTHER": "in the clear"},
        [],
    )


def test_a_box_that_was_copied_to_another_repository_is_refused() -> None:
    """What worked against the seed: take the text from a public pipeline, put it into one's own, let it be opened there."""
    thief = replace(HERE, repository="thief/hello", repository_id=666)
    with pytest.raises(ConfigurationError) as error:
        opened(thief, HF_TOKEN=boxed())
    assert [str(mistake) for mistake in error.value.mistakes] == ["HF_TOKEN: was sealed for another repository"]


def test_neither_the_name_of_the_repository_nor_of_the_variable_can_be_borrowed() -> None:
    """The number decides, not the name; and a harmless name does not make a command print what was sealed under another."""
    with pytest.raises(ConfigurationError, match="1 of the sealed"):
        opened(replace(HERE, repository_id=4712), HF_TOKEN=boxed())
    with pytest.raises(ConfigurationError) as error:
        opened(GREETING=boxed())
    assert "another name" in str(error.value.mistakes[0])


@pytest.mark.parametrize(
    ("contexts", "event", "ref", "included"),
    [
        ((), "push", "refs/heads/x", True),
        (("schedule",), "schedule", "refs/heads/main", True),
        (("schedule",), "push", "refs/heads/main", False),
        (("push@main",), "push", "refs/heads/main", True),
        (("push@main",), "push", "refs/heads/main2", False),
        (("push@release/*",), "push", "refs/heads/release/1", True),
        (("*@main",), "workflow_dispatch", "refs/heads/main", True),
        (("*@main",), "workflow_dispatch", "refs/heads/dev", False),
        (("schedule", "push@main"), "push", "refs/heads/main", True),
        (("*",), "", "", True),
        (("push",), "", "", False),
    ],
)
def test_contexts(contexts: tuple[str, ...], event: str, ref: str, included: bool) -> None:
    """An event, or an event on a branch; elsewhere the secret is left out, which is no error."""
    here = replace(HERE, event=event, ref=ref)
    values, elsewhere = opened(here, HF_TOKEN=boxed(INSIDE.model_copy(update={"contexts": contexts})))
    assert (("HF_TOKEN" in values), elsewhere) == (included, [] if included else ["HF_TOKEN"])


def test_the_last_day() -> None:
    """Until the last second, and not after."""
    assert opened(HF_TOKEN=boxed(INSIDE.model_copy(update={"not_after": int(NOW)})))[0]
    with pytest.raises(ConfigurationError) as error:
        opened(HF_TOKEN=boxed(INSIDE.model_copy(update={"not_after": int(NOW) - 1})))
    assert "was sealed until 2027-01-15, which is over" in str(error.value.mistakes[0])


def test_boxes_are_found_in_any_text() -> None:
    """As they stand in YAML, in quotes or not, or in a file of NAME=...; whatever is not sealed is left alone."""
    text = f"""
        env:
          ACCEL_CI_SECRET_A: {sealed.MARK}QUFB
          "ACCEL_CI_SECRET_B" : "{sealed.MARK}QkJC"   # a comment
          ACCEL_CI_SECRET_C: in the clear
        D={sealed.MARK}RERE==
    """
    found = {"A": "QUFB", "B": "QkJC", "D": "RERE=="}
    assert sealed.boxes(text) == [(name, sealed.MARK + content) for name, content in found.items()]


def test_a_name_has_one_box_in_a_file() -> None:
    """A second line at the file's end would silently win; one that is commented out does not count."""
    twice = f"A={sealed.MARK}QUFB\nB={sealed.MARK}QkJC\nA={sealed.MARK}RVZJTA==\n"
    assert [name for name, _ in sealed.boxes(twice)] == ["A", "B", "A"]
    with pytest.raises(ConfigurationError) as error:
        sealed.one_each(twice, file="boxes")
    assert [str(mistake) for mistake in error.value.mistakes] == ["A: is sealed more than once"]
    old = f"# A={sealed.MARK}T0xE\nA={sealed.MARK}QUFB # A={sealed.MARK}T0xE\n"
    assert sealed.one_each(old, file="boxes") == {"A": f"{sealed.MARK}QUFB"}


@pytest.mark.parametrize("event", ["pull_request_target", "issue_comment"])
def test_a_pull_request_is_on_no_branch(event: str) -> None:
    """Its ref is the base branch's, its code is not: what is sealed for a branch stays out, what names the event comes."""
    here = replace(HERE, event=event, ref="refs/heads/main", pull_request=5)
    for contexts, included in (
        ((f"{event}@main", "*@main", "*@**"), False),
        ((event,), True),
        (("*",), True),
        ((), True),
    ):
        values, _ = opened(here, HF_TOKEN=boxed(INSIDE.model_copy(update={"contexts": contexts})))
        assert ("HF_TOKEN" in values) is included


@pytest.mark.parametrize("end", [-1, -(10**18), 253_402_300_800, 10**30])
def test_an_end_that_no_calendar_holds_is_refused(end: int) -> None:
    """Whoever has the public key can write any number there: a refusal that names the box, and no crash."""
    strange = INSIDE.model_copy(update={"not_after": end})
    with pytest.raises(ConfigurationError) as error:
        opened(HF_TOKEN=boxed(strange))
    assert "does not know" in str(error.value.mistakes[0])


def test_all_mistakes_at_once_and_no_value() -> None:
    """Each box that does not belong here is named; what is in them is not."""
    other = INSIDE.model_copy(update={"repository_id": 1})
    given = {"A": boxed(other), "B": boxed(), "C": sealed.MARK + "x", "D": sealed.MARK + '{"version": 2}'}
    with pytest.raises(ConfigurationError) as error:
        sealed.opened(given, HERE, now=NOW, open_=look)
    told = [str(mistake) for mistake in error.value.mistakes]
    assert [line.split(":")[0] for line in told] == ["A", "B", "C", "D"]
    assert "another key, or changed" in told[2] and "does not know" in told[3]
    assert "hunter2" not in f"{error.value} {told} {error.value.what_to_do} {error.value!r}"


def test_what_is_inside_shows_no_value() -> None:
    """Neither its representation nor a mistake in it holds the value, so that no traceback can."""
    assert "hunter2" not in repr(INSIDE) + str(INSIDE)
    with pytest.raises(ValidationError) as error:
        Sealed(repository_id=0, name="no name", value="hunter2-and-more")
    assert "hunter2" not in str(error.value)
