"""Threats to the repository's secrets, from the author of a fork and from whoever reads a public workflow."""

from __future__ import annotations

from dataclasses import replace

import pytest

from accel_ci import plans
from accel_ci.adapters import sealed_box
from accel_ci.domain import sealed
from accel_ci.domain.context import Context
from accel_ci.domain.errors import ConfigurationError
from accel_ci.domain.sealed import Sealed
from tests.usecases import worlds
from tests.usecases.worlds import HERE

SECRET = "correct-horse-battery-staple"
PRIVATE = sealed_box.new_private_key()


def box(name: str = "TOKEN") -> str:
    """What stands in the repository's public workflow."""
    inside = Sealed(repository_id=HERE.repository_id, name=name, contexts=("push@main",), value=SECRET)
    return sealed.MARK + sealed_box.seal(inside.model_dump_json().encode(), sealed_box.public_key(PRIVATE))


def refused(text: str) -> bytes:
    """A key that nobody may use."""
    raise AssertionError("a box was opened")


@pytest.mark.parametrize("text", [SECRET, box()])
def test_threat_18_a_forks_commit_gets_no_secret(text: str) -> None:
    """In the clear or sealed: nothing is handed over, and the key is not even used."""
    record = worlds.record()
    record.identity.trust = "fork"
    handed = plans.secrets(HERE, record, {"TOKEN": text}, now=0.0, open_=refused)
    assert handed.values == {} and SECRET not in handed.kept_back


@pytest.mark.parametrize(
    ("name", "here"),
    [
        ("TOKEN", replace(HERE, repository_id=666)),
        ("TOKEN", replace(HERE, repository_id=666, repository="thief/hello", ref="refs/heads/main")),
        ("GREETING", HERE),
    ],
)
def test_threat_18_a_copied_box_is_of_no_use(name: str, here: Context) -> None:
    """Taken to a repository with the same key, or put under a name that somebody prints: refused, its value in no error."""
    with pytest.raises(ConfigurationError) as error:
        sealed.opened({name: box()}, here, now=0.0, open_=lambda text: sealed_box.open_box(text, PRIVATE))
    assert SECRET not in f"{error.value} {[str(mistake) for mistake in error.value.mistakes]}"


def test_threat_18_another_branch_does_without() -> None:
    """What was sealed for main's pushes stays out of a branch that anybody with write access can push."""
    evil = replace(HERE, event="push", ref="refs/heads/evil")
    opened = sealed.opened({"TOKEN": box()}, evil, now=0.0, open_=lambda text: sealed_box.open_box(text, PRIVATE))
    assert opened == ({}, ["TOKEN"])


def test_threat_18_what_asks_to_be_merged_is_not_main() -> None:
    """A pull request's run has main's ref, and another's code: what was sealed for main stays out, and ended boxes too."""
    inside = Sealed(repository_id=HERE.repository_id, name="TOKEN", contexts=("*@main",), not_after=100, value=SECRET)
    text = sealed.MARK + sealed_box.seal(inside.model_dump_json().encode(), sealed_box.public_key(PRIVATE))
    asked = replace(HERE, event="pull_request_target", ref="refs/heads/main", pull_request=5)
    assert sealed.opened({"TOKEN": text}, asked, now=100.0, open_=_opener) == ({}, ["TOKEN"])
    main = replace(HERE, ref="refs/heads/main")
    assert sealed.opened({"TOKEN": text}, main, now=100.0, open_=_opener) == ({"TOKEN": SECRET}, [])
    with pytest.raises(ConfigurationError):
        sealed.opened({"TOKEN": text}, main, now=101.0, open_=_opener)


@pytest.mark.parametrize("text", [f"{SECRET[:3]}\udce9\0{SECRET}", "hush"])
def test_threat_18_no_error_tells_a_secret(text: str) -> None:
    """What is wrong with a value is told by its name alone, all at once, as a configuration error."""
    with pytest.raises(ConfigurationError) as error:
        plans.secrets(HERE, worlds.record(), {"TOKEN": text}, now=0.0, open_=refused)
    told = f"{error.value} {error.value.what_to_do} {[str(each) for each in error.value.mistakes]}"
    assert "TOKEN" in told and SECRET not in told and "hush" not in told


def _opener(text: str) -> bytes:
    return sealed_box.open_box(text, PRIVATE)
