"""What a machine answers to our own programs, read as if an attacker had written it."""

from __future__ import annotations

from typing import Any

import pytest

from accel_ci.adapters import answers
from accel_ci.domain.workload import Package, Unpacked

SHA, BASE, MERGE, TREE = "a" * 40, "b" * 40, "c" * 40, "d" * 40
COMMIT = Package(path="p", kind="bundle", sha=SHA, size_bytes=1)
BOTH = Package(path="p", kind="bundle", sha=SHA, size_bytes=1, base=BASE)
WORKSPACE = Package(path="p", kind="tar", sha=None, size_bytes=1)
MERGED = {"sha": SHA, "base": BASE, "merge": MERGE, "tree": TREE, "obstacle": ""}


def test_what_was_asked_for_is_taken() -> None:
    """A commit, a merge, a conflict and a workspace, each as git over there told it."""
    assert answers.unpacked({"ok": True, "sha": SHA, "submodules": 2, "lfs": 1}, COMMIT) == Unpacked(
        sha=SHA, submodules=2, lfs=1
    )
    assert answers.unpacked(MERGED, BOTH) == Unpacked(sha=SHA, base=BASE, merge=MERGE, tree=TREE)
    conflict = {"sha": SHA, "base": BASE, "merge": "", "tree": "", "obstacle": "conflicts in a"}
    assert answers.unpacked(conflict, BOTH).obstacle == "conflicts in a"
    assert answers.unpacked({"ok": True, "sha": ""}, WORKSPACE) == Unpacked()


@pytest.mark.parametrize(
    ("told", "package"),
    [
        ({}, COMMIT),
        ({"sha": BASE}, COMMIT),
        ({"sha": SHA, "merge": MERGE, "tree": TREE}, COMMIT),
        ({"sha": SHA}, BOTH),
        (MERGED | {"base": SHA}, BOTH),
        (MERGED | {"merge": ""}, BOTH),
        (MERGED | {"tree": "d" * 39}, BOTH),
        (MERGED | {"tree": "d" * 40 + "\n::error::"}, BOTH),
        (MERGED | {"merge": 1}, BOTH),
        (MERGED | {"obstacle": ["a"]}, BOTH),
        (MERGED | {"obstacle": "conflicts in a"}, BOTH),
        ({"sha": SHA, "submodules": True}, COMMIT),
        ({"sha": SHA, "lfs": -1}, COMMIT),
        ({"sha": SHA, "lfs": 10**30}, COMMIT),
        ({"sha": SHA}, WORKSPACE),
    ],
)
def test_anything_else_is_no_answer(told: dict[str, Any], package: Package) -> None:
    """Another commit or base, a merge that nobody asked for or none where one was, and values of other kinds."""
    with pytest.raises(ValueError, match=r"it |that is no"):
        answers.unpacked(told, package)


def test_hostile_names_in_a_conflict_are_one_bounded_line() -> None:
    """What comes into a comment later is plain: no newline, no control character, no command, at most 600 characters."""
    hostile = "conflicts in a\n::error::x, \x1b[2J" + "y" * 5000
    told = MERGED | {"merge": "", "tree": "", "obstacle": hostile}
    text = answers.unpacked(told, BOTH).obstacle
    assert text.startswith("conflicts in a") and len(text) <= 600
    assert text.isprintable()


def test_doors_are_read() -> None:
    """Names as they are, the finding as one plain line."""
    tried = answers.doors({"tried": ["root", "sudo"], "open": {"sudo": "it\nworks"}}, worker=3)
    assert (tried.worker, tried.names, set(tried.open)) == (3, ("root", "sudo"), {"sudo"})
    assert tried.open["sudo"].isprintable()


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"tried": []},
        {"tried": "root", "open": {}},
        {"tried": ["root"], "open": []},
        {"tried": ["Root!"], "open": {}},
        {"tried": [1], "open": {}},
        {"tried": ["a"] * 1000, "open": {}},
        {"tried": [], "open": {"::error::": ""}},
    ],
)
def test_no_word_about_doors_is_an_error(told: dict[str, Any]) -> None:
    """A machine that says nothing, or nothing sensible, about its doors is not taken for a shut one."""
    with pytest.raises(ValueError, match="door"):
        answers.doors(told, worker=0)
