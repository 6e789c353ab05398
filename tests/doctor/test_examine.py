"""Files as they come: hostile ones, ours, and those that say what is to be ignored."""

from __future__ import annotations

from pathlib import Path

import pytest

from accel_ci.doctor import examine
from accel_ci.formats import yaml_tree

ROOT = Path(__file__).resolve().parents[2]
OURS = sorted([*ROOT.glob(".github/workflows/*.yml"), *ROOT.glob("examples/workflows/*.yml")])
BOMB = b"a: &a [x,x,x,x,x,x,x,x,x]\n" + b"".join(
    b"%c: &%c [%s]\n" % (97 + level, 97 + level, b",".join([b"*%c" % (96 + level)] * 9)) for level in range(1, 20)
)
HOSTILE = {
    "bomb": BOMB,
    "merge bomb": b"a: &a {x: 1}\nb: {<<: [" + b"*a," * 9000 + b"*a]}\n",
    "deep": b"[" * 30_000,
    "deep mapping": b"{a: " * 5000,
    "cycle": b"a: &a [*a]\n",
    "large": b"a: " + b"x" * 600_000,
    "wide": b"- x\n" * 50_000,
    "control character": b"a: \x00",
    "not utf-8": b"\xff\xfe",
    "two documents": b"a: 1\n---\nb: 2\n",
    "not closed": b"a: [1, 2\n",
    "tab": b"a:\n\t- b\n",
}
ODD = (
    b"",
    b"# nothing\n",
    b"a",
    b"[]",
    b"{}",
    b"on:\njobs:\n",
    b"on: push\njobs: x\n",
    b"on: push\njobs: {a: x, b: [1], c: {steps: x}}\n",
    b"on: push\njobs: {a: {steps: [x, [y], {run: [z]}, {uses: {a: b}}]}}\n",
    b"1: 2\n? [a, b]\n: c\n",
    b"on: {push: {}, 7: {}}\njobs: {a: {if: [x]}}\n",
    b"a: !!python/object/apply:os.abort []\non: push\n",
)


@pytest.mark.parametrize("content", HOSTILE.values(), ids=list(HOSTILE))
def test_what_cannot_be_read_is_one_finding(content: bytes) -> None:
    """A bomb, a giant, a cycle, nonsense: said in one line, never an exception, and the walk ends."""
    (finding,) = examine.examine("x.yml", content)
    assert (finding.rule, finding.line) == ("unreadable", 1)
    assert "\n" not in finding.message


@pytest.mark.parametrize("content", ODD)
def test_odd_shapes_are_no_reason_to_fall_over(content: bytes) -> None:
    """YAML that is no workflow, or has a list where a text should be, is gone through; tags build nothing."""
    assert all(each.rule != "unreadable" for each in examine.examine("x.yml", content))


def test_no_line_takes_long() -> None:
    """Long lines made to keep a pattern busy are cut before any rule sees them, so this ends."""
    words = (
        b"gcloud ",
        b"${{ ",
        b"gh pr comment ",
        b"# accel-ci: ",
        b"if $( ",
        b"contains( ",
        b"ssh gcloud ",
        b"grep ",
        b"> a.log ",
    )
    steps = b"".join(b"      - run: |\n          " + word * (20_000 // len(word)) + b"\n" for word in words)
    found = examine.examine("x.yml", b"on: pull_request\njobs:\n  a:\n    steps:\n" + steps)
    assert "missing-permissions" in {each.rule for each in found}


@pytest.mark.parametrize("path", OURS, ids=lambda path: str(path.relative_to(ROOT)))
def test_ours_have_no_findings(path: Path) -> None:
    """What we run and what we recommend passes every rule."""
    assert examine.examine(str(path), path.read_bytes()) == []


def test_there_is_something_of_ours() -> None:
    """The test above looked at our own workflows and at the examples."""
    assert {"test.yml", "ci.yml", "pr-label.yml"} <= {path.name for path in OURS}


WRONG = "on: push\npermissions: {}\njobs:\n  a:\n    timeout-minutes: 5\n    steps:\n"


@pytest.mark.parametrize(
    ("steps", "left"),
    [
        ("      - if: failure()\n        run: mail x\n", 1),
        (
            "      - if: failure() # accel-ci: ignore[failure-blind-to-cancel] for failures only\n        run: mail x\n",
            0,
        ),
        (
            "      # accel-ci: ignore[garbled-text, failure-blind-to-cancel]\n      - if: failure()\n        run: mail x\n",
            0,
        ),
        ("      - if: failure() # accel-ci: ignore[garbled-text]\n        run: mail x\n", 1),
        ("      - if: failure()\n        # accel-ci: ignore[failure-blind-to-cancel]\n        run: mail x\n", 1),
    ],
)
def test_a_comment_leaves_a_finding_out(steps: str, left: int) -> None:
    """On its line or alone above it, and for the rules that it names only."""
    assert len(examine.examine("x.yml", (WRONG + steps).encode())) == left


def test_places_are_exact() -> None:
    """Line and column count from 1 and lead to the key, or into the script: blocks, plain texts, anchors."""
    text = (
        "on: push\njobs:\n  a:\n    steps:\n      - name: x\n        run: |\n\n          # grep OK\n          if x; then\n"
        "            grep OK \\\n              file\n          fi\n      - run: grep OK a\n"
    )
    found = [(each.line, each.column) for each in examine.examine("x", text.encode()) if each.rule == "verdict-by-grep"]
    assert found == [(10, 13), (13, 14)]


def test_a_tree_knows_its_places() -> None:
    """Members begin at their key, items at themselves, and what is not there lies at its parent."""
    tree = yaml_tree.read(b"a:\n  b: [x, {c: y}]\n")
    assert (tree.get("a", "b").line, tree.get("a", "b").column) == (2, 3)
    item = tree.get("a", "b").items[1]
    assert (item.column, item.get("c").text, item.get("d").line, bool(item.get("d"))) == (10, "y", 2, False)
    assert list(tree.texts()) == ["a", "b", "x", "c", "y"]
